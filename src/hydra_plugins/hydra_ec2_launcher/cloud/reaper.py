"""What earlier sweeps left in the account: machines that should be gone are ended, the rest is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    ATTEMPT_TAG,
    DEADLINE_TAG,
    OWNER_TAG,
    SWEEP_TAG,
    AnswerLostError,
    Cloud,
    Instance,
    RefusedError,
)
from hydra_plugins.hydra_ec2_launcher.cloud.events import State
from hydra_plugins.hydra_ec2_launcher.cloud.lease import DOOMED, ENDED, Lease


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something of the owner's in a region, and what was done about it."""

    region: str
    what: str
    """an instance's or a volume's id; "" for the region itself"""
    ended: bool
    """whether the cloud was asked to end it, and said yes"""
    words: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.region, self.what, self.words)))


def reap(
    cloud: Cloud,
    regions: Sequence[str],
    *,
    owner: str,
    lease_of: Callable[[str], Lease | None],
    now: datetime,
) -> tuple[Finding, ...]:
    """End the owner's machines that are past their deadline or that this computer's journals have given up.

    `lease_of` reads the lease of a sweep, as the machines' tag names it, from its journal; None where this computer has
    none. A machine that it does not know is left alone until its deadline.
    """
    return tuple(finding for region in regions for finding in _reap_region(cloud, region, owner, lease_of, now))


def _reap_region(
    cloud: Cloud, region: str, owner: str, lease_of: Callable[[str], Lease | None], now: datetime
) -> list[Finding]:
    try:
        machines = [machine for machine in cloud.find(region, {OWNER_TAG: owner}) if machine.live]
        # Only now the journals: each machine's request was written down before it was sent.
        findings = [
            _reap_machine(cloud, machine, lease_of(machine.tags.get(SWEEP_TAG, "")), now) for machine in machines
        ]
        return [*findings, *_orphans(cloud, region, owner, machines)]
    except (AnswerLostError, RefusedError) as error:
        return [Finding(region=region, what="", ended=False, words=f"could not be looked through: {error}")]


def _reap_machine(cloud: Cloud, machine: Instance, lease: Lease | None, now: datetime) -> Finding:
    reason = overdue(machine, now) or given_up(machine, lease)
    if reason is None:
        whose = "of a sweep that this computer does not know" if lease is None else f"in use: {lease.state.value}"
        return Finding(region=machine.region, what=machine.id, ended=False, words=f"left alone, {whose}")
    try:
        cloud.terminate(machine.region, machine.id)
    except (AnswerLostError, RefusedError) as error:
        return Finding(region=machine.region, what=machine.id, ended=False, words=f"{reason}; NOT ended: {error}")
    return Finding(region=machine.region, what=machine.id, ended=True, words=f"{reason}; ended")


def overdue(machine: Instance, now: datetime) -> str | None:
    """Why the machine's tag says that it should be gone; None where it does not."""
    deadline = machine.tags.get(DEADLINE_TAG, "")
    try:
        passed = datetime.fromisoformat(deadline) <= now
    except (ValueError, TypeError):  # no tag, or one without a time zone: somebody else's
        return None
    return f"its deadline {deadline} has passed" if passed else None


def given_up(machine: Instance, lease: Lease | None) -> str | None:
    """Why a lease of this computer says that the machine should be gone; None where it may need it."""
    if lease is None:
        return None
    if lease.state in DOOMED | ENDED:
        return f"its sweep has given it up ({lease.state.value})"
    if machine.tags.get(ATTEMPT_TAG) != str(lease.current.terms.number):
        return "its sweep has another machine"
    if lease.state is not State.REQUESTING and machine.id != lease.current.instance_id:
        return f"its sweep has {lease.current.instance_id} instead"
    return None


def _orphans(cloud: Cloud, region: str, owner: str, machines: Sequence[Instance]) -> list[Finding]:
    """The owner's disks that belong to none of the live machines."""
    used = {
        volume
        for machine in machines
        for volume in cloud.volumes(
            region, {key: machine.tags.get(key, "") for key in (OWNER_TAG, SWEEP_TAG, ATTEMPT_TAG)}
        )
    }
    words = "a disk without a machine: it is paid for until you delete it"
    left = [volume for volume in cloud.volumes(region, {OWNER_TAG: owner}) if volume not in used]
    return [Finding(region=region, what=volume, ended=False, words=words) for volume in left]
