"""The kernel against the independent reference, and the reference's deliberate mistakes against the kernel."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from against_reference import difference, reference_of
from backtest_cases import backtest, predicted_bars, random_market, random_settings
from reference_records import BUGS


@pytest.mark.parametrize("markets", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_agrees_with_the_reference_on_random_markets(markets: int) -> None:
    rng = np.random.default_rng(20240101)
    seen = {"stop": 0, "target": 0, "timeout": 0, "end": 0}
    for case in range(markets):
        rules, market = random_settings(rng), random_market(rng)
        reference = reference_of(rules, [market])
        found = difference(rules.run([market]), reference)
        assert found is None, f"case {case}: {found}\n{rules}\n{market}"
        for trade in reference.trades:
            seen[trade.reason] += 1
    assert min(seen.values()) > markets / 10, f"the scenarios leave a reason out: {seen}"


@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_shows(bug: str) -> None:
    """Default, tight and arbitrary brackets over gapped, missing and plain bars: some scenario tells the bug."""
    rng = np.random.default_rng(7)
    caught = 0
    for _ in range(300):
        rules, market = random_settings(rng), random_market(rng)
        caught += difference(rules.run([market]), reference_of(rules, [market], bug=bug)) is not None
        if caught == 3:
            return
    pytest.fail(f"{caught} of 300 scenarios")


@pytest.mark.parametrize("brackets", [{}, {"threshold": 0.51, "stop_atr": 0.5, "target_atr": 0.5}])
@pytest.mark.parametrize("costs", [{}, {"contract": 0.001, "slippage_ticks": 1.0, "tick": 0.1}])
def test_agrees_on_real_bars_round_an_outage(
    real_data: Path, brackets: dict[str, float], costs: dict[str, float]
) -> None:
    """Three weeks of 2023 with the exchange's 16 missing bars in their midst; p is noise."""
    bars = pd.read_parquet(
        real_data / "binance-spot-BTCUSDT-5m.parquet",
        columns=["open_time", "open", "high", "low", "close"],
    )
    bars = bars[bars.open_time.between("2023-03-14", "2023-04-04")]
    offsets = (bars.open_time - bars.open_time.iloc[0]) // pd.Timedelta("5min")
    assert offsets.diff().max() == 17
    atr = (bars.high - bars.low).rolling(14).mean()
    p = np.random.default_rng(0).normal(0.5, 0.06, len(bars))
    market = predicted_bars(bars[["open", "high", "low", "close"]], p, atr, numbers=offsets)
    rules = backtest(**brackets | costs)
    result = rules.run([market])
    assert len(result.records) > 500
    assert difference(result, reference_of(rules, [market])) is None
