"""The checks of a fresh machine, each fault planted: programs on PATH that fail, hang, come late or are too old."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_box import SOURCES, program

Health = Callable[..., dict[str, Any]]
ANSWER = "print('NVIDIA A10G, 22888, 570.86.15')"
HANGS = "import time; time.sleep(1000)"
LATE = """
import pathlib, sys
asked = pathlib.Path(__file__).with_suffix(".asked")
if not asked.exists():
    asked.touch()
    sys.exit(WHEN_EARLY)
"""
"""The first call goes wrong, the second does not."""


@pytest.fixture
def health(tmp_path: Path) -> Health:
    """health(programs, **wanted): the answer on a machine that has these programs and Python's own folder on PATH."""

    def ask(programs: dict[str, str], **wanted: Any) -> dict[str, Any]:
        for name, body in programs.items():
            program(tmp_path / "bin", name, body)
        done = subprocess.run(
            [sys.executable, str(SOURCES / "health.py"), json.dumps({"wait_s": 1, "root": str(tmp_path), **wanted})],
            env={**os.environ, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    return ask


def _check(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(check) for check in answer["checks"] if check["name"] == name)


def test_a_good_machine_passes_every_check(health: Health) -> None:
    programs = {"nvidia-smi": ANSWER, "cloud-init": "print('status: done')"}
    own = "{}.{}".format(*sys.version_info[:2])
    wanted = {"gpu": True, "gpu_memory_mib": 20000, "driver": "525", "python": own, "disk_gb": 0.001}
    answer = health(programs, **wanted, now=time.time())
    assert answer["ok"], answer
    assert [check["name"] for check in answer["checks"]] == [
        *("cloud-init", "gpu", "driver", "python", "folder", "disk", "clock")
    ]


@pytest.mark.parametrize(
    ("body", "ok", "found"),
    [
        ("print('status: done')", True, "done"),
        ("print('status: degraded done'); raise SystemExit(2)", True, "degraded done"),
        ("print('status: disabled')", True, "disabled"),
        ("print('status: error'); print('apt failed'); raise SystemExit(1)", False, "error"),
        ("print('status: running')", False, "running"),
        (HANGS, False, "silent"),
        (LATE.replace("WHEN_EARLY", "print('status: running')") + "print('status: done')", True, "done"),
    ],
)
def test_cloud_init(health: Health, body: str, ok: bool, found: str) -> None:
    answer = health({"cloud-init": body}, wait_s=4 if "asked" in body else 1)
    check = _check(answer, "cloud-init")
    assert (check["ok"], check["found"], answer["ok"]) == (ok, found, ok)
    assert "apt failed" in check["words"] or found != "error"


def test_no_cloud_init_is_no_fault(health: Health) -> None:
    assert _check(health({}), "cloud-init")["words"] == "skipped"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise SystemExit('NVIDIA-SMI has failed')", "NVIDIA-SMI has failed"),
        ("print('No devices were found')", "after 1 s"),
        ("pass", "after 1 s"),
        (HANGS, "timed out"),
        (None, "No such file"),
    ],
)
def test_a_gpu_that_does_not_answer_is_a_fault(health: Health, body: str | None, words: str) -> None:
    began = time.monotonic()
    answer = health({} if body is None else {"nvidia-smi": body}, gpu=True)
    assert not answer["ok"] and words in _check(answer, "gpu")["words"]
    assert time.monotonic() - began < 30


def test_a_late_driver_is_waited_for_and_helped_once(health: Health, tmp_path: Path) -> None:
    late = LATE.replace("WHEN_EARLY", "9") + ANSWER
    sudo = "import pathlib, sys; open(pathlib.Path(__file__).with_name('sudo.log'), 'a').write(' '.join(sys.argv[1:]) + '\\n')"
    answer = health({"nvidia-smi": late, "sudo": sudo}, gpu=True, wait_s=6)
    assert answer["ok"], answer
    assert (tmp_path / "bin/sudo.log").read_text() == "-n modprobe nvidia\n"


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"gpu_memory_mib": 40000}, "gpu"),
        ({"driver": "580"}, "driver"),
        ({"driver": "570.100"}, "driver"),
        ({"disk_gb": 1e9}, "disk"),
        ({"now": 1e9}, "clock"),
    ],
)
def test_too_small_too_old_too_full_or_another_time_is_a_fault(
    health: Health, wanted: dict[str, Any], name: str
) -> None:
    answer = health({"nvidia-smi": ANSWER}, gpu=True, **wanted)
    assert [check["name"] for check in answer["checks"] if not check["ok"]] == [name]
    assert not answer["ok"] and _check(answer, name)["needed"] and _check(answer, name)["found"]


def test_the_wanted_python_is_found_or_left_to_uv(health: Health) -> None:
    here = "print('3.99')"  # what a python3.99 would say of itself
    found = _check(health({"python3.99": here}, python="3.99"), "python")
    assert found["ok"] and found["found"].endswith("bin/python3.99")
    lying = _check(health({"python3.98": here}, python="3.98"), "python")
    assert lying["ok"] and lying["words"] == "uv will install it"


def test_a_folder_nobody_may_write_in_is_a_fault(health: Health, tmp_path: Path) -> None:
    answer = health({}, root=str(tmp_path / "absent"))
    assert not answer["ok"] and not _check(answer, "folder")["ok"]
