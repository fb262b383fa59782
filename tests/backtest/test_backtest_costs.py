"""The same predictions at other costs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from account_cases import random_account, random_brackets, random_rules
from backtest_cases import backtest, noise, predicted_bars, random_market, random_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest import Backtest, Bracket, PredictedBars, Result, cost_levels
from botscalp.backtest.costs import MULTIPLES
from botscalp.backtest.records import REASONS
from botscalp.backtest.ticks import shared_tick

TARGET = REASONS.index("target")
MULTIPLE = [f"costs_x{multiple:g}" for multiple in MULTIPLES]
seeds = st.integers(0, 2**32 - 1)
many = settings(deadline=None, max_examples=100)


def on_ticks(rng: np.random.Generator, **changed: Any) -> tuple[Backtest, PredictedBars]:
    """Plain settings over a market, the tick 0.5."""
    return replace(random_settings(rng), tick=0.5, **changed), random_market(rng)


def fills_quote(result: Result) -> np.ndarray:
    """The notional of both fills of each trade."""
    return result.records["size_base"] * (result.records["entry_price"] + result.records["exit_price"])


def run_cost_levels(
    rules: Backtest, market: Sequence[PredictedBars], by_window: Sequence[Bracket] | None = None
) -> dict[str, Result]:
    levels = cost_levels(rules, shared_tick([one.bars for one in market]))
    return {name: level.run(market, by_window) for name, level in levels.items()}


def test_each_level_changes_its_costs_and_nothing_else() -> None:
    rules = backtest(taker_bps=5.0, maker_bps=2.0, slippage_bps=1.0, spread_bps=4.0)

    def changed(level: Backtest) -> dict[str, Any]:
        return {name: value for name, value in vars(level).items() if value != getattr(rules, name)}

    levels = cost_levels(rules, tick=0.1)
    assert {name: changed(level) for name, level in levels.items()} == {
        "costs_x0": {"taker_bps": 0.0, "maker_bps": 0.0, "slippage_bps": 0.0, "spread_bps": 0.0},
        "costs_x0.5": {"taker_bps": 2.5, "maker_bps": 1.0, "slippage_bps": 0.5, "spread_bps": 2.0},
        "costs_x1": {},
        "costs_x2": {"taker_bps": 10.0, "maker_bps": 4.0, "slippage_bps": 2.0, "spread_bps": 8.0},
        "costs_x3": {"taker_bps": 15.0, "maker_bps": 6.0, "slippage_bps": 3.0, "spread_bps": 12.0},
        "all_taker": {"maker_bps": 5.0},
        "all_maker": {"taker_bps": 2.0, "slippage_bps": 0.0},
        "targets_traded_through": {"tick": 0.1, "through_ticks": 1.0},
    }


def test_slippage_in_ticks_stays_in_ticks() -> None:
    levels = cost_levels(backtest(slippage_ticks=2.0, tick=0.5), tick=None)
    assert [levels[name].slippage_ticks for name in (*MULTIPLE, "all_maker")] == [0, 1, 2, 4, 6, 0]
    assert {level.slippage_bps for level in levels.values()} == {None}
    assert levels["targets_traded_through"].tick == 0.5


def test_what_would_cost_the_whole_price_is_left_out() -> None:
    assert "costs_x3" not in cost_levels(backtest(slippage_bps=4_000.0), None)
    assert "costs_x2" not in cost_levels(backtest(spread_bps=10_000.0), None)
    assert set(MULTIPLE) < set(cost_levels(backtest(slippage_bps=3_000.0, spread_bps=6_000.0), None))


def test_targets_that_must_be_traded_through_further_still_must() -> None:
    assert cost_levels(backtest(through_ticks=3.0, tick=0.5), None)["targets_traded_through"].through_ticks == 3.0


def test_the_tick_is_the_one_that_all_symbols_show() -> None:
    """BTC in steps of 0.1, ETH of 0.01: no one tick, unless it is named. Noise shows none."""
    market = noise(seed=0, days=2)
    columns = ("open", "high", "low", "close")

    def rounded(decimals: int) -> PredictedBars:
        prices: dict[str, Any] = {name: np.round(getattr(market.bars, name), decimals) for name in columns}
        return replace(market, bars=replace(market.bars, **prices))

    through = "targets_traded_through"
    assert through not in run_cost_levels(backtest(), [market])
    assert through in run_cost_levels(backtest(), [rounded(1)])
    assert through in run_cost_levels(backtest(), [rounded(1), rounded(1)])
    assert through not in run_cost_levels(backtest(), [rounded(1), rounded(2)])
    assert through in run_cost_levels(backtest(tick=0.1), [rounded(1), rounded(2)])


def test_a_level_is_traded_not_extrapolated() -> None:
    """ATR 2, so the target lies 5 above the fill: 105.1 with a tick of 0.1, and the high of 105.15 touches it. At twice the costs
    it is 105.2, and the trade leaves by time at 99, less two ticks: 98.8. Traded through, 105.2 is needed too.
    """
    rows = [(100, 101, 99, 100), (100, 105.15, 99, 100), (99, 99, 99, 99)]
    rules = backtest(max_hold=1, contract=2.0, slippage_ticks=1.0, tick=0.1)
    results = run_cost_levels(rules, [predicted_bars(rows, [0.9, 0.5, 0.5], 2.0)])
    exits = {name: result.trades[["reason", "exit_price"]].values.tolist() for name, result in results.items()}
    assert exits == {
        "costs_x0": [["target", 105.0]],
        "costs_x0.5": [["target", pytest.approx(105.05)]],
        "costs_x1": [["target", pytest.approx(105.1)]],
        "costs_x2": [["timeout", pytest.approx(98.8)]],
        "costs_x3": [["timeout", pytest.approx(98.7)]],
        "all_taker": [["target", pytest.approx(105.1)]],
        "all_maker": [["target", 105.0]],
        "targets_traded_through": [["timeout", pytest.approx(98.9)]],
    }


@many
@given(seeds)
def test_costs_times_one_are_the_run_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rules, market = random_rules(rng), random_account(rng)
    by_window = random_brackets(rng, rules)
    result, same = rules.run(market, by_window), run_cost_levels(rules, market, by_window)["costs_x1"]
    assert same.records.tobytes() == result.records.tobytes()
    assert same.equity_quote.tobytes() == result.equity_quote.tobytes()


@many
@given(seeds)
def test_costs_times_nothing_are_none(seed: int) -> None:
    """Net is gross but for funding; prices that round still do, against us."""
    rng = np.random.default_rng(seed)
    rules, market = replace(random_rules(rng), round_prices=False), random_account(rng)
    free = run_cost_levels(rules, market)["costs_x0"].records
    assert not free["fees_quote"].any()
    assert np.abs(free["slippage_quote"]).max(initial=0.0) < 1e-9
    assert np.allclose(free["pnl_quote"], free["gross_quote"] - free["funding_quote"], rtol=0, atol=1e-9)


@many
@given(seeds)
def test_where_costs_move_no_fill_they_come_off_in_proportion(seed: int) -> None:
    """Fees alone, sizes fixed: every trade is the same, its funding too, and its net falls by its fees."""
    rng = np.random.default_rng(seed)
    rules, market = backtest(threshold=0.51, contract=0.37, slippage_bps=0.0), random_account(rng)
    results = run_cost_levels(rules, market)
    one = results["costs_x1"].records
    for before, after in pairwise(MULTIPLE):
        assert (results[after].records["pnl_quote"] < results[before].records["pnl_quote"]).all()
    for name, multiple in zip(MULTIPLE, MULTIPLES, strict=True):
        records = results[name].records
        for column in ("signal", "entry", "exit", "exit_price", "gross_quote", "funding_quote"):
            assert (records[column] == one[column]).all(), column
        assert np.allclose(records["fees_quote"], one["fees_quote"] * multiple, rtol=1e-12)


@many
@given(seeds)
def test_one_fee_for_all_is_that_fee_on_each_fill(seed: int) -> None:
    rules, market = on_ticks(np.random.default_rng(seed))
    results = run_cost_levels(rules, [market])
    taker, maker = results["all_taker"], results["all_maker"]
    assert np.allclose(taker.records["fees_quote"], fills_quote(taker) * rules.taker_bps / 1e4, rtol=1e-12)
    assert np.allclose(maker.records["fees_quote"], fills_quote(maker) * rules.maker_bps / 1e4, rtol=1e-12)
    assert not maker.records["slippage_quote"].any()
    same = results["costs_x1"].records
    assert (taker.records["exit_price"] == same["exit_price"]).all()
    assert (taker.records["pnl_quote"] <= same["pnl_quote"]).all()  # the taker fee is the dearer, or they are equal


@many
@given(seeds)
def test_a_target_traded_through_was_touched_by_then(seed: int) -> None:
    """Of trades that both runs enter: one that fills is a target of the other too, at the same bar or before."""
    rules, market = on_ticks(np.random.default_rng(seed))
    results = run_cost_levels(rules, [market])
    touched = {trade["signal"]: trade for trade in results["costs_x1"].records}
    filled = [trade for trade in results["targets_traded_through"].records if trade["signal"] in touched]
    for trade in filled:
        other = touched[trade["signal"]]
        assert trade["entry_price"] == other["entry_price"]
        assert trade["exit"] >= other["exit"]
        assert trade["reason"] != TARGET or other["reason"] == TARGET
    assert len(filled) or not len(touched)
