"""The kernel against vectorbt, trade for trade: rows, sides, reasons, prices, fees, PnL, and the account at every close."""

import importlib.util
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from against_reference import reference_of
from backtest_cases import backtest
from oracle_markets import gapped_walk, predicted, real_bars
from reference_records import BUGS
from vectorbt_oracle import Played, played

from botscalp.backtest import Backtest, PredictedBars, Result
from botscalp.backtest.records import REASONS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vectorbt") is None, reason="needs vectorbt (the extra `bench`)"),
]

DEFAULT = {"threshold": 0.6}
TIGHT = {"threshold": 0.51, "stop_atr": 0.5, "target_atr": 0.5, "capital": 1e5}  # its costs would lose 10,000
A10G = {"contract": 0.001, "slippage_ticks": 1.0, "tick": 0.1, "taker_bps": 1.8, "maker_bps": 1.8}
FREE = {"slippage_bps": 0.0, "taker_bps": 0.0, "maker_bps": 0.0}


def difference(ours: Played, theirs: Played) -> str | None:
    """The first thing in which the two disagree: indices exactly, prices to 1e-12 of themselves, money to 1e-9."""
    if len(ours.entry) != len(theirs.entry):
        return f"{len(ours.entry)} trades, not {len(theirs.entry)}"
    for name in ("entry", "exit", "side", "reason"):
        if not np.array_equal(getattr(ours, name), getattr(theirs, name)):
            return name
    for name in ("entry_price", "exit_price", "size_base", "equity_quote"):
        if not np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=0):
            return name
    for name in ("fees_quote", "pnl_quote"):
        if not np.allclose(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-9):
            return name
    return None if abs(ours.pnl_quote.sum() - theirs.pnl_quote.sum()) <= 1e-9 else "total"


def ours(result: Result) -> Played:
    """Our result in the oracle's words."""
    names = [name for name in Played.__dataclass_fields__ if name != "equity_quote"]
    return Played(equity_quote=result.equity_quote, **{name: result.records[name] for name in names})


def compare(rules: Backtest, market: PredictedBars, *, at_least: int) -> Played:
    mine, theirs = ours(rules.run([market])), played(rules, market)
    assert len(theirs.entry) >= at_least
    assert difference(mine, theirs) is None
    return theirs


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("bracket", [DEFAULT, TIGHT], ids=["default", "tight"])
@pytest.mark.parametrize("costs", [{}, A10G, FREE], ids=["default", "a10g_2025", "free"])
def test_same_trades_on_gapped_walks(seed: int, bracket: dict[str, float], costs: dict[str, float]) -> None:
    theirs = compare(backtest(**bracket | costs), gapped_walk(seed, 26_000), at_least=1_900)
    reasons = np.bincount(theirs.reason, minlength=3)
    assert min(reasons[:3] if bracket is DEFAULT else reasons[:2]) > 50


@pytest.mark.parametrize("max_hold", [1, 2, 5, 50])
def test_same_trades_for_other_holds(max_hold: int) -> None:
    compare(backtest(**DEFAULT, max_hold=max_hold), gapped_walk(3, 12_000), at_least=500)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
@pytest.mark.parametrize("bracket", [DEFAULT, TIGHT], ids=["default", "tight"])
def test_same_trades_on_real_bars_round_an_outage(real_data: Path, symbol: str, bracket: dict[str, float]) -> None:
    """Three months of 2023 with the exchange's 16 missing bars in them."""
    bars = real_bars(real_data, symbol, "2023-02-01", "2023-05-01")
    assert np.diff(bars.number).max() == 17
    compare(backtest(**bracket), predicted(bars, seed=5), at_least=1_900)


def test_same_trades_on_three_years_of_btc(real_data: Path) -> None:
    bars = real_bars(real_data, "BTCUSDT", "2022-01-01", "2025-01-01")
    compare(backtest(**DEFAULT, **A10G), predicted(bars, seed=6), at_least=20_000)


@pytest.mark.parametrize("bug", BUGS[:12])
def test_every_classic_bug_differs_from_vectorbt(bug: str) -> None:
    """The reference with one deliberate mistake in it, under default and tight brackets: vectorbt tells it from the rules."""
    market = gapped_walk(seed=7, n=6_000)
    found = []
    for bracket in (DEFAULT, TIGHT):
        rules = backtest(**bracket, **A10G)
        theirs = played(rules, market)
        assert difference(referred(rules, market, None), theirs) is None
        found.append(difference(referred(rules, market, bug), theirs))
    assert any(found), found


def referred(rules: Backtest, market: PredictedBars, bug: str | None) -> Played:
    """The plain reference's result in the oracle's words; bars of which none is missing."""
    reference, first = reference_of(rules, [market], bug=bug), int(market.bars.number[0])
    trades = [
        asdict(trade)
        | {"reason": REASONS.index(trade.reason), "entry": trade.entry - first, "exit": trade.exit - first}
        for trade in reference.trades
    ]
    names = [name for name in Played.__dataclass_fields__ if name != "equity_quote"]
    return Played(
        equity_quote=np.array(list(reference.equity.values())),
        **{name: np.array([trade[name] for trade in trades]) for name in names},
    )
