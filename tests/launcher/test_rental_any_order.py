"""Any order of requests, refusals, lost answers, interruptions, deaths of the client and time: what must never be, is not."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cloud_model import CloudModel, Crash, MortalJournal, broken_invariants, client, fit, ladder, order, unfit_image
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hydra_plugins.hydra_ec2_launcher.cloud import budget, requesting, steps
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    AnswerLostError,
    Instance,
    Market,
    RefusedError,
    Remedy,
    Request,
)
from hydra_plugins.hydra_ec2_launcher.cloud.ending import StillLiveError
from hydra_plugins.hydra_ec2_launcher.cloud.events import Answered, Event, Refused, Requested, State, Terminated
from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import NoMachineError
from hydra_plugins.hydra_ec2_launcher.cloud.rental import Rental
from hydra_plugins.hydra_ec2_launcher.cloud.steps import Steps

CAPACITY = RefusedError("InsufficientInstanceCapacity", "none", Remedy.NEXT_ZONE)
QUOTA = RefusedError("MaxSpotInstanceCountExceeded", "0 vCPUs", Remedy.NEXT_REGION)


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die here, power does not fail: nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class BrokenError(AssertionError):
    """What must never be true is."""


class Renting(RuleBasedStateMachine):
    """Clients that come and die, and a cloud that refuses, forgets, interrupts and fails."""

    budget_usd = 4.0

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.jsonl"
        self.cloud = CloudModel()
        self.order = order(budget_usd=self.budget_usd)
        self.rental: Rental | None = None

    def teardown(self) -> None:
        try:
            self.all_comes_to_an_end()
        finally:
            self.folder.cleanup()

    def all_comes_to_an_end(self) -> None:
        cloud = self.cloud
        cloud.deaf, cloud.flaky, cloud.invisible_s = 0, 0, 0.0
        self.act(lambda rental: rental.release("the end"), None)
        self.nothing_is_broken()
        lease = read(self.path)
        if cloud.live() or cloud.prepared or lease.state not in (State.PLANNED, State.SETTLED):
            raise BrokenError(f"after release: {lease.state}, {cloud.live()}, {cloud.prepared}")
        settled_usd = sum(attempt.cost_usd for attempt in lease.attempts)
        if settled_usd < cloud.charged_usd() - 0.01:
            raise BrokenError(f"{settled_usd=}, {cloud.charged_usd()=}")

    def act(self, action: Callable[[Rental], object], crash_in: int | None) -> None:
        """What a client does, a new one where there is none; it may die in doing it."""
        self.cloud.crash_in = crash_in
        try:
            if self.rental is None:
                self.rental = client(self.cloud, self.path, self.order)
                self.rental.resume()
            action(self.rental)
        except Crash:
            self.rental = None
        except (StillLiveError, NoMachineError, RefusedError, AnswerLostError):
            pass
        finally:
            self.cloud.crash_in = None

    crashes = st.one_of(st.none(), st.integers(0, 20), st.integers(0, 60))

    @initialize(budget_usd=st.sampled_from([1.9, 2.5, 4.0]), invisible_s=st.sampled_from([0.0, 120.0]))
    def begin(self, budget_usd: float, invisible_s: float) -> None:
        self.order = order(budget_usd=budget_usd)
        self.cloud.invisible_s = invisible_s

    @rule(crash_in=crashes, unfit=st.sampled_from([None, None, "ami-1", "ami-2"]))
    def acquire(self, crash_in: int | None, unfit: str | None) -> None:
        def action(rental: Rental) -> None:
            rental.acquire(ladder(self.cloud), fit if unfit is None else unfit_image(unfit, self.cloud))
            if rental.lease.state is State.STAGING:
                rental.move(State.RUNNING)

        self.act(action, crash_in)

    @rule()
    def use_up_a_machine(self) -> None:
        """The commonest life, lest most examples rent nothing for long."""
        self.acquire(crash_in=None, unfit=None)
        self.wait(10_000.0)

    @rule(crash_in=crashes, to=st.sampled_from([State.RUNNING, State.DETACHED, State.INTERRUPTED, State.LOST]))
    def note(self, crash_in: int | None, to: State) -> None:
        def action(rental: Rental) -> None:
            possible = {
                State.RUNNING: (State.DETACHED, State.INTERRUPTED, State.LOST),
                State.DETACHED: (State.RUNNING, State.INTERRUPTED, State.LOST),
                State.INTERRUPTED: (State.LOST,),
            }
            if to in possible.get(rental.lease.state, ()):
                rental.move(to, "unreachable" if to is State.LOST else "")

        self.act(action, crash_in)

    @rule(crash_in=crashes)
    def release(self, crash_in: int | None) -> None:
        self.act(lambda rental: rental.release("done"), crash_in)

    @rule()
    def die(self) -> None:
        self.rental = None

    @rule(seconds=st.sampled_from([1.0, 60.0, 1800.0, 10_000.0, 40_000.0]))
    def wait(self, seconds: float) -> None:
        self.cloud.sleep(seconds)

    @precondition(lambda self: self.cloud.live())
    @rule()
    def spot_interruption(self) -> None:
        for machine in self.cloud.live():
            machine.ended_at = machine.ended_at or self.cloud.time

    @precondition(lambda self: any(machine.scheduled for machine in self.cloud.live()))
    @rule()
    def guest_hangs(self) -> None:
        """Its own clock will not strike; the cloud's will."""
        for machine in self.cloud.live():
            if machine.scheduled:
                machine.hard_clock = machine.scheduled

    @rule(market=st.sampled_from(Market), zone=st.sampled_from("ab"), refusal=st.sampled_from([None, CAPACITY, QUOTA]))
    def refuse(self, market: Market, zone: str, refusal: RefusedError | None) -> None:
        where = (market, f"us-east-1{zone}")
        self.cloud.refusals.pop(where, None)
        if refusal is not None:
            self.cloud.refusals[where] = refusal

    @rule(lost=st.lists(st.sampled_from(["before", "after"]), min_size=1, max_size=3))
    def lose_answers(self, lost: list[str]) -> None:
        self.cloud.lost.extend(lost)

    @rule(flaky=st.integers(0, 4), deaf=st.sampled_from([0, 2, 100]), invisible_s=st.sampled_from([0.0, 20.0, 120.0]))
    def trouble(self, flaky: int, deaf: int, invisible_s: float) -> None:
        self.cloud.flaky, self.cloud.deaf, self.cloud.invisible_s = flaky, deaf, invisible_s

    # Disks go, after the two minutes in which a machine may not be visible, within the 15 that an end is waited for.
    @rule(lingering_s=st.sampled_from([0.0, 300.0, 700.0]), schedules=st.booleans())
    def disks_and_schedules(self, lingering_s: float, schedules: bool) -> None:
        self.cloud.lingering_s, self.cloud.schedules = lingering_s, schedules

    @invariant()
    def nothing_is_broken(self) -> None:
        broken = broken_invariants(read(self.path), self.cloud.instances()) + self.cloud.violations
        tick_usd = 0.05
        if (charged_usd := self.cloud.charged_usd()) > self.order.budget_usd + tick_usd:
            broken.append(f"${charged_usd:.3f} of ${self.order.budget_usd} charged")
        if broken:
            raise BrokenError("; ".join(broken))


