"""The machine that a sweep rents: what cloud/ decides and does, for one sweep's folder."""

import logging
import time
from datetime import datetime, timedelta
from functools import cache, cached_property, partial
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.cloud.budget import Order
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import AnswerLostError, Instance, Market, RefusedError
from hydra_plugins.hydra_ec2_launcher.cloud.cost import EGRESS_GB, HARVEST_S, TARIFF, Cost
from hydra_plugins.hydra_ec2_launcher.cloud.events import State
from hydra_plugins.hydra_ec2_launcher.cloud.journal import VIEW, Journal, read
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import Ladder
from hydra_plugins.hydra_ec2_launcher.cloud.lease import ENDED
from hydra_plugins.hydra_ec2_launcher.cloud.refusals import advice
from hydra_plugins.hydra_ec2_launcher.cloud.rental import RejectedError, Rental
from hydra_plugins.hydra_ec2_launcher.cloud.user_data import user_data
from hydra_plugins.hydra_ec2_launcher.home.account import cloud_of, now, own_address, planned, reap_earlier
from hydra_plugins.hydra_ec2_launcher.home.bill import record
from hydra_plugins.hydra_ec2_launcher.home.machine import Stage, folder_there
from hydra_plugins.hydra_ec2_launcher.home.sweep import JOURNAL, Sweep
from hydra_plugins.hydra_ec2_launcher.wire.host_key import rotate_host_key
from hydra_plugins.hydra_ec2_launcher.wire.keys import KeyPair, fingerprint, generate, write_private
from hydra_plugins.hydra_ec2_launcher.wire.ssh import SshTransport
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, RemoteCommandError, Transport, TransportError

log = logging.getLogger(__name__)

HARVEST = timedelta(seconds=HARVEST_S)
NOBODY = ""
"""the caller of one who only ends machines"""


