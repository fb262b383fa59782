"""The steps of a lease, one at a time: each is in the journal before it is taken."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from hydra_plugins.hydra_ec2_launcher.cloud import budget, cost
from hydra_plugins.hydra_ec2_launcher.cloud.budget import Order
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    AnswerLostError,
    Cloud,
    Instance,
    Price,
    RefusedError,
    Rung,
)
from hydra_plugins.hydra_ec2_launcher.cloud.ending import end
from hydra_plugins.hydra_ec2_launcher.cloud.events import (
    Answered,
    Booted,
    Cleaned,
    Moved,
    Planned,
    Prepared,
    Priced,
    Refused,
    Requested,
    Settled,
    State,
)
from hydra_plugins.hydra_ec2_launcher.cloud.journal import Journal
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease
from hydra_plugins.hydra_ec2_launcher.cloud.requesting import (
    POLL_S,
    Now,
    Sleep,
    attempt_tags,
    found_by_tags,
    patiently,
    rented,
    request_of,
    shown_up,
    terms_of,
)

log = logging.getLogger(__name__)

BOOT_WITHIN_S = 600.0
CLEAN_WITHIN_S = 60.0


class Steps:
    """What can be done about the slot's machine. Which step is right when, rental.py decides."""

    def __init__(
        self,
        cloud: Cloud,
        journal: Journal,
        order: Order,
        *,
        user_data: Callable[[datetime], str],
        now: Now,
        sleep: Sleep,
    ) -> None:
        self.cloud = cloud
        self.journal = journal
        self.order = order
        self.user_data = user_data
        self.now = now
        self.sleep = sleep
        if not self.lease.sweep:
            # Folders of sweeps may be named alike; tokens, tags and keys in the account may not.
            journal.append(Planned(at=now(), sweep=f"{order.sweep}-{secrets.token_hex(4)}"))

    @property
    def lease(self) -> Lease:
        return self.journal.lease

    def move(self, to: State, why: str = "") -> None:
        """Go over into the state, unless the lease is in it."""
        if self.lease.state is not to:
            self.journal.append(Moved(at=self.now(), to=to, why=why))

    def price(self, rung: Rung) -> Price:
        ask = (rung.region, rung.zone, self.order.instance_type, rung.market)
        return patiently(lambda: self.cloud.price(*ask), sleep=self.sleep)

    def note_price(self) -> None:
        """Write down what the machine's market takes now, if that has changed."""
        price = self.price(self.lease.current.terms.rung)
        if price.usd_per_hour != self.lease.current.prices[-1][1].usd_per_hour:
            self.journal.append(Priced(at=self.now(), price=price))

    def prepare(self, region: str) -> tuple[str, str]:
        """The security group and the key's name there, made or found, open to the caller of now."""
        if region not in self.lease.prepared:
            self.journal.append(Prepared(at=self.now(), region=region))
        names = {"sweep": self.lease.sweep, "public_key": self.order.public_key, "caller": self.order.caller}
        return patiently(lambda: self.cloud.prepare(region, **names), sleep=self.sleep)

    def clean(self, region: str) -> None:
        """Delete the key and the security group there; what stays costs nothing and is tried again by the next call."""
        give_up = self.now() + timedelta(seconds=CLEAN_WITHIN_S)
        while True:
            try:
                self.cloud.cleanup(region, sweep=self.lease.sweep)
            except (
                AnswerLostError,
                RefusedError,
            ) as error:  # the group is in use until the machine's interface is gone
                if self.now() >= give_up:
                    log.warning("the key and security group of %s stay in %s: %s", self.lease.sweep, region, error)
                    return
                self.sleep(POLL_S)
            else:
                self.journal.append(Cleaned(at=self.now(), region=region))
                return

    def request(self, rung: Rung) -> None:
        """Ask for a machine; RefusedError where that led to none."""
        price = self.price(rung)
        hours = budget.hours_to_rent(self.order, self.lease, price, self.now())
        terms = terms_of(
            self.order,
            self.lease.sweep,
            len(self.lease.attempts) + 1,
            rung=rung,
            image=patiently(lambda: self.cloud.image(rung.region, rung.ami), sleep=self.sleep),
            price=price,
            access=self.prepare(rung.region),
            deadline=self.now() + timedelta(hours=hours),
        )
        request = request_of(self.order, self.lease.sweep, terms, self.user_data(terms.deadline))
        self.journal.append(Requested(at=self.now(), terms=terms))
        try:
            self._answered(rented(self.cloud, request, now=self.now, sleep=self.sleep))
        except RefusedError as refusal:
            self.journal.append(Refused(at=self.now(), why=str(refusal)))
            raise

    def adopt(self) -> None:
        """Learn what became of a request whose sender died; it is not sent again, for its time may be over."""
        terms = self.lease.current.terms
        tags = attempt_tags(self.order.owner, self.lease.sweep, terms.number)
        instance = found_by_tags(self.cloud, terms.rung.region, tags, now=self.now, sleep=self.sleep)
        if instance is None:
            self.journal.append(Refused(at=self.now(), why="its sender died, and no machine is to be seen"))
        else:
            self._answered(instance)

    def boot(self) -> bool:
        """Have the cloud end the machine should all else fail, then wait until it runs; whether it does."""
        scheduled = self._schedule_end()
        give_up = self.now() + timedelta(seconds=BOOT_WITHIN_S)
        while self.now() < give_up:
            instance = self.described()
            if instance is not None and instance.state not in ("pending", "running"):
                break
            if instance is not None and instance.state == "running" and instance.address is not None:
                self.journal.append(Booted(at=self.now(), address=instance.address, scheduled=scheduled))
                return True
            self.sleep(POLL_S)
        return False

    def described(self) -> Instance | None:
        """The current machine as the cloud sees it; None where it stays unknown for minutes."""
        attempt = self.lease.current
        assert attempt.instance_id is not None, "only an answered attempt has a machine"
        region, instance_id = attempt.terms.rung.region, attempt.instance_id
        return shown_up(lambda: self.cloud.describe(region, instance_id), now=self.now, sleep=self.sleep)

    def keep_console(self) -> None:
        """Save what the machine wrote on its console beside the journal, as far as the cloud has it."""
        attempt = self.lease.current
        assert attempt.instance_id is not None, "only an answered attempt has a machine"
        try:
            text = self.cloud.console(attempt.terms.rung.region, attempt.instance_id)
        except (AnswerLostError, RefusedError) as error:
            text = f"no console output: {error}\n"
        self.journal.path.with_name(f"console-{attempt.terms.number}.txt").write_text(text)

    def end(self, why: str = "") -> None:
        """End the machine for certain, and settle its cost; goes on wherever an earlier call stopped."""
        if self.lease.state is not State.TERMINATED:
            self.move(State.TERMINATING, why)
            tags = attempt_tags(self.order.owner, self.lease.sweep, self.lease.current.terms.number)
            self.journal.append(end(self.cloud, self.lease.current, tags, now=self.now, sleep=self.sleep))
        usage = self.lease.current.usage(self.now())
        assert usage is not None, "only an answered attempt is ended"
        paid = cost.settled([usage], egress_gb=0)
        self.journal.append(Settled(at=self.now(), cost_usd=paid.total_usd))

    def _answered(self, instance: Instance) -> None:
        self.journal.append(Answered(at=self.now(), instance_id=instance.id, launched_at=instance.launched_at))

    def _schedule_end(self) -> bool:
        attempt = self.lease.current
        assert attempt.instance_id is not None, "only an answered attempt has a machine"
        region, at = attempt.terms.rung.region, attempt.terms.outer_deadline
        try:
            return self.cloud.schedule_termination(region, attempt.instance_id, at)
        except (AnswerLostError, RefusedError) as error:
            log.warning("the cloud will not end %s by itself: %s", attempt.instance_id, error)
            return False
