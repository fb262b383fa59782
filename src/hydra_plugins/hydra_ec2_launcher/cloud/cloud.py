"""What renting needs of a cloud: the requests, their answers, and what can be refused. `ec2.py` answers them with boto3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

OWNER_TAG = "botscalp:owner"
SWEEP_TAG = "botscalp:sweep"
ATTEMPT_TAG = "botscalp:attempt"
DEADLINE_TAG = "botscalp:deadline"


class Market(Enum):
    """How a machine is paid for."""

    SPOT = "spot"
    ON_DEMAND = "on-demand"


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One thing to ask for: where, at which market, with which image."""

    market: Market
    region: str
    zone: str
    ami: str
    """an image id, or the name of the public SSM parameter that holds one"""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A machine image that exists."""

    id: str
    name: str
    owner: str
    root_device: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt to rent: all that RunInstances is told. The token makes a repetition harmless."""

    token: str
    rung: Rung
    image: Image
    instance_type: str
    disk_gb: int
    key_name: str
    security_group: str
    user_data: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A machine as the cloud describes it."""

    id: str
    region: str
    zone: str
    market: Market
    state: str
    """EC2's word: pending, running, shutting-down, terminated, stopping, stopped"""
    address: str | None
    launched_at: datetime
    tags: Mapping[str, str]

    @property
    def live(self) -> bool:
        """Whether it may still cost money."""
        return self.state != "terminated"


@dataclass(frozen=True, kw_only=True)
class Price:
    """Dollars per hour, and who says so."""

    usd_per_hour: float
    source: str
    """e.g. "spot price history" or "ceiling from the configuration" """
    date: str
    """ISO day of the price, "unknown" where nobody says"""
    estimated: bool = False
    """whether it is a configured ceiling instead of a price"""


class Remedy(Enum):
    """What a refusal leaves to try."""

    NEXT_ZONE = "the next zone"
    NEXT_REGION = "another region or market"
    NEXT_MARKET = "another market"
    NEXT_AMI = "another image"
    STOP = "nothing: the request itself has to change"


class RefusedError(Exception):
    """The cloud said no, with a code of its own."""

    def __init__(self, code: str, message: str, remedy: Remedy) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.remedy = remedy


class AnswerLostError(Exception):
    """Nobody knows whether the request arrived: ask again with the same token, or look for its tags."""


class Cloud(Protocol):
    """A cloud that rents machines by the hour."""

    def zones(self, region: str, instance_type: str) -> Sequence[str]:
        """The zones of the region that offer the type, in the order to try them."""
        ...

    def image(self, region: str, ami: str) -> Image:
        """The image behind an id or a parameter's name; RefusedError (NEXT_AMI) where there is none of a trusted owner."""
        ...

    def price(self, region: str, zone: str, instance_type: str, market: Market) -> Price: ...

    def prepare(self, region: str, *, sweep: str, public_key: str, caller: str) -> tuple[str, str]:
        """Import the sweep's key and make its security group, open to `caller` (a CIDR) alone; (group id, key name).

        Repeatable: what exists is found again, and a changed caller replaces the old rule.
        """
        ...

    def request(self, request: Request) -> Instance:
        """Rent one machine; RefusedError or AnswerLostError. The same token never rents two."""
        ...

    def find(self, region: str, tags: Mapping[str, str]) -> Sequence[Instance]:
        """The machines that carry all these tags, terminated ones included as long as the cloud remembers them."""
        ...

    def describe(self, region: str, instance_id: str) -> Instance | None:
        """The machine; None where the cloud does not (or not yet) know it."""
        ...

    def terminate(self, region: str, instance_id: str) -> None:
        """Ask to end the machine; repeatable, and no error for one that is gone."""
        ...

    def volumes(self, region: str, tags: Mapping[str, str]) -> Sequence[str]:
        """The disks with these tags that still exist."""
        ...

    def cleanup(self, region: str, *, sweep: str) -> None:
        """Delete the sweep's security group and key, once no machine uses them; repeatable."""
        ...

    def schedule_termination(self, region: str, instance_id: str, at: datetime) -> bool:
        """Have the cloud itself end the machine at that time; whether it agreed (it needs a role, see docs/a10g.md)."""
        ...

    def console(self, region: str, instance_id: str) -> str:
        """What the machine wrote on its console, "" where nothing is known."""
        ...
