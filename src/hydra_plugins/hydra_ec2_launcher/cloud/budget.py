"""How much a lease may cost, and how long that lets a machine run. Pure arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hydra_plugins.hydra_ec2_launcher.cloud import cost
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Price, RefusedError, Remedy
from hydra_plugins.hydra_ec2_launcher.cloud.lease import ENDED, Lease

LEAST_SHARE = 0.1
"""of max_hours: a replacement that can be paid for less time than that is not worth its start"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What may be rented, for whom and for how much."""

    sweep: str
    owner: str
    instance_type: str
    disk_gb: int
    user: str
    public_key: str
    caller: str
    """the address that may reach the machine, as CIDR"""
    host_key_fingerprint: str
    budget_usd: float
    """for all machines of the lease and their egress"""
    max_hours: float
    """of all machines of the lease"""


def spent_usd(order: Order, lease: Lease, now: datetime) -> float:
    """What all machines have cost so far; egress, which is counted once for the lease, is not in it."""
    return cost.running(_usages(lease, now), egress_gb=0).total_usd


def cost_of(lease: Lease, now: datetime) -> cost.Cost:
    """What all machines cost: an estimate while one may live."""
    figure = cost.settled if lease.state in ENDED else cost.running
    return figure(_usages(lease, now), egress_gb=cost.EGRESS_GB)


def billed_s(lease: Lease, now: datetime) -> float:
    """The seconds of all machines that are paid for so far."""
    return sum((usage.billed_until - usage.started_at).total_seconds() for usage in _usages(lease, now))


def hours_to_rent(order: Order, lease: Lease, price: Price, now: datetime) -> float:
    """For how long the next machine may run.

    The first request has to be paid for in full. A later one (another market, a replacement) gets the time that the
    money left pays for.

    Raises:
        RefusedError: the money left does not pay for it; a cheaper zone may do.
    """
    wanted = order.max_hours - billed_s(lease, now) / 3600
    hours = min(wanted, affordable_hours(order, lease, price, now))
    least = order.max_hours * LEAST_SHARE if lease.attempts else wanted
    if hours < least:
        left_usd = order.budget_usd - spent_usd(order, lease, now)
        raise RefusedError(
            "OverBudget",
            f"budget_usd={order.budget_usd:g}, max_hours={order.max_hours:g}: ${left_usd:.2f} and {wanted:.2f} h are left, "
            f"and at ${price.usd_per_hour:g}/h ({price.source} of {price.date}) that pays for {max(hours, 0):.2f} h, with "
            f"{cost.HARVEST_S / 60:.0f} min to harvest and {cost.EGRESS_GB:g} GB of egress\n"
            "  remedy: raise budget_usd, or lower max_hours",
            Remedy.NEXT_ZONE,
        )
    return hours


def hard_deadline(order: Order, lease: Lease, now: datetime) -> datetime:
    """When the current machine has to stop working: its own clock's time, or earlier where its price has risen."""
    attempt = lease.current
    paid_for = timedelta(hours=affordable_hours(order, lease, attempt.prices[-1][1], now))
    return min(attempt.terms.deadline, now + paid_for)


def affordable_hours(order: Order, lease: Lease, price: Price, now: datetime) -> float:
    """For how long from now on the money left pays for a machine at that price."""
    left_usd = order.budget_usd - spent_usd(order, lease, now)
    return cost.affordable_hours(left_usd, price, disk_gb=order.disk_gb)


def _usages(lease: Lease, now: datetime) -> list[cost.Usage]:
    return [usage for attempt in lease.attempts if (usage := attempt.usage(now)) is not None]
