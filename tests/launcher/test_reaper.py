"""What earlier sweeps left: ended where it is past its time or given up here, told and left alone elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cloud_model import START, CloudModel, Crash, client, ladder

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import DEADLINE_TAG
from hydra_plugins.hydra_ec2_launcher.cloud.events import State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease
from hydra_plugins.hydra_ec2_launcher.cloud.reaper import Finding, reap

REGIONS = ("us-east-1", "us-west-2")


@pytest.fixture
def cloud() -> CloudModel:
    """One whose machines have no working clocks."""
    return CloudModel(schedules=False)


def rent(cloud: CloudModel, path: Path, until: Callable[[CloudModel], None] = lambda cloud: None) -> None:
    """A client that rents, does what `until` says, and dies; its machine's own clock is broken."""
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), lambda instance: None)
    rental.move(State.RUNNING)
    for machine in cloud.machines:
        machine.hard_clock = START + timedelta(days=365)
    until(cloud)


def reaped(cloud: CloudModel, *journals: Path, owner: str = "me") -> tuple[Finding, ...]:
    def lease_of(sweep: str) -> Lease | None:
        return next((lease for path in journals if (lease := read(path)).sweep == sweep), None)

    return reap(cloud, REGIONS, owner=owner, lease_of=lease_of, now=cloud.now())


def words(findings: Sequence[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def test_machine_in_use_is_left_alone(cloud: CloudModel, tmp_path: Path) -> None:
    rent(cloud, tmp_path / "a")
    assert words(reaped(cloud, tmp_path / "a")) == ["us-east-1 i-0 left alone, in use: running"]
    assert words(reaped(cloud)) == ["us-east-1 i-0 left alone, of a sweep that this computer does not know"]
    assert reaped(cloud, owner="somebody else") == ()
    assert len(cloud.live()) == 1


def test_machine_past_its_deadline_is_ended_whoever_rented_it(cloud: CloudModel, tmp_path: Path) -> None:
    rent(cloud, tmp_path / "a")
    cloud.time = START + timedelta(hours=3, minutes=9)
    assert not reaped(cloud)[0].ended, "it may still be harvested"
    cloud.time = START + timedelta(hours=3, minutes=11)
    (finding,) = reaped(cloud)
    assert finding.ended and "deadline 2026-03-01T15:10:00+00:00 has passed; ended" in finding.words
    cloud.sleep(60)
    assert not cloud.live() and reaped(cloud) == ()


@pytest.mark.parametrize("deadline", [None, "soon", "2020-01-01T00:00:00"])
def test_unreadable_deadline_ends_nothing(cloud: CloudModel, tmp_path: Path, deadline: str | None) -> None:
    rent(cloud, tmp_path / "a")
    request = cloud.machines[0].request
    tags = {key: value for key, value in request.tags.items() if key != DEADLINE_TAG}
    tags |= {} if deadline is None else {DEADLINE_TAG: deadline}
    cloud.machines[0].request = replace(request, tags=tags)
    cloud.time = START + timedelta(days=30)
    assert [finding.ended for finding in reaped(cloud)] == [False]


def test_machine_that_its_sweep_gave_up_is_ended(cloud: CloudModel, tmp_path: Path) -> None:
    def dies_in_ending(cloud: CloudModel) -> None:
        rental = client(cloud, tmp_path / "a")
        cloud.crash_in = 5  # after "terminating" is written, before terminate is sent
        with pytest.raises(Crash):
            rental.release("done")

    rent(cloud, tmp_path / "a", dies_in_ending)
    assert read(tmp_path / "a").state is State.TERMINATING and cloud.machines[0].ended_at is None
    assert words(reaped(cloud, tmp_path / "a")) == ["us-east-1 i-0 its sweep has given it up (terminating); ended"]
    assert cloud.machines[0].ended_at is not None


def test_machine_of_an_attempt_before_or_beside_the_current_one_is_ended(cloud: CloudModel, tmp_path: Path) -> None:
    rent(cloud, tmp_path / "a")
    current = cloud.machines[0]
    earlier = replace(current.request, tags={**current.request.tags, "botscalp:attempt": "0"})
    cloud.machines += [replace(current, id="i-earlier", request=earlier), replace(current, id="i-beside")]
    assert words(reaped(cloud, tmp_path / "a")) == [
        "us-east-1 i-0 left alone, in use: running",
        "us-east-1 i-earlier its sweep has another machine; ended",
        "us-east-1 i-beside its sweep has i-0 instead; ended",
    ]
    assert [machine.id for machine in cloud.machines if machine.ended_at is None] == ["i-0"]


def test_machine_whose_answer_is_out_is_left_to_its_sweep(cloud: CloudModel, tmp_path: Path) -> None:
    for place in range(100):
        cloud, path = CloudModel(crash_in=place), tmp_path / str(place)
        with pytest.raises(Crash):
            client(cloud, path).acquire(ladder(cloud), lambda instance: None)
        if cloud.machines:
            break
    assert read(path).state is State.REQUESTING
    assert words(reaped(cloud, path)) == ["us-east-1 i-0 left alone, in use: requesting"]


def test_orphaned_disk_is_told(cloud: CloudModel, tmp_path: Path) -> None:
    rent(cloud, tmp_path / "a")
    cloud.lingering_s = 1e9
    cloud.machines[0].ended_at = cloud.time
    cloud.sleep(60)
    rent(cloud, tmp_path / "b")
    in_use, orphan = reaped(cloud, tmp_path / "a", tmp_path / "b")
    assert in_use.what == "i-1" and (orphan.what, orphan.ended) == ("vol-i-0", False)
    assert "paid for until you delete it" in orphan.words


def test_what_cannot_be_done_is_told_and_the_rest_is_done(cloud: CloudModel, tmp_path: Path) -> None:
    rent(cloud, tmp_path / "a")
    rent(cloud, tmp_path / "b")
    cloud.time = START + timedelta(hours=10)
    cloud.deaf = 1
    first, second = reaped(cloud)
    assert not first.ended and "NOT ended: InternalError" in first.words
    assert second.ended
    cloud.flaky = 1
    unseen, again = reaped(cloud)[0], cloud.machines[0].ended_at
    assert unseen.words.startswith("could not be looked through") and again is None
    assert reaped(cloud)[0].ended
