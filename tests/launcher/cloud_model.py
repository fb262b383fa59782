"""A cloud in memory with a clock of its own: it bills by the second, forgets nothing, and fails as it is told to."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hydra_plugins.hydra_ec2_launcher.cloud.budget import Order
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    AnswerLostError,
    Image,
    Instance,
    Market,
    Price,
    RefusedError,
    Remedy,
    Request,
)
from hydra_plugins.hydra_ec2_launcher.cloud.cost import TARIFF
from hydra_plugins.hydra_ec2_launcher.cloud.events import Event, State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import Journal
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import Ladder
from hydra_plugins.hydra_ec2_launcher.cloud.lease import ENDED, Lease
from hydra_plugins.hydra_ec2_launcher.cloud.rental import RejectedError, Rental

Result = TypeVar("Result")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOOT_S = 25.0
SHUTDOWN_S = 20.0
USD_PER_HOUR = {Market.SPOT: 0.5, Market.ON_DEMAND: 1.212}


class Crash(BaseException):
    """The client's process dies here; no `except Exception` sees it."""


@dataclass
class Machine:
    """A machine as it is, whatever the cloud's answers say."""

    id: str
    request: Request
    launched_at: datetime
    hard_clock: datetime
    """when it powers itself off"""
    visible_at: datetime
    scheduled: datetime | None = None
    """when the cloud ends it"""
    ended_at: datetime | None = None
    """when it was told to end: it is billed until then"""

    def state(self, now: datetime) -> str:
        if self.ended_at is not None:
            return "shutting-down" if now < self.ended_at + timedelta(seconds=SHUTDOWN_S) else "terminated"
        return "pending" if now < self.launched_at + timedelta(seconds=BOOT_S) else "running"


