"""Renting and ending: never two machines, none forgotten, none paid for beyond the budget, wherever the client dies."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cloud_model import START, CloudModel, Crash, broken_invariants, client, fit, ladder, order, unfit_image

from hydra_plugins.hydra_ec2_launcher.cloud import requesting
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    ATTEMPT_TAG,
    DEADLINE_TAG,
    AnswerLostError,
    Instance,
    Market,
    RefusedError,
    Remedy,
    Request,
)
from hydra_plugins.hydra_ec2_launcher.cloud.ending import StillLiveError
from hydra_plugins.hydra_ec2_launcher.cloud.events import State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import NoMachineError
from hydra_plugins.hydra_ec2_launcher.cloud.lease import CHECKED
from hydra_plugins.hydra_ec2_launcher.cloud.rental import RejectedError

CAPACITY = RefusedError("InsufficientInstanceCapacity", "none", Remedy.NEXT_ZONE)
QUOTA = RefusedError("MaxSpotInstanceCountExceeded", "0 vCPUs", Remedy.NEXT_REGION)
DENIED = RefusedError("UnauthorizedOperation", "no", Remedy.STOP)


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die here, power does not fail: nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def cloud() -> CloudModel:
    return CloudModel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_first_rung_is_rented_tagged_and_scheduled_to_end(cloud: CloudModel, path: Path) -> None:
    rental = client(cloud, path)
    instance = rental.acquire(ladder(cloud), fit)
    (machine,) = cloud.machines
    assert (instance.id, instance.market, instance.state) == ("i-0", Market.SPOT, "running")
    assert len(machine.request.token) <= 64 and machine.request.token.isascii()
    assert machine.hard_clock == START + timedelta(hours=3)
    assert machine.scheduled == START + timedelta(hours=3, minutes=10)
    assert machine.request.tags[DEADLINE_TAG] == "2026-03-01T15:10:00+00:00"
    assert machine.request.tags[ATTEMPT_TAG] == "1"
    assert rental.lease.state is State.STAGING and rental.lease.current.scheduled
    assert rental.acquire(ladder(cloud), fit).id == "i-0", "the next batch finds the machine at hand"


def test_ladder_is_climbed_by_code(cloud: CloudModel, path: Path) -> None:
    cloud.refusals = {(Market.SPOT, "us-east-1a"): QUOTA, (Market.ON_DEMAND, "us-east-1a"): CAPACITY}
    rental = client(cloud, path)
    instance = rental.acquire(ladder(cloud), fit)
    assert (instance.market, instance.zone) == (Market.ON_DEMAND, "us-east-1b")
    assert sum(line.startswith("request") for line in cloud.log) == 3, "a quota holds for the whole region"
    assert len({attempt.terms.token for attempt in rental.lease.attempts}) == 3


def test_all_rungs_refused(cloud: CloudModel, path: Path) -> None:
    cloud.refusals = {(market, zone): CAPACITY for market in Market for zone in ("us-east-1a", "us-east-1b")}
    rental = client(cloud, path)
    with pytest.raises(NoMachineError, match="InsufficientInstanceCapacity"):
        rental.acquire(ladder(cloud), fit)
    rental.release("nothing could be rented")
    assert not cloud.machines and not cloud.prepared and rental.lease.state is State.SETTLED


def test_refusal_that_no_rung_cures_stops(cloud: CloudModel, path: Path) -> None:
    cloud.refusals = {(Market.SPOT, "us-east-1a"): DENIED}
    with pytest.raises(RefusedError, match="UnauthorizedOperation"):
        client(cloud, path).acquire(ladder(cloud), fit)
    assert sum(line.startswith("request") for line in cloud.log) == 1


@pytest.mark.parametrize(
    "lost", [["before"], ["after"], ["before", "after"], ["after"] * 3, ["before"] * 2 + ["after"]]
)
def test_lost_answer_leads_to_one_machine(cloud: CloudModel, path: Path, lost: list[str]) -> None:
    cloud.lost.extend(lost)
    cloud.invisible_s = 60
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    assert len(cloud.machines) == 1 and len(rental.lease.attempts) == 1
    assert len({line for line in cloud.log if line.startswith("request")}) == 1, "one token"


def test_refused_repetition_does_not_forget_the_machine(cloud: CloudModel, path: Path) -> None:
    """The first request did its work; the repetition is throttled."""
    throttled = RefusedError("RequestLimitExceeded", "slow down", Remedy.NEXT_ZONE)
    answers: list[Exception | None] = [AnswerLostError("the line broke"), throttled]
    do_work = cloud.request

    def request(asked: Request) -> Instance:
        instance = do_work(asked) if len(answers) != 1 else None
        if answers and (answer := answers.pop(0)) is not None:
            raise answer
        assert instance is not None
        return instance

    cloud.request = request  # type: ignore[method-assign, assignment]
    assert client(cloud, path).acquire(ladder(cloud), fit).id == "i-0"
    assert len(cloud.machines) == 1


def test_never_answered_request_gives_way_to_the_next_rung(cloud: CloudModel, path: Path) -> None:
    cloud.lost.extend(["before"] * requesting.SENDINGS)
    rental = client(cloud, path)
    assert rental.acquire(ladder(cloud), fit).zone == "us-east-1b"
    assert rental.lease.attempts[0].why.startswith("NoAnswer")


def test_rejected_image_is_ended_before_the_next_is_asked_for(cloud: CloudModel, path: Path) -> None:
    rental = client(cloud, path)
    instance = rental.acquire(ladder(cloud), unfit_image("ami-1", cloud))
    first, second = cloud.machines
    assert instance.id == second.id and second.request.image.id == "ami-2"
    assert first.ended_at is not None and second.launched_at > first.ended_at
    assert rental.lease.attempts[0].why == "driver 470 is older than 525"
    assert "Linux version" in (path.parent / "console-1.txt").read_text()
    rental.move(State.LOST, "unreachable")
    assert rental.acquire(ladder(cloud), fit).id == "i-2"
    assert cloud.machines[2].request.image.id == "ami-2", "an image once found unfit is not paid for again"


def test_no_fit_image(cloud: CloudModel, path: Path) -> None:
    def unfit(instance: Instance) -> None:
        raise RejectedError("no GPU")

    with pytest.raises(NoMachineError, match="rejected: no GPU"):
        client(cloud, path).acquire(ladder(cloud), unfit)
    assert len(cloud.machines) == 2 and not cloud.live()


def test_error_in_the_check_leaves_the_machine_to_release(cloud: CloudModel, path: Path) -> None:
    def broken(instance: Instance) -> None:
        raise ZeroDivisionError

    rental = client(cloud, path)
    with pytest.raises(ZeroDivisionError):
        rental.acquire(ladder(cloud), broken)
    assert len(cloud.live()) == 1 and rental.lease.state is State.CHECKING
    rental.release("an error at home")
    assert not cloud.live() and rental.lease.current.why == "an error at home"


def test_machine_that_never_boots_is_ended(cloud: CloudModel, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_model.BOOT_S", 10_000.0)
    cloud.refusals = {(market, "us-east-1b"): CAPACITY for market in Market}
    rental = client(cloud, path)
    with pytest.raises(NoMachineError, match="Lost"):
        rental.acquire(ladder(cloud), fit)
    assert len(cloud.machines) == 2 and not cloud.live(), "spot and on-demand in zone a"


def test_release_tries_until_the_cloud_ends_it(cloud: CloudModel, path: Path) -> None:
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    cloud.deaf, cloud.flaky, cloud.lingering_s = 3, 2, 90
    rental.release("done")
    assert rental.lease.state is State.SETTLED and not cloud.live() and not cloud.prepared
    assert cloud.volumes("us-east-1", {}) == []
    rental.release("done")


def test_machine_that_cannot_be_ended_is_said(cloud: CloudModel, path: Path) -> None:
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    cloud.deaf = 1_000
    with pytest.raises(StillLiveError, match="aws ec2 terminate-instances --region us-east-1 --instance-ids i-0"):
        rental.release("done")
    with pytest.raises(StillLiveError):
        rental.acquire(ladder(cloud), fit)
    assert read(path).state is State.TERMINATING and len(cloud.machines) == 1
    cloud.deaf = 0
    rental.release("done")
    assert rental.lease.state is State.SETTLED


def test_first_request_has_to_be_paid_for_in_full(cloud: CloudModel, path: Path) -> None:
    rental = client(cloud, path, order(budget_usd=1.5))
    with pytest.raises(NoMachineError, match="OverBudget"):
        rental.acquire(ladder(cloud), fit)
    assert not cloud.machines and not rental.lease.attempts


def test_fallback_gets_the_time_that_is_left_to_pay(cloud: CloudModel, path: Path) -> None:
    """$2 less 2 GB of egress (0.18) pays 1.228/h for 1 h 28 m 55 s, of which ten minutes are for the harvest."""
    cloud.refusals = {(Market.SPOT, zone): CAPACITY for zone in ("us-east-1a", "us-east-1b")}
    rental = client(cloud, path, order(budget_usd=2.0))
    rental.acquire(ladder(cloud), fit)
    (machine,) = cloud.machines
    ran_for = machine.hard_clock - machine.launched_at
    assert abs(ran_for - timedelta(hours=1.82 / 1.22796, minutes=-10)) < timedelta(seconds=2)
    assert machine.scheduled is not None
    cloud.sleep(10 * 3600)
    assert cloud.charged_usd() < 1.82, "even if it only ends by its own clock"


def test_risen_price_brings_the_deadline_forward(
    cloud: CloudModel, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rental = client(cloud, path, order(budget_usd=2.0))
    rental.acquire(ladder(cloud), fit)
    assert rental.hard_deadline() == START + timedelta(hours=3)
    monkeypatch.setitem(cloud.usd_per_hour, Market.SPOT, 1.0)
    rental.note_price()
    rental.note_price()
    assert START + timedelta(hours=1.5) < rental.hard_deadline() < START + timedelta(hours=1.8)
    assert len(rental.lease.current.prices) == 2
    cloud.sleep(3600)
    assert rental.spent_usd() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("state", sorted(CHECKED, key=str))
def test_machine_with_work_is_handed_back(cloud: CloudModel, path: Path, state: State) -> None:
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    if state is not State.STAGING:
        rental.move(State.RUNNING)
        rental.move(state)
    cloud.sleep(3600)
    again = client(cloud, path)
    instance = again.resume()
    assert instance is not None and instance.id == "i-0" and again.lease.state is state


@pytest.mark.parametrize("hours", [3.1, 30])
def test_machine_that_ended_alone_is_not_handed_back(cloud: CloudModel, path: Path, hours: float) -> None:
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    rental.move(State.RUNNING)
    rental.move(State.DETACHED)
    cloud.sleep(hours * 3600)
    again = client(cloud, path)
    assert again.resume() is None
    assert again.lease.state is State.SETTLED
    assert cloud.charged_usd() <= again.lease.current.cost_usd < cloud.charged_usd() * 1.1


def test_machine_past_its_deadline_is_ended(cloud: CloudModel, path: Path) -> None:
    """Neither its own clock nor the cloud's has struck."""
    cloud.schedules = False
    rental = client(cloud, path)
    rental.acquire(ladder(cloud), fit)
    assert not rental.lease.current.scheduled
    cloud.machines[0].hard_clock = START + timedelta(days=365)
    cloud.sleep(5 * 3600)
    again = client(cloud, path)
    assert again.resume() is None
    assert not cloud.live() and again.lease.current.cost_usd >= cloud.charged_usd()


def test_every_place_to_die(tmp_path: Path) -> None:
    """The client dies at each place of a life with a refusal, a lost answer and a rejection; the next one ends it all."""
    for place in range(200):
        cloud = CloudModel(invisible_s=30, lingering_s=30, crash_in=place)
        cloud.refusals = {(Market.SPOT, "us-east-1a"): CAPACITY}
        path = tmp_path / f"{place}.jsonl"
        try:
            cloud.lost.append("after")
            rental = client(cloud, path)
            rental.acquire(ladder(cloud), unfit_image("ami-1", cloud))
            rental.move(State.RUNNING)
            rental.release("done")
        except Crash:
            pass
        else:
            assert place > 100
            return
        after = client(cloud, path)
        after.resume()
        assert not broken_invariants(after.lease, cloud.instances())
        after.release("the next client")
        assert not broken_invariants(after.lease, cloud.instances()) and not cloud.violations
        assert not cloud.live() and not cloud.prepared
        assert after.lease.state in (State.PLANNED, State.SETTLED)
    raise AssertionError("the life has more places than were tried")
