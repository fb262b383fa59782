"""What the machine is told at boot: read as cloud-init reads it, its scripts run by a real shell."""

import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.cloud.user_data import hard_limit, outer_limit, user_data

DEADLINE = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def config(key: Path, deadline: datetime = DEADLINE) -> dict[str, Any]:
    text = user_data(
        user="ubuntu",
        public_key="ssh-ed25519 AAAA client\n",
        host_private_key=key.read_text(),
        host_public_key=key.with_suffix(".pub").read_text(),
        deadline=deadline,
    )
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < 16 * 1024
    return dict(yaml.safe_load(text))


def test_host_key_arrives_whole(key: Path, tmp_path: Path) -> None:
    keys = config(key)["ssh_keys"]
    there = tmp_path / "ssh_host_ed25519_key"
    there.write_text(keys["ed25519_private"])
    there.chmod(0o600)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", there], check=True, capture_output=True, text=True).stdout
    assert derived.split()[:2] == keys["ed25519_public"].split()[:2]


def test_only_the_given_key_logs_in_and_nothing_upgrades(key: Path) -> None:
    told = config(key)
    assert told["user"] == {"name": "ubuntu"}
    assert told["ssh_authorized_keys"] == ["ssh-ed25519 AAAA client"]
    assert told["ssh_pwauth"] is False
    mask = next(command for command in told["bootcmd"] if command[:2] == ["systemctl", "mask"])
    assert {"apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"} <= set(mask)
    assert hard_limit(DEADLINE) in told["bootcmd"][0]
    assert told["runcmd"] == [["sh", "-c", outer_limit(DEADLINE)]]


def test_nothing_waits_for_systemd_before_it_is_up(key: Path) -> None:
    early = [hard_limit(DEADLINE), *(" ".join(command) for command in config(key)["bootcmd"])]
    jobs = [line for text in early for line in text.splitlines() if "systemctl" in line and "--now" in line]
    assert jobs and all("--no-block" in line for line in jobs)


@given(st.datetimes(datetime(2030, 1, 1), datetime(2040, 1, 1)), st.integers(-12, 12))
def test_same_deadline_gives_the_same_text(at: datetime, hours: int) -> None:
    """In whatever zone it is written: a repeated request must be the same request."""
    there = at.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    assert hard_limit(there) == hard_limit(at.replace(tzinfo=UTC))
    assert outer_limit(there) == outer_limit(at.replace(tzinfo=UTC))


def recording(folder: Path, *programs: str) -> dict[str, str]:
    """An environment in which these programs only write down how they were called."""
    for program in programs:
        stub = folder / program
        stub.write_text(f'#!/bin/sh\necho {program} "$@" >> {folder}/calls\n')
        stub.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_hard_limit_makes_units_that_systemd_takes(tmp_path: Path) -> None:
    units, bin_folder = tmp_path / "units", tmp_path / "bin"
    units.mkdir()
    bin_folder.mkdir()
    environment = recording(bin_folder, "systemctl")
    subprocess.run(["sh", "-ec", hard_limit(DEADLINE, str(units))], check=True, env=environment)
    assert (bin_folder / "calls").read_text().splitlines() == [
        "systemctl daemon-reload",
        "systemctl enable --now --no-block hard-limit.timer",
    ]
    timer = (units / "hard-limit.timer").read_text()
    calendar = next(line.removeprefix("OnCalendar=") for line in timer.splitlines() if line.startswith("OnCalendar="))
    parsed = subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, text=True, check=True)
    assert "2031-02-03 04:05:06 UTC" in parsed.stdout
    checked = subprocess.run(
        ["systemd-analyze", "verify", units / "hard-limit.timer", units / "hard-limit.service"],
        capture_output=True,
        text=True,
    )
    complaints = [line for line in checked.stderr.splitlines() if "hard-limit" in line]
    assert not complaints, checked.stderr
    assert "ExecStart=/usr/bin/systemctl poweroff" in (units / "hard-limit.service").read_text()


def test_outer_limit_is_later_than_the_timer(tmp_path: Path) -> None:
    environment = recording(tmp_path, "shutdown")
    subprocess.run(["sh", "-ec", outer_limit(datetime.now(UTC) + timedelta(hours=2))], check=True, env=environment)
    program, halt, minutes = (tmp_path / "calls").read_text().split()
    assert (program, halt) == ("shutdown", "-h")
    assert 120 < int(minutes) <= 135
