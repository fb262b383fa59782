"""The journal: on disk before anything else happens, whole after any crash, for its owner alone."""

import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cloud_model import CloudModel, client, ladder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_lease import AT, BOOTED, GONE, PAID, RENTED, after, moved, terms

from hydra_plugins.hydra_ec2_launcher.cloud.events import Cleaned, Event, Priced, Refused, Requested, State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import VIEW, Journal, read
from hydra_plugins.hydra_ec2_launcher.cloud.lease import ImpossibleEventError, Lease

LIFE: tuple[Event, ...] = (
    *RENTED,
    BOOTED,
    moved(State.CHECKING),
    moved(State.STAGING),
    moved(State.RUNNING),
    Priced(at=AT + timedelta(hours=1), price=terms(1).price),
    moved(State.TERMINATING),
    GONE,
    PAID,
    Requested(at=AT, terms=terms(2)),
    Refused(at=AT, why='Häßlich: "quoted"\nand broken over lines'),
    Cleaned(at=AT, region="us-east-1"),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal's bytes after that life."""
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    for event in LIFE:
        journal.append(event)
    return path.read_bytes()


def test_replay_gives_the_same_lease(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(written)
    assert Journal(path).lease == read(path) == after(*LIFE)
    assert path.read_bytes() == written, "opening changes nothing"
    lines = [json.loads(line) for line in written.decode().splitlines()]
    assert [line["kind"] for line in lines] == [event.kind for event in LIFE]
    assert all(line["at"].endswith("Z") for line in lines)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_truncation_replays_to_a_prefix_and_goes_on(written: bytes, tmp_path: Path, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(written)))
    path = tmp_path / "journal.jsonl"
    path.write_bytes(written[:cut])
    whole = written[:cut].count(b"\n")
    assert read(path) == after(*LIFE[:whole]), "a reader beside a writer sees whole events alone"
    journal = Journal(path)
    assert journal.lease == after(*LIFE[:whole])
    for event in LIFE[whole : whole + 1]:
        journal.append(event)
    assert path.read_bytes() == b"".join(written.splitlines(keepends=True)[: whole + 1])


def test_line_that_is_no_event_is_named(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lines = written.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"kind":"wished"}\n', *lines[2:]]))
    with pytest.raises(ValueError, match=r"journal\.jsonl, line 3: no event"):
        Journal(path)


def test_impossible_event_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(ImpossibleEventError):
        journal.append(GONE)
    assert journal.path.read_bytes() == b"" and journal.lease == Lease()


def test_line_that_does_not_reach_the_disk_did_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(RENTED[0])
    before = journal.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            journal.append(RENTED[1])
    assert journal.path.read_bytes() == before and journal.lease == after(RENTED[0])
    journal.append(RENTED[1])
    assert read(journal.path) == after(*RENTED[:2])


def test_each_line_is_on_disk_before_the_call_it_announces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of fsyncs and calls over a life: none that changes the world without its line."""
    cloud = CloudModel()
    sync = os.fsync

    def seen(descriptor: int) -> None:
        sync(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("journal.jsonl"):
            last = json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[-1])
            cloud.log.append(f"wrote {last.get('to', last['kind'])}")

    monkeypatch.setattr(os, "fsync", seen)
    rental = client(cloud, tmp_path / "journal.jsonl")
    rental.acquire(ladder(cloud), lambda instance: cloud.log.append("check"))
    rental.release("done")
    changes = [
        (before, call)
        for before, call in zip(cloud.log, cloud.log[1:], strict=False)
        if call.split()[0] in ("prepare", "request", "check")
    ]
    assert [(before, call.split()[0]) for before, call in changes] == [
        ("wrote prepared", "prepare"),
        ("wrote requested", "request"),
        ("wrote checking", "check"),
    ]
    assert cloud.log.index("wrote terminating") < cloud.log.index("terminate")


def test_view_names_the_machine_and_no_secret(tmp_path: Path) -> None:
    view = tmp_path / "elsewhere" / VIEW
    view.parent.mkdir()
    journal = Journal(tmp_path / "journal.jsonl", view=view)
    for event in LIFE[:8]:
        journal.append(event)
    shown = json.loads(view.read_text())
    assert shown["times"].keys() == {"requesting", "pending", "booting", "checking", "staging", "running"}
    del shown["times"]
    assert shown == {
        "schema": 1,
        "sweep": "sweep-1",
        "folder": str(tmp_path),
        "state": "running",
        "attempt": 1,
        "token": "t" * 64,
        "region": "us-east-1",
        "zone": "us-east-1a",
        "market": "spot",
        "instance_id": "i-1",
        "instance_type": "g5.2xlarge",
        "ami": "ami-1",
        "ami_asked_for": "ami-1",
        "address": "192.0.2.7",
        "user": "ubuntu",
        "host_key_fingerprint": "SHA256:abc",
        "usd_per_hour": 0.5,
        "price_source": "spot price history",
        "price_date": "2026-03-01",
        "deadline": "2026-03-01T15:00:00+00:00",
        "security_group": "sg-1",
        "key_name": "key",
        "why": "",
    }
    for file in (journal.path, view):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in view.parent.iterdir()] == [VIEW], "nothing is left aside"