QUICK = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


FIRST_FAULT = settings(QUICK, max_examples=1_000, phases=[Phase.generate], report_multiple_bugs=False)


def test_any_order_of_events() -> None:
    run_state_machine_as_test(Renting, settings=QUICK)


@pytest.mark.slow
def test_any_long_order_of_events() -> None:
    run_state_machine_as_test(Renting, settings=settings(QUICK, max_examples=600, stateful_step_count=40))


# Faults that the machine above has to find.


def sends_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    append = MortalJournal.append
    held: list[Event] = []

    def late(self: MortalJournal, event: Event) -> None:
        if isinstance(event, Requested):
            held[:] = [event]
            return
        if isinstance(event, Answered | Refused) and held:
            append(self, held.pop())
        append(self, event)

    monkeypatch.setattr(MortalJournal, "append", late)


def believes_that_terminate_terminates(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(cloud: Any, attempt: Any, tags: Any, *, now: Any, sleep: Any) -> Terminated:
        cloud.terminate(attempt.terms.rung.region, attempt.instance_id)
        return Terminated(at=now(), described="terminated", volumes=(), ended_at=now())

    monkeypatch.setattr(steps, "end", end)


def forgets_requests_of_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(self: Steps) -> None:
        self.journal.append(Refused(at=self.now(), why="no answer"))

    monkeypatch.setattr(Steps, "adopt", adopt)


def looks_once_for_requests_of_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requesting, "VISIBLE_S", 0.0)


def repeats_with_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def rented(cloud: Any, request: Request, *, now: Any, sleep: Any) -> Instance:
        for sending in range(5):
            try:
                again: Instance = cloud.request(replace(request, token=f"{request.token}{sending}"))
                return again
            except AnswerLostError:
                continue
        raise RefusedError("NoAnswer", "", Remedy.NEXT_ZONE)

    monkeypatch.setattr(steps, "rented", rented)


def forgets_what_was_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "spent_usd", lambda order, lease, now: 0.0)
    monkeypatch.setattr(budget, "_usages", lambda lease, now: [])


@pytest.mark.parametrize(
    "plant",
    [
        sends_before_it_writes,
        believes_that_terminate_terminates,
        forgets_requests_of_the_dead,
        looks_once_for_requests_of_the_dead,
        repeats_with_another_token,
        forgets_what_was_spent,
    ],
)
def test_planted_fault_is_found(plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(BrokenError):
        run_state_machine_as_test(Renting, settings=FIRST_FAULT)
