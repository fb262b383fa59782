"""The journal of a lease: one event a line, on disk before the action that it announces is begun."""

import errno
import json
import os
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from hydra_plugins.hydra_ec2_launcher.cloud.events import Event, State
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease, apply

VIEW = ".last_gpu.json"
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class Journal:
    """A journal that one process at a time writes (whoever holds the sweep's lock), and a view of it for other programs."""

    def __init__(self, path: Path, view: Path | None = None) -> None:
        """Open or begin the journal; the half line of a killed process goes: its action was never begun.

        `view` is replaced at each event; by default it lies beside the journal.
        """
        self.path = path
        self.view = view or path.with_name(VIEW)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            written = file.read()
            whole = written.rfind(b"\n") + 1
            file.truncate(whole)
        _sync(path.parent)  # or a new file's name may not survive a power cut
        self.lease = replayed(written[:whole], path)

    def append(self, event: Event) -> None:
        """Write the event down for certain; only then is it true of `lease`."""
        after = apply(self.lease, event)
        with self.path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                line = _EVENT.dump_json(event) + b"\n"
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, "half a line of the journal fits on the disk", str(self.path))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)  # or the next line would be glued to half a one
                raise
        self.lease = after
        replace_json(self.view, view_of(after, self.path.parent))


def read(path: Path) -> Lease:
    """The lease of a journal that another process may be writing; an empty one where there is none."""
    written = path.read_bytes() if path.exists() else b""
    return replayed(written[: written.rfind(b"\n") + 1], path)


def replayed(lines: bytes, path: Path) -> Lease:
    """The lease after all those events; ValueError naming the line that is none."""
    lease = Lease()
    for number, line in enumerate(lines.splitlines(), start=1):
        try:
            event = _EVENT.validate_json(line)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}: no event of a lease\n  remedy: look for machines in the EC2 console, then move the "
                f"file away\n{error}"
            ) from error
        lease = apply(lease, event)
    return lease


def view_of(lease: Lease, folder: Path) -> dict[str, Any]:
    """What other programs may know of the current machine; nothing secret."""
    view: dict[str, Any] = {"schema": 1, "sweep": lease.sweep, "folder": str(folder), "state": lease.state.value}
    if lease.state is State.PLANNED:
        return view
    attempt, terms = lease.current, lease.current.terms
    return {
        **view,
        "attempt": terms.number,
        "token": terms.token,
        "region": terms.rung.region,
        "zone": terms.rung.zone,
        "market": terms.rung.market.value,
        "instance_id": attempt.instance_id,
        "instance_type": terms.instance_type,
        "ami": terms.image.id,
        "ami_asked_for": terms.rung.ami,
        "address": attempt.address,
        "user": terms.user,
        "host_key_fingerprint": terms.host_key_fingerprint,
        "usd_per_hour": attempt.prices[-1][1].usd_per_hour,
        "price_source": attempt.prices[-1][1].source,
        "price_date": attempt.prices[-1][1].date,
        "deadline": terms.deadline.astimezone(UTC).isoformat(),
        "security_group": terms.security_group,
        "key_name": terms.key_name,
        "why": attempt.why,
        "times": {state.value: at.astimezone(UTC).isoformat() for state, at in attempt.visited},
    }


def replace_json(path: Path, value: Any) -> None:
    """Replace the file by the value, whole or not at all, for nobody else to read."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