class Rented:
    """A sweep's rented machine; see `Machine`."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.cloud = cloud_of(sweep.settings.rent)
        self.transport: SshTransport | None = None

    @cached_property
    def identity(self) -> KeyPair:
        """What we log in with."""
        return pair_of(self.sweep.folder / "keys" / "identity")

    @cached_property
    def host_key(self) -> KeyPair:
        """What a machine shows at its first boot."""
        return pair_of(self.sweep.folder / "keys" / "host")

    @cached_property
    def rental(self) -> Rental:
        """What rents and ends it; made when there is something to do, for it asks for this computer's address."""
        return self.rental_for(self.caller())

    def rental_for(self, caller: str) -> Rental:
        """What rents machines that the caller may reach, as the journal on disk has it."""
        return Rental(
            cloud=self.cloud,
            journal=Journal(self.sweep.folder / JOURNAL, view=self.sweep.cwd / VIEW),
            order=self.order(caller),
            user_data=self.user_data,
            now=now,
            sleep=time.sleep,
        )

    def caller(self) -> str:
        """The address that may reach the machine."""
        return self.sweep.settings.rent.caller or own_address(self.sweep.settings.site.who_am_i)

    def order(self, caller: str) -> Order:
        """What may be rented, and for how much."""
        rent, limits = self.sweep.settings.rent, self.sweep.settings.limits
        return Order(
            sweep=self.sweep.name,
            owner=rent.owner,
            instance_type=rent.instance_type,
            disk_gb=rent.disk_gb,
            user=rent.user,
            public_key=self.identity.public,
            caller=caller,
            host_key_fingerprint=fingerprint(self.host_key.public),
            budget_usd=limits.budget_usd,
            max_hours=limits.max_hours,
        )

    def user_data(self, deadline: datetime) -> str:
        """What the machine is told at its first boot."""
        return user_data(
            user=self.sweep.settings.rent.user,
            public_key=self.identity.public,
            host_private_key=self.host_key.private.read_text(),
            host_public_key=self.host_key.public,
            deadline=deadline
            + HARVEST / 2,  # the agent keeps the deadline itself; what it stopped still has to come home
        )

    def obtain(self, stage: Stage) -> Transport:
        for finding in reap_earlier(self.cloud, self.sweep):
            log.info("%s", finding)
        try:
            going_on = self.reach(self.sweep.settings.limits.lost_minutes * 60) is not None
        except HostKeyError:
            raise
        except TransportError as error:
            log.warning("the machine is lost: %s", error)
            self.lost()
            going_on = False
        if not going_on:
            try:
                self.rental.acquire(self.ladder(), partial(self.check, stage=stage))
            except RefusedError as refusal:
                remedy = advice(refusal.code) or "correct what hydra.launcher.rent asks for"
                raise ValueError(f"hydra.launcher.rent: EC2 refuses: {refusal}\n  remedy: {remedy}") from refusal
        assert self.transport is not None
        if self.rental.lease.state is not State.RUNNING:
            self.rental.move(State.RUNNING)
        return self.transport

    def reach(self, wait_s: float) -> Transport | None:
        if read(self.sweep.folder / JOURNAL).state in ENDED:
            return None
        instance = self.rental.resume()
        if instance is None or self.rental.lease.state is State.INTERRUPTED:
            return None
        log.info("going on with %s in %s", instance.id, instance.zone)
        self.transport = self.connected(instance, wait_s)
        return self.transport

    def check(self, instance: Instance, *, stage: Stage) -> None:
        """The health gate: the machine answers with its key, and becomes ready for jobs."""
        log.info("%s (%s, %s) is up: checking it", instance.id, instance.zone, instance.market.value)
        try:
            self.transport = self.connected(instance, self.sweep.settings.needs.wait_s)
            self.renew_host_key(self.transport)
            stage(self.transport, limits=self.limits())
        except HostKeyError:
            raise
        except (TransportError, RemoteCommandError) as error:
            raise RejectedError(f"it cannot be worked with: {error}") from error

    def connected(self, instance: Instance, wait_s: float) -> SshTransport:
        """The way to the machine, which shows a key that is its own."""
        assert instance.address is not None
        connection = self.sweep.settings.connection
        transport = SshTransport(
            host=instance.address,
            port=connection.port,
            user=self.sweep.settings.rent.user,
            identity=self.identity.private,
            host_public_key=self.host_key.public,
            root=folder_there(self.sweep),
            folder=self.sweep.folder / "ssh",
            proxy_command=connection.proxy_command,
        )
        transport.pin(*self.host_keys())
        transport.wait_until_reachable(wait_s)
        return transport

    def renew_host_key(self, transport: SshTransport) -> None:
        """Have the machine make itself a key that nobody could read."""
        site = self.sweep.settings.site
        renewed = rotate_host_key(transport, remember=self.remember_host_key, host_key=site.host_key)
        write_private(self.host_keys_file, f"{renewed}\n")

    def remember_host_key(self, key: str) -> None:
        """From now on the machine may show this key as well."""
        write_private(self.host_keys_file, "".join(f"{known}\n" for known in [*self.host_keys(), key]))

    def host_keys(self) -> list[str]:
        """The keys that the present machine may show."""
        path = self.host_keys_file
        return path.read_text().splitlines() if path.exists() else [self.host_key.public]

    @property
    def host_keys_file(self) -> Path:
        return self.sweep.folder / "keys" / f"machine.{self.number}"

    def limits(self) -> dict[str, float]:
        """What the agent has to know to end the machine in time by itself."""
        price = self.rental.lease.current.prices[-1][1]
        order = self.rental.order
        return {
            "hard_deadline": self.rental.hard_deadline().timestamp(),
            "usd_per_hour": price.usd_per_hour + TARIFF.besides_usd_hour(order.disk_gb),
            "budget_usd": order.budget_usd - EGRESS_GB * TARIFF.egress_usd_gb,
            "spent_usd": self.rental.spent_usd(),
            "spent_at": now().timestamp(),
        }

    def ladder(self) -> Ladder:
        """What to ask for, in which order."""
        rent = self.sweep.settings.rent
        return Ladder(
            [Market(market) for market in rent.markets],
            rent.regions,
            cache(lambda region: self.cloud.zones(region, rent.instance_type)),
            rent.amis,
        )

    def alive(self) -> bool:
        try:
            self.rental = self.rental_for(self.caller())  # our address may have changed
            return self.rental.resume() is not None
        except (AnswerLostError, RefusedError, ValueError) as error:  # the line is down here, or a login has expired
            log.debug("nobody can say whether the machine lives: %s", error)
            return True

    @property
    def at_work(self) -> bool:
        return read(self.sweep.folder / JOURNAL).state in (State.RUNNING, State.DETACHED)

    def detached(self) -> None:
        if self.rental.lease.state is State.RUNNING:
            self.rental.move(State.DETACHED)

    def interrupted(self) -> None:
        self.rental.move(State.INTERRUPTED)

    def lost(self) -> None:
        if self.rental.lease.state not in ENDED:
            self.rental.move(State.LOST, "it does not answer")

    def release(self, reason: str) -> None:
        if not (self.sweep.folder / JOURNAL).exists():
            return
        # From the journal anew: an interruption may have come between a line of it and what is known of that here.
        self.rental = self.rental_for(self.sweep.settings.rent.caller or NOBODY)
        ended = self.rental.lease.state in ENDED
        self.rental.release(reason)
        if not ended:
            log.info("the machine is gone: %s", self.rental.cost())
        self.record_cost()
        for pair in (self.identity, self.host_key):
            pair.delete()

    @property
    def number(self) -> int:
        return len(self.rental.lease.attempts)

    def cost(self) -> Cost:
        return self.rental.cost()

    def record_cost(self) -> None:
        self.rental.note_price()
        record(
            self.sweep,
            self.rental.cost(),
            planned_worst_usd=planned(self.sweep.settings).total_usd,
            billed_s=self.rental.billed_s(),
            settled=self.rental.lease.state in ENDED,
        )


def pair_of(private: Path) -> KeyPair:
    """The sweep's key pair in that file, made at its first use."""
    return KeyPair(private=private) if private.exists() else generate(private)
