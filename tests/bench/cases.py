"""What the contestants are given: a market, rules, and a grid of them."""

from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars, summarize
from botscalp.types import Bars
from tests.backtest.backtest_cases import backtest
from tests.oracles.oracle_markets import gapped_walk

SMALL, LARGE = 26_000, 315_000
ENGINES = ("numba", "rust")
"""vectorbt's"""


def rules(**changed: Any) -> Backtest:
    """One fee for all fills, a size in base units; a threshold that a fifth of the bars pass."""
    settings: dict[str, Any] = {
        **{"threshold": 0.6, "stop_atr": 1.5, "target_atr": 2.5, "max_hold": 20},
        **{"taker_bps": 5.0, "maker_bps": 5.0, "slippage_bps": 1.0, "contract": 0.001, "capital": 10_000.0},
    }
    return backtest(**settings | changed)


def market_of(n: int) -> PredictedBars:
    """A gapped walk; more than a million bars repeat one, which makes a jump at each seam."""
    unit = gapped_walk(0, min(n, 1_000_000), p_sd=0.08)
    if n == len(unit.bars):
        return unit
    times = -(-n // len(unit.bars))
    columns: dict[str, Any] = {name: np.tile(column, times)[:n] for name, column in unit.bars.columns()}
    first_ns, step_ns = int(unit.bars.open_time_ns[0]), unit.bars.interval_ns
    columns["open_time_ns"] = first_ns + np.arange(n) * step_ns
    bars = Bars(symbol=unit.bars.symbol, interval_ns=step_ns, **columns)
    tiled = {name: np.tile(getattr(unit, name), times)[:n] for name in ("p", "atr", "window")}
    return PredictedBars(bars=bars, **tiled)


def user_call(settings: Backtest, market: PredictedBars) -> object:
    """A run and all its figures."""
    result = settings.run([market])
    return summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)


def grid(thresholds: int, distances: int) -> dict[str, Any]:
    """So many thresholds, and so many distances for stop and target each."""
    levels = np.linspace(0.5, 3, distances)
    return {"threshold": np.linspace(0.55, 0.7, thresholds), "stop_atr": levels, "target_atr": levels}


THOUSAND = grid(10, 10)
