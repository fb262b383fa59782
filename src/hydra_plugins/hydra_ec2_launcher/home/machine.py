"""What a sweep needs of its machine, wherever that comes from."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hydra_plugins.hydra_ec2_launcher.cloud.cost import Cost
from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep
from hydra_plugins.hydra_ec2_launcher.wire.transport import Transport

Stage = Callable[..., None]
"""stage(transport, limits=...): makes a machine ready, or raises RejectedError"""


class Machine(Protocol):
    """The one machine that a sweep has at a time."""

    @property
    def number(self) -> int:
        """From 1, over the sweep."""
        ...

    def obtain(self, stage: Stage) -> Transport:
        """The machine, checked and ready; the one that an earlier process left at work, where there is one."""
        ...

    def reach(self, wait_s: float) -> Transport | None:
        """The machine that an earlier process left at work; None where there is none, TransportError if it is silent."""
        ...

    def alive(self) -> bool:
        """Whether it may still be there, although it does not answer; lets us in where our address has changed."""
        ...

    @property
    def at_work(self) -> bool:
        """Whether it can go on without us."""
        ...

    def limits(self) -> Mapping[str, Any] | None:
        """By what the agent has to end it; None where nothing has changed, nor will."""
        ...

    def detached(self) -> None:
        """It is left to its agent."""
        ...

    def interrupted(self) -> None:
        """The cloud takes it back; all that could be saved is home."""
        ...

    def lost(self) -> None:
        """It is gone, or out of reach for good."""
        ...

    def release(self, reason: str) -> None:
        """End it for certain; repeatable."""
        ...

    def cost(self) -> Cost | None:
        """What it has cost so far; None for one that costs nothing."""
        ...

    def record_cost(self) -> None:
        """Show in MLflow what the sweep has cost so far."""
        ...


def folder_there(sweep: Sweep) -> str:
    """The sweep's folder on the machine."""
    return sweep.settings.connection.folder.replace("{sweep}", sweep.id)
