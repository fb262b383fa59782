"""The slot's machine from its first request to its confirmed end: which step comes next."""

import logging
from collections.abc import Callable
from datetime import datetime

from hydra_plugins.hydra_ec2_launcher.cloud import budget
from hydra_plugins.hydra_ec2_launcher.cloud.budget import Order
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Cloud, Instance, Market, RefusedError, Remedy, Rung
from hydra_plugins.hydra_ec2_launcher.cloud.cost import Cost
from hydra_plugins.hydra_ec2_launcher.cloud.events import State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import Journal
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import Ladder, NoMachineError
from hydra_plugins.hydra_ec2_launcher.cloud.lease import CHECKED, DOOMED, ENDED, Lease
from hydra_plugins.hydra_ec2_launcher.cloud.requesting import Now, Sleep
from hydra_plugins.hydra_ec2_launcher.cloud.steps import Steps

log = logging.getLogger(__name__)


class RejectedError(Exception):
    """The machine is not fit for the work: so says the check that `acquire` is given."""


class Rental:
    """The one that rents and ends the slot's machine. Whoever makes one holds the sweep's lock.

    A new Rental on the same journal goes on wherever the process of the last one died.
    """

    def __init__(
        self,
        *,
        cloud: Cloud,
        journal: Journal,
        order: Order,
        user_data: Callable[[datetime], str],
        now: Now,
        sleep: Sleep,
    ) -> None:
        """`user_data` is given the machine's hard deadline; `now` gives aware times; `sleep` takes seconds."""
        self._steps = Steps(cloud, journal, order, user_data=user_data, now=now, sleep=sleep)

    @property
    def lease(self) -> Lease:
        return self._steps.lease

    def acquire(self, ladder: Ladder, check: Callable[[Instance], None]) -> Instance:
        """A machine that passed its check: the one at hand, or the first that a rung of the ladder gives.

        A machine that was interrupted or harvested gives way to a new one. `check` raises RejectedError; the machine is
        then ended, for certain, before another is asked for.

        Raises:
            NoMachineError: no rung gave one.
            RefusedError: the request itself has to change (Remedy.STOP).
            StillLiveError: an earlier machine could not be ended.
        """
        self._finish_past()
        if self.lease.state is State.INTERRUPTED:
            self._steps.end("another machine takes over")
        for attempt in self.lease.attempts:
            if attempt.rejected:
                ladder = ladder.after(attempt.terms.rung, Remedy.NEXT_AMI, f"rejected: {attempt.why}")
        while (rung := self._rung_at_hand() or ladder.next()) is not None:
            try:
                return self._climb(rung, check)
            except RefusedError as refusal:
                log.warning("%s %s %s: %s", rung.market.value, rung.zone, rung.ami, refusal)
                if refusal.remedy is Remedy.STOP:
                    raise
                ladder = ladder.after(rung, refusal.remedy, refusal.code)
        raise NoMachineError(ladder.tried)

    def resume(self) -> Instance | None:
        """Go on after another process died: finish what it was ending, and return the machine that may hold work.

        None where there is no such machine: `acquire` then goes on with one that was not yet checked, or rents.
        """
        self._finish_past()
        if self.lease.state not in CHECKED:
            return None
        instance = self._steps.described()
        if instance is None or instance.state != "running":
            self._lose("it is gone")
            return None
        if self._steps.now() >= self.lease.current.terms.outer_deadline:
            self._lose("it runs past its deadline")
            return None
        self._steps.prepare(instance.region)  # the caller's address may have changed
        return instance

    def release(self, why: str) -> None:
        """End the machine, if there is one, and delete its key and security group; repeatable.

        Raises:
            StillLiveError: it could not be ended; calling again is right.
        """
        self._finish_past()
        if self.lease.state not in ENDED:
            self._steps.end(why)
        for region in sorted(self.lease.prepared):
            self._steps.clean(region)

    def move(self, to: State, why: str = "") -> None:
        """Note what became of the machine: work began, it was detached, the cloud takes it away, or it is lost.

        The next `acquire` gives an interrupted one up; `acquire`, `resume` and `release` end a lost one.
        """
        self._steps.move(to, why)

    def note_price(self) -> None:
        """Ask what the spot market takes now: `spent_usd` and `hard_deadline` reckon with it from here on."""
        if self.lease.state not in ENDED and self.lease.current.terms.rung.market is Market.SPOT:
            self._steps.note_price()

    def hard_deadline(self) -> datetime:
        """When the current machine has to stop working: its own clock's time, or earlier where its price has risen."""
        return budget.hard_deadline(self._steps.order, self.lease, self._steps.now())

    def spent_usd(self) -> float:
        """What all machines have cost so far, without egress."""
        return budget.spent_usd(self._steps.order, self.lease, self._steps.now())

    def cost(self) -> Cost:
        """What all machines have cost so far, or in all once the last has ended."""
        return budget.cost_of(self.lease, self._steps.now())

    def billed_s(self) -> float:
        """The seconds of all machines that are paid for so far."""
        return budget.billed_s(self.lease, self._steps.now())

    @property
    def order(self) -> Order:
        return self._steps.order

    def _finish_past(self) -> None:
        """Bring what an earlier process left half done to its end."""
        if self.lease.state is State.REQUESTING:
            self._steps.adopt()
        if self.lease.state in DOOMED:
            self._steps.end()

    def _rung_at_hand(self) -> Rung | None:
        return None if self.lease.state in ENDED else self.lease.current.terms.rung

    def _climb(self, rung: Rung, check: Callable[[Instance], None]) -> Instance:
        """One attempt, or the rest of the one at hand; RefusedError once it has failed and nothing of it lives."""
        if self.lease.state in ENDED:
            self._steps.request(rung)
        if self.lease.state is State.PENDING and not self._steps.boot():
            raise self._lose("it did not boot")
        instance = self._steps.described()
        if instance is None or instance.state != "running":
            raise self._lose("it is gone")
        if self.lease.state is State.BOOTING:
            self._steps.move(State.CHECKING)
        if self.lease.state is State.CHECKING:
            try:
                check(instance)
            except RejectedError as rejection:
                raise self._reject(str(rejection)) from rejection
            self._steps.move(State.STAGING)
        return instance

    def _reject(self, why: str) -> RefusedError:
        """End a machine that is not fit; what it wrote on its console stays beside the journal."""
        self._steps.move(State.REJECTED, why)
        self._steps.keep_console()
        self._steps.end()
        return RefusedError(f"rejected: {why}", "its console output lies beside the journal", Remedy.NEXT_AMI)

    def _lose(self, why: str) -> RefusedError:
        """End what may be left of a machine that can do no work."""
        self._steps.move(State.LOST, why)
        self._steps.end()
        return RefusedError("Lost", why, Remedy.NEXT_ZONE)