@dataclass
class CloudModel:
    """A `Cloud` whose faults are its fields. `now` and `sleep` are its clock."""

    time: datetime = START
    machines: list[Machine] = field(default_factory=list)
    refusals: dict[tuple[Market, str], RefusedError] = field(default_factory=dict)
    """by market and zone"""
    lost: deque[str] = field(default_factory=deque)
    """of the next requests' answers: "before" or "after" the work was done"""
    flaky: int = 0
    """so many calls of any other kind are not answered"""
    deaf: int = 0
    """so many terminations are refused"""
    invisible_s: float = 0.0
    """from its start, describe and find do not know a machine"""
    lingering_s: float = 0.0
    """disks outlive their machine"""
    schedules: bool = True
    usd_per_hour: dict[Market, float] = field(default_factory=lambda: dict(USD_PER_HOUR))
    """what the market says; machines are billed at the price they began with"""
    crash_in: int | None = None
    """the client dies at that many places from here: before and after each call and each line of the journal"""
    prepared: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass; machines whose clock strikes end at that very second."""
        self.time += timedelta(seconds=seconds)
        for machine in self.machines:
            strikes = min(machine.hard_clock, machine.scheduled or machine.hard_clock)
            if machine.ended_at is None and strikes <= self.time:
                machine.ended_at = strikes

    def place(self) -> None:
        """A place where the client may die."""
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.crash_in = None
                raise Crash

    def live(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.state(self.time) != "terminated"]

    def charged_usd(self) -> float:
        """What the account has to pay by now, egress apart."""
        total = 0.0
        for machine in self.machines:
            seconds = max(60.0, ((machine.ended_at or self.time) - machine.launched_at).total_seconds())
            usd_hour = USD_PER_HOUR[machine.request.rung.market] + TARIFF.besides_usd_hour(machine.request.disk_gb)
            total += seconds / 3600 * usd_hour
        return total

    # What `Cloud` asks for.

    def zones(self, region: str, instance_type: str) -> Sequence[str]:
        return [f"{region}a", f"{region}b"]

    def image(self, region: str, ami: str) -> Image:
        return Image(id=ami, name=ami, owner="amazon", root_device="/dev/sda1")

    def price(self, region: str, zone: str, instance_type: str, market: Market) -> Price:
        return Price(usd_per_hour=self.usd_per_hour[market], source="the model", date="2026-03-01")

    def prepare(self, region: str, *, sweep: str, public_key: str, caller: str) -> tuple[str, str]:
        def work() -> tuple[str, str]:
            self.prepared.add(region)
            return f"sg-{sweep}", f"key-{sweep}"

        return self._call("prepare", work)

    def request(self, request: Request) -> Instance:
        self.log.append(f"request {request.token[:8]}")
        self.place()
        lost = self.lost.popleft() if self.lost else None
        if lost == "before":
            raise AnswerLostError("the line broke")
        known = [machine for machine in self.machines if machine.request.token == request.token]
        if known and known[0].request != request:
            raise RefusedError("IdempotentParameterMismatch", "same token, other parameters", Remedy.STOP)
        refusal = self.refusals.get((request.rung.market, request.rung.zone))
        if not known and refusal is not None and lost is None:
            raise refusal
        machine = known[0] if known else self._launch(request)
        self.place()
        if lost == "after":
            raise AnswerLostError("the line broke")
        return self._instance(machine)

    def find(self, region: str, tags: Mapping[str, str]) -> Sequence[Instance]:
        return self._call("find", lambda: [self._instance(machine) for machine in self._tagged(region, tags)])

    def describe(self, region: str, instance_id: str) -> Instance | None:
        def work() -> Instance | None:
            return next(
                (self._instance(machine) for machine in self._visible(region) if machine.id == instance_id), None
            )

        return self._call("describe", work)

    def terminate(self, region: str, instance_id: str) -> None:
        def work() -> None:
            if self.deaf > 0:
                self.deaf -= 1
                raise RefusedError("InternalError", "try again", Remedy.STOP)
            for machine in self._visible(region):  # one that is not visible yet is not found, and that is no error
                if machine.id == instance_id and machine.ended_at is None:
                    machine.ended_at = self.time

        self._call("terminate", work)

    def volumes(self, region: str, tags: Mapping[str, str]) -> Sequence[str]:
        lasts = timedelta(seconds=SHUTDOWN_S + self.lingering_s)
        return self._call(
            "volumes",
            lambda: [
                f"vol-{machine.id}"
                for machine in self._tagged(region, tags)
                if machine.ended_at is None or self.time < machine.ended_at + lasts
            ],
        )

    def cleanup(self, region: str, *, sweep: str) -> None:
        self._call("cleanup", lambda: self.prepared.discard(region))

    def schedule_termination(self, region: str, instance_id: str, at: datetime) -> bool:
        def work() -> bool:
            for machine in self.machines:
                if self.schedules and machine.id == instance_id:
                    machine.scheduled = at
            return self.schedules

        return self._call("schedule_termination", work)

    def console(self, region: str, instance_id: str) -> str:
        return self._call("console", lambda: "[    0.000000] Linux version 6.8\n")

    def _call(self, name: str, work: Callable[[], Result]) -> Result:
        self.log.append(name)
        self.place()
        if self.flaky > 0:
            self.flaky -= 1
            raise AnswerLostError(f"{name}: the line broke")
        result = work()
        self.place()
        return result

    def _launch(self, request: Request) -> Machine:
        if live := self.live():
            self.violations.append(f"a machine was rented while {live[0].id} lived")
        machine = Machine(
            id=f"i-{len(self.machines)}",
            request=request,
            launched_at=self.time,
            hard_clock=datetime.fromisoformat(request.user_data),
            visible_at=self.time + timedelta(seconds=self.invisible_s),
        )
        self.machines.append(machine)
        return machine

    def _visible(self, region: str) -> list[Machine]:
        here = [machine for machine in self.machines if machine.request.rung.region == region]
        return [machine for machine in here if self.time >= machine.visible_at]

    def _tagged(self, region: str, tags: Mapping[str, str]) -> list[Machine]:
        return [machine for machine in self._visible(region) if tags.items() <= machine.request.tags.items()]

    def instances(self) -> list[Instance]:
        """All machines as they are."""
        return [self._instance(machine) for machine in self.machines]

    def _instance(self, machine: Machine) -> Instance:
        state = machine.state(self.time)
        return Instance(
            id=machine.id,
            region=machine.request.rung.region,
            zone=machine.request.rung.zone,
            market=machine.request.rung.market,
            state=state,
            address="192.0.2.7" if state == "running" else None,
            launched_at=machine.launched_at,
            tags=machine.request.tags,
        )


class MortalJournal(Journal):
    """A journal whose process may die before, in and after each line."""

    def __init__(self, path: Path, cloud: CloudModel) -> None:
        super().__init__(path)
        self.cloud = cloud

    def append(self, event: Event) -> None:
        self.cloud.place()
        try:
            self.cloud.place()
        except Crash:
            with self.path.open("ab") as file:
                file.write(b'{"at":"2026-03-01T12:00:0')
            raise
        super().append(event)
        self.cloud.place()


def order(**changes: object) -> Order:
    """An order of a g5.2xlarge for three hours and four dollars."""
    base = Order(
        sweep="sweep",
        owner="me",
        instance_type="g5.2xlarge",
        disk_gb=100,
        user="ubuntu",
        public_key="ssh-ed25519 AAAA",
        caller="192.0.2.1/32",
        host_key_fingerprint="SHA256:abc",
        budget_usd=4.0,
        max_hours=3.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def ladder(cloud: CloudModel, *, amis: Sequence[str] = ("ami-1", "ami-2")) -> Ladder:
    """Spot, then on-demand, in the two zones of one region."""
    markets = [Market.SPOT, Market.ON_DEMAND]
    return Ladder(markets, ["us-east-1"], lambda region: cloud.zones(region, "g5.2xlarge"), amis)


def client(cloud: CloudModel, path: Path, its_order: Order | None = None) -> Rental:
    """A new process that drives the sweep of that journal."""
    return Rental(
        cloud=cloud,
        journal=MortalJournal(path, cloud),
        order=its_order or order(),
        user_data=lambda deadline: deadline.isoformat(),
        now=cloud.now,
        sleep=cloud.sleep,
    )


def fit(instance: Instance) -> None:
    """A check that every machine passes."""


def unfit_image(ami: str, cloud: CloudModel) -> Callable[[Instance], None]:
    """A check that machines of that image do not pass."""

    def check(instance: Instance) -> None:
        machine = next(machine for machine in cloud.machines if machine.id == instance.id)
        if machine.request.image.id == ami:
            raise RejectedError("driver 470 is older than 525")

    return check


def broken_invariants(lease: Lease, machines: Sequence[Instance] = ()) -> list[str]:
    """What must never be true of a lease and of the slot's machines in the cloud, in words; none where all is well."""
    live = [machine for machine in machines if machine.live]
    may_live = None if lease.state in (State.TERMINATED, *ENDED) else lease.current
    broken = [
        f"attempt {attempt.terms.number} is {attempt.state.name} beside a newer one"
        for attempt in lease.attempts[:-1]
        if attempt.state is not State.SETTLED
    ]
    if len(live) > 1:
        broken.append(f"{len(live)} machines live at once: {', '.join(machine.id for machine in live)}")
    for machine in live:
        # While an answer is out, any machine may be the one.
        if may_live is None or may_live.instance_id not in (None, machine.id):
            broken.append(f"the lease is {lease.state.name}, and {machine.id} lives without it")
    return broken
