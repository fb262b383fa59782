"""Dollars: the worked example by hand, sums that come out even, and hours that a budget pays for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Price
from hydra_plugins.hydra_ec2_launcher.cloud.cost import (
    Usage,
    affordable_hours,
    machine_usd,
    planned_worst,
    running,
    settled,
    shares,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPOT = Price(usd_per_hour=0.5, source="spot price history", date="2026-02-28")
ON_DEMAND = Price(usd_per_hour=1.212, source="on-demand table", date="unknown")
CEILING = Price(usd_per_hour=2.0, source="ceiling from the configuration", date="unknown", estimated=True)


def usage(hours: float, *prices: tuple[float, Price], disk_gb: float = 100) -> Usage:
    """A machine from AT on, with prices from so many hours after AT on."""
    return Usage(
        started_at=AT,
        ended_at=AT + timedelta(hours=hours),
        disk_gb=disk_gb,
        prices=tuple((AT + timedelta(hours=since), price) for since, price in prices),
    )


@pytest.mark.parametrize(("price", "total_usd"), [(SPOT, 1.55), (ON_DEMAND, 3.68)])
def test_three_hours_by_hand(price: Price, total_usd: float) -> None:
    """3 h · (price + 0.005 + 100 GB · 0.08 / 730), and 2 GB home are free."""
    cost = settled([usage(3, (0, price))], egress_gb=2)
    assert round(cost.total_usd, 2) == total_usd
    assert cost.address_usd == pytest.approx(0.015)
    assert cost.disk_usd == pytest.approx(3 * 100 * 0.08 / 730)
    assert cost.egress_usd == 0


def test_figure_names_its_prices_and_their_dates() -> None:
    cost = settled([usage(3, (0, SPOT)), usage(1, (0, CEILING))], egress_gb=0)
    assert str(cost).startswith("$3.56 settled (machine 3.50, disk 0.04, address 0.02, egress 0.00; prices: ")
    assert cost.sources == (
        "spot price history, of 2026-02-28",
        "ceiling from the configuration, date unknown, an estimate",
        "list prices of us-east-1, date unknown",
    )


def test_spot_is_integrated_over_its_price_steps() -> None:
    """1 h at 0.50, 30 min at 2.00, 1.5 h at 1.212; a step after the end costs nothing."""
    steps = ((0, SPOT), (1, CEILING), (1.5, ON_DEMAND), (9, CEILING))
    assert machine_usd(usage(3, *steps)) == pytest.approx(0.5 + 1.0 + 1.5 * 1.212)


def test_price_seen_before_the_start_holds_at_it() -> None:
    assert machine_usd(usage(1, (-2, CEILING), (-1, SPOT))) == pytest.approx(0.5)


def test_a_minute_is_the_least() -> None:
    assert running([usage(1 / 3600, (0, SPOT))], egress_gb=0).machine_usd == pytest.approx(0.5 / 60)


def test_rejected_attempts_count() -> None:
    one, other = usage(3, (0, SPOT)), usage(0.1, (0, ON_DEMAND))
    both = settled([one, other], egress_gb=0).total_usd
    assert both == pytest.approx(sum(settled([each], egress_gb=0).total_usd for each in (one, other)))


def test_egress_beyond_what_is_free() -> None:
    assert settled([], egress_gb=150).total_usd == pytest.approx(50 * 0.09)


def test_plan_counts_the_harvest_and_no_free_egress() -> None:
    plan = planned_worst(SPOT, hours=3, disk_gb=100)
    per_hour = 0.5 + 0.005 + 100 * 0.08 / 730
    assert plan.total_usd == pytest.approx((3 + 1 / 6) * per_hour + 0.18)
    assert plan.egress_usd == pytest.approx(0.18)


amounts = st.floats(0.01, 1_000)


@given(left_usd=amounts, usd_per_hour=st.floats(0.1, 40), disk_gb=st.floats(8, 2_000))
def test_affordable_hours_cost_the_whole_budget(left_usd: float, usd_per_hour: float, disk_gb: float) -> None:
    price = Price(usd_per_hour=usd_per_hour, source="a test", date="unknown")
    hours = affordable_hours(left_usd, price, disk_gb=disk_gb)
    assert planned_worst(price, hours=hours, disk_gb=disk_gb).total_usd == pytest.approx(left_usd)


@given(
    hours=st.lists(st.floats(0.0, 50), min_size=1, max_size=6),
    prices=st.lists(st.floats(0.1, 40), min_size=6, max_size=6),
    total=st.floats(0.05, 60),
)
def test_cost_lies_between_its_cheapest_and_dearest_price(
    hours: list[float], prices: list[float], total: float
) -> None:
    steps = sorted({0.0, *hours})
    seen = [Price(usd_per_hour=usd, source="a test", date="unknown") for usd in prices]
    its_usage = usage(total, *zip(steps, seen, strict=False))
    held = [price.usd_per_hour for _, price in its_usage.prices]
    assert min(held) * total * 0.999 <= machine_usd(its_usage) <= max(held) * total * 1.001
    longer = usage(total + 1, *zip(steps, seen, strict=False))
    assert machine_usd(longer) > machine_usd(its_usage)


def test_shares_by_hand() -> None:
    """Two slots for 1000 s, 800 s of which had jobs: 2000 slot-seconds for $2."""
    parts = shares(2.0, slots=2, billed_s=1000, working_s=800, slot_s={0: 800, 1: 300})
    assert parts.jobs_usd == pytest.approx({0: 0.8, 1: 0.3})
    assert parts.setup_usd == pytest.approx(0.4)
    assert parts.idle_usd == pytest.approx(0.5)


@given(
    cost_usd=amounts,
    slots=st.integers(1, 8),
    working_s=st.floats(1, 10_000),
    setup_s=st.floats(1, 10_000),
    used=st.lists(st.floats(0, 1), max_size=8),
)
def test_shares_add_up(cost_usd: float, slots: int, working_s: float, setup_s: float, used: list[float]) -> None:
    slot_s = {job: share * working_s for job, share in enumerate(used[:slots])}
    parts = shares(cost_usd, slots=slots, billed_s=working_s + setup_s, working_s=working_s, slot_s=slot_s)
    assert sum(parts.jobs_usd.values()) + parts.setup_usd + parts.idle_usd == pytest.approx(cost_usd)
    assert min(parts.setup_usd, parts.idle_usd, *parts.jobs_usd.values(), 0) >= -1e-6 * cost_usd
