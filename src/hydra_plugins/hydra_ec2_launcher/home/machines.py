"""Where a sweep's machine comes from: rented, or one that is there."""

import contextlib
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.cloud.rental import RejectedError
from hydra_plugins.hydra_ec2_launcher.home.machine import Machine, Stage, folder_there
from hydra_plugins.hydra_ec2_launcher.home.rented import Rented
from hydra_plugins.hydra_ec2_launcher.home.sweep import Sweep
from hydra_plugins.hydra_ec2_launcher.wire.local import LocalTransport
from hydra_plugins.hydra_ec2_launcher.wire.ssh import SshTransport
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, RemoteCommandError, Transport, TransportError


class Present:
    """A machine that nobody has to rent."""

    number = 1

    def __init__(self, sweep: Sweep, transport: Transport) -> None:
        self.sweep = sweep
        self.transport = transport

    def obtain(self, stage: Stage) -> Transport:
        try:
            stage(
                self.transport, limits={"hard_deadline": None, "usd_per_hour": None, "budget_usd": None, "spent_usd": 0}
            )
        except HostKeyError:
            raise
        except (RejectedError, RemoteCommandError, TransportError) as error:
            remedy = "mend it there, or change what hydra.launcher.needs asks for"
            raise ValueError(f"hydra.launcher.machine: the machine is not fit: {error}\n  remedy: {remedy}") from error
        return self.transport

    def reach(self, wait_s: float) -> Transport:
        return self.transport

    def alive(self) -> bool:
        return True

    at_work = True

    def limits(self) -> None:
        return None

    def detached(self) -> None:
        """Nothing changes."""

    def interrupted(self) -> None:
        """It stays."""

    def lost(self) -> None:
        remedy = f"look after it, then `python -m botscalp.gpu attach sweep={self.sweep.folder}`"
        raise ValueError(
            f"hydra.launcher.machine: it was out of reach for longer than limits.lost_minutes\n  remedy: {remedy}"
        )

    def release(self, reason: str) -> None:
        with contextlib.suppress(RemoteCommandError, TransportError):  # an agent that is not there needs no end
            self.transport.run(["python3", "agent/agent.py", "shutdown"])

    def cost(self) -> None:
        return None

    def record_cost(self) -> None:
        """Nothing."""


def machine_of(sweep: Sweep) -> Machine:
    """The machine that the settings ask for.

    Raises:
        ValueError: naming the key that cannot work.
    """
    settings = sweep.settings
    match settings.machine:
        case "local":
            return Present(sweep, LocalTransport(sweep.folder / Path(folder_there(sweep)).expanduser()))
        case "ssh":
            return Present(sweep, ssh_of(sweep))
        case "ec2":
            return Rented(sweep)
    raise ValueError(f"hydra.launcher.machine={settings.machine}: no such kind\n  remedy: choose ec2, ssh or local")


def ssh_of(sweep: Sweep) -> SshTransport:
    """The way to a machine that you have."""
    connection = sweep.settings.connection
    for key in ("host", "user", "identity", "host_key"):
        if not getattr(connection, key):
            remedy = f"set hydra.launcher.connection.{key}"
            raise ValueError(f"hydra.launcher.connection.{key}: empty, and machine=ssh needs it\n  remedy: {remedy}")
    return SshTransport(
        host=connection.host,
        port=connection.port,
        user=connection.user,
        identity=Path(connection.identity).expanduser(),
        host_public_key=connection.host_key,
        root=folder_there(sweep),
        folder=sweep.folder / "ssh",
        proxy_command=connection.proxy_command,
    )
