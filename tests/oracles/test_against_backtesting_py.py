"""The kernel against backtesting.py, a second engine that shares nothing with vectorbt."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backtest_cases import backtest
from oracle_markets import gapped_walk, predicted, real_bars

from botscalp.backtest import Backtest, PredictedBars
from botscalp.backtest.records import END, TARGET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("backtesting") is None, reason="needs backtesting (the extra `bench`)"),
]

COMMON = {"contract": 1.0, "slippage_bps": 0.0, "taker_bps": 3.0, "maker_bps": 3.0, "capital": 1e9}
BRACKETS = {
    "default": {"threshold": 0.6},
    "tight": {"threshold": 0.51, "stop_atr": 0.5, "target_atr": 0.5},
    "short hold": {"threshold": 0.55, "max_hold": 2},
}


def compare(rules: Backtest, market: PredictedBars, *, at_least: int) -> None:
    """Rows, side, prices and PnL of every trade, two kinds excepted by name.

    A trade that the end of the data closes: backtesting.py leaves it open. An open beyond the target in a bar that then touches
    the stop: backtesting.py works its stop orders first and books the stop, although the open came before.
    """
    from backtesting_oracle import askable, played  # here: importing it needs the package

    market = askable(rules, market)
    records = rules.run([market]).records
    records = records[records["reason"] != END]
    theirs = played(rules, market).sort_values("ExitBar", kind="stable")
    assert len(records) == len(theirs) >= at_least
    assert np.array_equal(records["entry"], theirs.EntryBar)
    assert np.array_equal(records["exit"], theirs.ExitBar)
    assert np.array_equal(records["side"], theirs.Size)
    assert np.allclose(records["entry_price"], theirs.EntryPrice, rtol=1e-13, atol=0)

    bars, side = market.bars, records["side"]
    stop = records["entry_price"] - side * rules.stop_atr * market.atr[records["signal"]]
    adverse = np.where(side > 0, bars.low[records["exit"]] <= stop, bars.high[records["exit"]] >= stop)
    at_open = records["exit_price"] == bars.open[records["exit"]]
    excepted = (records["reason"] == TARGET) & at_open & adverse
    assert excepted.sum() <= len(records) / 1_000
    assert np.allclose(records["exit_price"][~excepted], theirs.ExitPrice[~excepted], rtol=1e-13, atol=0)
    assert np.allclose(records["pnl_quote"][~excepted], theirs.PnL[~excepted], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("bracket", BRACKETS)
def test_same_trades_on_gapped_walks(seed: int, bracket: str) -> None:
    compare(backtest(**COMMON | BRACKETS[bracket]), gapped_walk(seed, 12_000), at_least=800)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_same_trades_on_real_bars(real_data: Path, symbol: str) -> None:
    """January 2024, which has no missing bars."""
    market = predicted(real_bars(real_data, symbol, "2024-01-01", "2024-02-01"), seed=5)
    compare(backtest(**COMMON | BRACKETS["default"]), market, at_least=600)


def test_a_fee_left_out_differs() -> None:
    """The comparison can fail."""
    from backtesting_oracle import askable, played

    rules, market = backtest(**COMMON | BRACKETS["default"]), gapped_walk(0, 3_000)
    theirs = played(replace(rules, taker_bps=2.9, maker_bps=2.9), askable(rules, market))
    records = rules.run([askable(rules, market)]).records
    records = records[records["reason"] != END]
    assert not np.allclose(records["pnl_quote"], theirs.sort_values("ExitBar").PnL, rtol=0, atol=1e-9)
