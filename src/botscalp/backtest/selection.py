"""A bracket for one window, chosen on bars that come before its test."""

from collections.abc import Sequence

import numpy as np

from botscalp.backtest.engine import Bracket
from botscalp.backtest.result import PredictedBars
from botscalp.backtest.settings import Backtest
from botscalp.backtest.sweep import sweep

MIN_TRADES = 30
"""fewer say nothing about a setting; without this, the one that hardly trades would win wherever trading loses"""


def best_bracket(backtest: Backtest, market: Sequence[PredictedBars]) -> Bracket:
    """The combination of `backtest.candidates` that earned the most, costs paid, on these bars.

    Of those with at least MIN_TRADES trades; the first of equals; the backtest's own where none has so many.
    """
    grid = backtest.candidates.grid
    table = sweep(market, backtest, grid)
    earned = table.net_pnl.where(table.trades >= MIN_TRADES)
    if earned.isna().all():
        return backtest.bracket
    best = table.iloc[int(np.nanargmax(earned))]
    chosen = {name: float(best[name]) for name in grid}
    return Bracket(
        threshold=chosen.get("threshold", backtest.threshold),
        stop_atr=chosen.get("stop_atr", backtest.stop_atr),
        target_atr=chosen.get("target_atr", backtest.target_atr),
        max_hold=int(chosen.get("max_hold", backtest.max_hold)),
    )
