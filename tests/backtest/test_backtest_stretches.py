"""Bars that come a stretch at a time trade as they do at once."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from backtest_cases import backtest, noise, random_market, random_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest import PredictedBars
from botscalp.backtest.stretches import run_stretches
from botscalp.errors import UserError


def cut(market: PredictedBars, at: list[int]) -> list[PredictedBars]:
    ends = [0, *sorted(set(at)), len(market.bars)]
    return [
        PredictedBars(bars=market.bars[a:b], p=market.p[a:b], atr=market.atr[a:b], window=market.window[a:b])
        for a, b in pairwise(ends)
        if b > a
    ]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 60), max_size=8))
def test_trades_and_equity_are_those_of_one_run(seed: int, at: list[int]) -> None:
    rng = np.random.default_rng(seed)
    rules, market = random_settings(rng), random_market(rng)
    whole = rules.run([market])
    parts = list(run_stretches(rules, cut(market, [row for row in at if row < len(market.bars)])))
    trades = pd.concat([part.trades for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(trades, whole.trades, check_exact=True, check_dtype=len(trades) > 0)
    assert np.array_equal(np.concatenate([part.close_time_ns for part in parts]), whole.close_time_ns)
    assert np.abs(np.concatenate([part.equity_quote for part in parts]) - whole.equity_quote).max() < 1e-8


def test_a_position_over_a_cut_is_traded_once() -> None:
    """A month of noise in days: at thresholds this low a position is open at nearly every midnight."""
    market = noise(seed=1, days=30)
    rules = backtest(threshold=0.5, stop_atr=5.0, target_atr=5.0)
    parts = list(run_stretches(rules, cut(market, [288 * day for day in range(1, 30)])))
    over = sum(
        bool(((part.trades.entry_time < midnight) & (part.trades.exit_time > midnight)).any())
        for part in parts
        for midnight in [pd.to_datetime(part.market[0].bars.open_time_ns[0], utc=True).ceil("D")]
    )
    assert over > 20
    assert sum(len(part.records) for part in parts) == len(rules.run([market]).records)


@pytest.mark.parametrize("changed", [{"equity_fraction": 0.5}, {"cooldown_bars": 3}, {"select": "validation"}])
def test_what_looks_at_the_account_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(UserError, match="a fixed notional or contract"):
        next(run_stretches(backtest(**changed), [noise(seed=1, days=2)]))
