"""What rented machines cost, in dollars: before, while, and after they run; and how long a budget pays for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Price

HOURS_A_MONTH = 730
LEAST_BILLED_S = 60.0
HARVEST_S = 600.0
"""between a machine's hard clock and the last moment that is paid for: time to fetch what it did"""


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """What there is to pay beside the machine itself."""

    disk_usd_gb_month: float = 0.08
    address_usd_hour: float = 0.005
    egress_usd_gb: float = 0.09
    egress_free_gb: float = 100.0
    """a month and account; nobody here knows how much of it is left, so plans do not count on it"""
    source: str = "list prices of us-east-1"
    date: str = "unknown"

    def besides_usd_hour(self, disk_gb: float) -> float:
        """Dollars per hour of a machine's disk and public address."""
        return self.address_usd_hour + disk_gb * self.disk_usd_gb_month / HOURS_A_MONTH


LIST_PRICES = Tariff()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One machine's time, and its price from each of some times on (the first no later than its start)."""

    started_at: datetime
    ended_at: datetime
    disk_gb: float
    prices: tuple[tuple[datetime, Price], ...]

    @property
    def billed_until(self) -> datetime:
        """A minute is the least that is billed."""
        return max(self.ended_at, self.started_at + timedelta(seconds=LEAST_BILLED_S))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A figure in dollars, what it is made of, and who says so."""

    figure: str
    """planned worst, running estimate, settled"""
    machine_usd: float
    disk_usd: float
    address_usd: float
    egress_usd: float
    sources: tuple[str, ...]
    """each price's source and date"""

    @property
    def total_usd(self) -> float:
        return self.machine_usd + self.disk_usd + self.address_usd + self.egress_usd

    def __str__(self) -> str:
        parts = f"machine {self.machine_usd:.2f}, disk {self.disk_usd:.2f}, address {self.address_usd:.2f}"
        priced = "; ".join(self.sources)
        return f"${self.total_usd:.2f} {self.figure} ({parts}, egress {self.egress_usd:.2f}; prices: {priced})"


def planned_worst(price: Price, *, hours: float, disk_gb: float, egress_gb: float) -> Cost:
    """What one machine costs that runs until its hard clock after `hours` and is then harvested, no egress being free."""
    paid_hours, tariff = hours + HARVEST_S / 3600, LIST_PRICES
    return Cost(
        figure="planned worst",
        machine_usd=price.usd_per_hour * paid_hours,
        disk_usd=(tariff.besides_usd_hour(disk_gb) - tariff.address_usd_hour) * paid_hours,
        address_usd=tariff.address_usd_hour * paid_hours,
        egress_usd=egress_gb * tariff.egress_usd_gb,
        sources=_sources([price], tariff),
    )


def running(usages: Sequence[Usage], *, egress_gb: float, tariff: Tariff = LIST_PRICES) -> Cost:
    """What the machines have cost so far: each usage ends now, or when its machine ended."""
    return _cost("running estimate", usages, egress_gb, tariff)


def settled(usages: Sequence[Usage], *, egress_gb: float, tariff: Tariff = LIST_PRICES) -> Cost:
    """What the machines cost, rejected ones included, once all have ended."""
    return _cost("settled", usages, egress_gb, tariff)


def machine_usd(usage: Usage) -> float:
    """The machine's price integrated over its billed time."""
    starts = [usage.started_at, *(since for since, _ in usage.prices[1:]), usage.billed_until]
    clipped = [min(max(at, usage.started_at), usage.billed_until) for at in starts]
    hours = [(end - start).total_seconds() / 3600 for start, end in pairwise(clipped)]
    return sum(price.usd_per_hour * hours for (_, price), hours in zip(usage.prices, hours, strict=True))


def affordable_hours(
    left_usd: float, price: Price, *, disk_gb: float, egress_gb: float, tariff: Tariff = LIST_PRICES
) -> float:
    """For how long the money left pays a machine, its harvest after that and the egress; negative where it cannot."""
    usd_hour = price.usd_per_hour + tariff.besides_usd_hour(disk_gb)
    return (left_usd - egress_gb * tariff.egress_usd_gb) / usd_hour - HARVEST_S / 3600


@dataclass(frozen=True, kw_only=True)
class Shares:
    """A cost divided among the jobs, and what is left over; in dollars."""

    jobs_usd: Mapping[int, float]
    setup_usd: float
    """before the first job could start, and after the last one had ended"""
    idle_usd: float
    """slots without a job in between"""


def shares(cost_usd: float, *, slots: int, billed_s: float, working_s: float, slot_s: Mapping[int, float]) -> Shares:
    """Each job's part of an attempt's cost, by the seconds that it held a slot; `working_s` of the billed time had jobs."""
    usd_slot_s = cost_usd / (slots * billed_s)
    jobs = {job: seconds * usd_slot_s for job, seconds in slot_s.items()}
    setup_usd = (billed_s - working_s) * slots * usd_slot_s
    return Shares(jobs_usd=jobs, setup_usd=setup_usd, idle_usd=cost_usd - setup_usd - sum(jobs.values()))


def _cost(figure: str, usages: Sequence[Usage], egress_gb: float, tariff: Tariff) -> Cost:
    hours = [(usage.billed_until - usage.started_at).total_seconds() / 3600 for usage in usages]
    gb_hours = sum(usage.disk_gb * its_hours for usage, its_hours in zip(usages, hours, strict=True))
    return Cost(
        figure=figure,
        machine_usd=sum(machine_usd(usage) for usage in usages),
        disk_usd=gb_hours * tariff.disk_usd_gb_month / HOURS_A_MONTH,
        address_usd=sum(hours) * tariff.address_usd_hour,
        egress_usd=max(0.0, egress_gb - tariff.egress_free_gb) * tariff.egress_usd_gb,
        sources=_sources([price for usage in usages for _, price in usage.prices], tariff),
    )


def _sources(prices: Sequence[Price], tariff: Tariff) -> tuple[str, ...]:
    machines = [f"{price.source}, {dated(price.date)}{', an estimate' * price.estimated}" for price in prices]
    return tuple(dict.fromkeys([*machines, f"{tariff.source}, {dated(tariff.date)}"]))


def dated(day: str) -> str:
    """A price's day in words."""
    return "date unknown" if day == "unknown" else f"of {day}"
