"""What an hour of a machine costs: a table for on-demand, the history of the market for spot."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Price

ON_DEMAND_USD = {
    ("us-east-1", "g5.2xlarge"): 1.212,
    ("us-east-2", "g5.2xlarge"): 1.212,
    ("us-west-2", "g5.2xlarge"): 1.212,
}
"""Linux, shared tenancy, per hour"""
ON_DEMAND_SOURCE = "on-demand table of this version"

SpotHistory = Sequence[tuple[datetime, float]]
"""times from which a price in dollars per hour held, oldest first"""


def on_demand_price(region: str, instance_type: str) -> Price | None:
    """The table's price; None where it has none."""
    usd = ON_DEMAND_USD.get((region, instance_type))
    return None if usd is None else Price(usd_per_hour=usd, source=ON_DEMAND_SOURCE, date="unknown")


def spot_price(history: SpotHistory) -> Price | None:
    """The newest price of a zone's history; None where it is empty."""
    if not history:
        return None
    since, usd = history[-1]
    return Price(usd_per_hour=usd, source="spot price history", date=since.date().isoformat())


def spot_bound(region: str, instance_type: str) -> Price | None:
    """The on-demand price as the most that spot takes, for want of a history; None where the table has none."""
    known = on_demand_price(region, instance_type)
    return (
        None if known is None else replace(known, source=f"{known.source}, as the most that spot takes", estimated=True)
    )


def ceiling_price(usd_per_hour: float | None, what: str) -> Price:
    """The configured ceiling, for want of a price; ValueError where there is none either."""
    if usd_per_hour is None:
        raise ValueError(
            f"hydra.launcher.rent.price_ceiling_usd=null: no price is known for {what}\n"
            "  remedy: set it to the dollars per hour to plan with"
        )
    return Price(usd_per_hour=usd_per_hour, source="ceiling from the configuration", date="unknown", estimated=True)
