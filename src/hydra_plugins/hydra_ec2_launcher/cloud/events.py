"""What can happen to a slot's machine: the events of a lease, as the journal holds them. Nothing in them is secret."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Image, Price, Rung
from hydra_plugins.hydra_ec2_launcher.cloud.cost import HARVEST_S


class State(Enum):
    """How far an attempt has come."""

    PLANNED = "planned"
    REQUESTING = "requesting"
    PENDING = "pending"
    BOOTING = "booting"
    CHECKING = "checking"
    STAGING = "staging"
    RUNNING = "running"
    DETACHED = "detached"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    REJECTED = "rejected"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    SETTLED = "settled"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an attempt asks for."""

    number: int
    """from 1, over the lease"""
    token: str
    rung: Rung
    image: Image
    instance_type: str
    disk_gb: int
    user: str
    security_group: str
    key_name: str
    host_key_fingerprint: str
    price: Price
    deadline: datetime
    """of the machine's hard clock"""

    @property
    def outer_deadline(self) -> datetime:
        """When the cloud itself, or whoever reads the machine's tags, ends it."""
        return self.deadline + timedelta(seconds=HARVEST_S)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The lease begins."""

    at: datetime
    sweep: str
    kind: Literal["planned"] = "planned"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A key and a security group are about to be made in the region."""

    at: datetime
    region: str
    kind: Literal["prepared"] = "prepared"


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The key and the security group of the region are gone."""

    at: datetime
    region: str
    kind: Literal["cleaned"] = "cleaned"


@dataclass(frozen=True, kw_only=True)
class Requested:
    """A machine is about to be asked for."""

    at: datetime
    terms: Terms
    kind: Literal["requested"] = "requested"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The request led to no machine."""

    at: datetime
    why: str
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """There is a machine."""

    at: datetime
    instance_id: str
    launched_at: datetime
    kind: Literal["answered"] = "answered"


@dataclass(frozen=True, kw_only=True)
class Booted:
    """The machine runs and has an address."""

    at: datetime
    address: str
    scheduled: bool
    kind: Literal["booted"] = "booted"


@dataclass(frozen=True, kw_only=True)
class Priced:
    """The market's price has changed."""

    at: datetime
    price: Price
    kind: Literal["priced"] = "priced"


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The attempt goes over into a state that needs no more than a reason."""

    at: datetime
    to: State
    why: str = ""
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, kw_only=True)
class Terminated:
    """The cloud says that the machine is gone, and lists no disk of it."""

    at: datetime
    described: Literal["terminated", "forgotten"]
    volumes: tuple[str, ...]
    """the disks that the cloud lists: none"""
    ended_at: datetime
    """when it stopped to cost money; rather too late than too early"""
    kind: Literal["terminated"] = "terminated"


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The attempt's cost is known, egress apart."""

    at: datetime
    cost_usd: float
    kind: Literal["settled"] = "settled"


Event = Planned | Prepared | Cleaned | Requested | Refused | Answered | Booted | Priced | Moved | Terminated | Settled
