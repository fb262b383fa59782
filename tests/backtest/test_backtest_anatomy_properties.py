"""What holds of the anatomy of every backtest, and slower ways to the same figures."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import random_market, random_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest import PredictedBars, Result, anatomy, excursions, summarize
from botscalp.backtest.anatomy import Drawdown, drawdown
from botscalp.backtest.performance import max_drawdown
from botscalp.backtest.records import TIMEOUT

DAY_NS = 86_400_000_000_000
seeds = st.integers(0, 2**32 - 1)
many = settings(deadline=None, max_examples=200)


def drawn(seed: int, **market: Any) -> Result:
    rng = np.random.default_rng(seed)
    return random_settings(rng).run([random_market(rng, **market)])


def slow_drawdown(account: list[float]) -> tuple[int, int, int | None, int]:
    """(start, trough, recovery, longest under water), in rows, from every pair of rows."""
    n = len(account)
    falls = [(account[b] / account[a] - 1, b, -a) for b in range(n) for a in range(b) if account[a] > account[b]]
    depth = min(fall for fall, _, _ in falls)
    trough = min(b for fall, b, _ in falls if fall == depth)
    peak = max(account[:trough])
    start = max(a for a in range(trough) if account[a] == peak)
    recovery = next((b for b in range(trough, n) if account[b] >= peak), None)
    longest = 0
    for a in range(n):
        if account[a] == max(account[: a + 1]):
            back = next((b for b in range(a + 1, n) if account[b] >= account[a]), n - 1)
            longest = max(longest, back - a if min(account[a : back + 1]) < account[a] else 0)
    return start, trough, recovery, longest


@many
@given(st.lists(st.integers(1, 30), min_size=2, max_size=40))
def test_drawdown_dates_agree_with_every_pair_of_rows(account: list[int]) -> None:
    found = drawdown(np.arange(len(account)) * DAY_NS, np.array(account, float))
    if account == sorted(account):
        assert found == Drawdown()
        return
    start, trough, recovery, longest = slow_drawdown([float(money) for money in account])
    day = [f"{time.date()}T00:00:00Z" for time in pd.date_range("1970-01-01", periods=len(account))]
    assert (found.start, found.trough) == (day[start], day[trough])
    assert found.recovery == (None if recovery is None else day[recovery])
    assert found.length_days == (len(account) - 1 if recovery is None else recovery) - start
    assert found.longest_under_water_days == longest
    depth, _ = max_drawdown(np.array(account[1:], float), float(account[0]))
    assert account[trough] / account[start] - 1 == pytest.approx(depth)


@many
@given(seeds)
def test_every_figure_is_a_number_that_json_knows(seed: int) -> None:
    json.dumps(asdict(anatomy(drawn(seed))), allow_nan=False)


@many
@given(seeds)
def test_excursions_enclose_what_the_price_moved_in_the_end(seed: int) -> None:
    result = drawn(seed)
    records, moved = result.records, excursions(result)
    move_bps = records["side"] * (records["exit_price"] / records["entry_price"] - 1) * 1e4
    assert (moved.adverse_bps >= 0).all() and (moved.favourable_bps >= 0).all()
    assert (move_bps <= moved.favourable_bps + 1e-9).all() and (move_bps >= -moved.adverse_bps - 1e-9).all()


@many
@given(seeds)
def test_no_bar_after_the_exit_and_nothing_else_of_the_exit_bar_counts(seed: int) -> None:
    """The highs and lows of every bar in which no trade was whole, widened: the same excursions."""
    rng = np.random.default_rng(seed)
    rules, market = random_settings(rng), random_market(rng)
    result = rules.run([market])
    whole = np.zeros(len(market.bars), bool)
    for trade in result.records:
        whole[trade["entry"] : trade["exit"]] = True
    bars = market.bars
    wild = replace(bars, high=np.where(whole, bars.high, 1e6), low=np.where(whole, bars.low, 1e-6))
    changed = replace(result, market=(replace(market, bars=wild),))
    for name, values in asdict(excursions(result)).items():
        assert np.array_equal(asdict(excursions(changed))[name], values)


@many
@given(seeds)
def test_ratios_agree_with_the_summary(seed: int) -> None:
    result = drawn(seed)
    found = anatomy(result).trades
    summary = summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
    if found.payoff_ratio is not None:
        assert summary.break_even == pytest.approx(1 / (1 + found.payoff_ratio))
        assert found.profit_factor == pytest.approx(found.payoff_ratio * summary.win_rate / (1 - summary.win_rate))
    if found.profit_factor is not None and abs(summary.net_pnl) > 1e-6:
        assert (found.profit_factor > 1) == (summary.net_pnl > 0)
    if summary.trades:
        assert found.expectancy_quote * summary.trades == pytest.approx(summary.net_pnl)
        assert 1 <= max(found.longest_win_streak, found.longest_loss_streak) <= summary.trades


@many
@given(seeds)
def test_exposure_agrees_with_a_loop_over_rows(seed: int) -> None:
    """With missing bars: a position that outlasts them is in no row of theirs."""
    result = drawn(seed, missing=True)
    busy = np.zeros(len(result.close_time_ns), bool)
    for trade in result.records:
        busy[trade["entry"] : trade["exit"] + (trade["reason"] != TIMEOUT)] = True
    assert anatomy(result).exposure == pytest.approx(busy.mean())


@many
@given(seeds)
def test_positions_of_one_symbol_fill_the_bars_that_are_exposed(seed: int) -> None:
    """They never overlap; without missing bars the time they were held is the time in the market."""
    result = drawn(seed, missing=False)
    found = anatomy(result)
    held = (found.trades.mean_bars_held or 0.0) * len(result.records)
    assert found.exposure * len(result.close_time_ns) == pytest.approx(held)


@many
@given(seeds, seeds)
def test_a_second_symbol_adds_to_the_time_in_the_market(seed: int, other: int) -> None:
    rules = random_settings(np.random.default_rng(seed))
    markets = [random_market(np.random.default_rng(one), missing=False) for one in (seed, other)]
    length = min(len(market.bars) for market in markets)
    markets = [
        PredictedBars(bars=m.bars[:length], p=m.p[:length], atr=m.atr[:length], window=m.window[:length])
        for m in markets
    ]
    alone = [anatomy(rules.run([market])) for market in markets]
    both = anatomy(rules.run(markets))
    assert max(one.exposure for one in alone) <= both.exposure <= sum(one.exposure for one in alone) + 1e-12
    assert both.turnover_per_day == pytest.approx(sum(one.turnover_per_day for one in alone))


@many
@given(seeds)
def test_four_times_the_size_keeps_what_is_relative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rules, market = random_settings(rng), random_market(rng)
    larger = replace(rules, contract=4 * rules.contract) if rules.contract else replace(rules, notional=4000.0)
    small, large = (anatomy(sized.run([market])) for sized in (rules, larger))
    assert large.exposure == small.exposure
    assert large.turnover_per_day == pytest.approx(4 * small.turnover_per_day)
    expectancy = small.trades.expectancy_quote
    expected = replace(small.trades, expectancy_quote=None if expectancy is None else 4 * expectancy)
    assert asdict(large.trades) == pytest.approx(asdict(expected))
