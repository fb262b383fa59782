"""The account at the cloud as a sweep's settings name it: whose machines, at what price, seen from where."""

import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.cloud.cost import Cost, planned_worst
from hydra_plugins.hydra_ec2_launcher.cloud.ec2 import Ec2
from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease
from hydra_plugins.hydra_ec2_launcher.cloud.prices import ceiling_price, on_demand_price
from hydra_plugins.hydra_ec2_launcher.cloud.reaper import Finding, reap
from hydra_plugins.hydra_ec2_launcher.config import Rent, Settings
from hydra_plugins.hydra_ec2_launcher.home.sweep import JOURNAL, Sweep


def now() -> datetime:
    """The time, aware of its zone."""
    return datetime.now(UTC)


def cloud_of(rent: Rent) -> Ec2:
    """EC2 as the settings want it asked."""
    return Ec2(
        owner=rent.owner,
        trusted_owners=rent.ami_owners,
        price_ceiling_usd=rent.price_ceiling_usd,
        scheduler_role=rent.scheduler_role,
    )


def planned(settings: Settings) -> Cost:
    """What the sweep may cost at the most: the dearest region's on-demand price for all its hours."""
    rent, limits = settings.rent, settings.limits
    known = [price for region in rent.regions if (price := on_demand_price(region, rent.instance_type)) is not None]
    unknown = len(known) < len(rent.regions)
    if unknown:
        known.append(ceiling_price(rent.price_ceiling_usd, f"{rent.instance_type} in one of {', '.join(rent.regions)}"))
    dearest = max(known, key=lambda price: price.usd_per_hour)
    return planned_worst(dearest, hours=limits.max_hours, disk_gb=rent.disk_gb)


def own_address(who_am_i: str) -> str:
    """This computer's address as that service sees it, as CIDR; ValueError where it cannot be told."""
    try:
        with urllib.request.urlopen(who_am_i, timeout=10) as answer:
            address = ip_address(answer.read(64).decode().strip())
    except (OSError, ValueError) as error:
        remedy = "set it to your address, such as 203.0.113.7/32"
        raise ValueError(
            f"hydra.launcher.rent.caller=null: {who_am_i} does not say it: {error}\n  remedy: {remedy}"
        ) from error
    return f"{address}/{address.max_prefixlen}"


def reap_earlier(cloud: Ec2, sweep: Sweep) -> tuple[Finding, ...]:
    """End what earlier sweeps left behind; what is said is worth a line."""
    rent = sweep.settings.rent
    return reap(cloud, rent.regions, owner=rent.owner, lease_of=leases_beside(sweep.folder.parent), now=now())


def leases_beside(machines: Path) -> Callable[[str], Lease | None]:
    """The leases of the sweeps in that folder, by the name in their machines' tags."""

    def lease_of(tagged: str) -> Lease | None:
        for path in machines.glob(f"*/{JOURNAL}"):
            if (lease := read(path)).sweep == tagged:
                return lease
        return None

    return lease_of
