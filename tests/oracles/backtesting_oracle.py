"""The fill rules as backtesting.py plays them: an event engine that sees one bar after the other.

It has no slippage on exits, one fee for all fills, whole units only and no missing bars; and its orders name their levels
before the fill is known, so the strategy looks up the next open (as only an oracle may) and `askable` takes out the
signals that it would refuse: those whose stop or target lies on the wrong side of the last close.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from botscalp.backtest import Backtest, PredictedBars


def askable(rules: Backtest, market: PredictedBars) -> PredictedBars:
    """The market without the signals that backtesting.py refuses."""
    bars = market.bars
    gap = np.abs(np.append(bars.open[1:], np.nan) - bars.close)
    reach = min(rules.stop_atr, rules.target_atr) * market.atr
    return replace(market, p=np.where(gap < 0.999 * reach, market.p, np.nan))


def played(rules: Backtest, market: PredictedBars) -> pd.DataFrame:
    """The closed trades in the order of their exits: EntryBar, ExitBar, Size, EntryPrice, ExitPrice, PnL, SL, TP."""
    assert rules.contract == 1 and not rules.slippage_bps and rules.maker_bps == rules.taker_bps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import backtesting
    bars = market.bars
    p, atr, opens = market.p, market.atr, bars.open

    class Bracket(backtesting.Strategy):  # type: ignore[misc]  # the package has no types
        def init(self) -> None:
            pass

        def next(self) -> None:
            t = len(self.data) - 1
            if self.trades:
                if t + 1 - self.trades[0].entry_bar == rules.max_hold:
                    self.trades[0].close()
                return
            if t + 1 == len(opens) or not 0 < atr[t] < np.inf:
                return
            stop, target = rules.stop_atr * atr[t], rules.target_atr * atr[t]
            if p[t] > rules.threshold:
                self.buy(size=1, sl=opens[t + 1] - stop, tp=opens[t + 1] + target)
            elif p[t] < 1 - rules.threshold:
                self.sell(size=1, sl=opens[t + 1] + stop, tp=opens[t + 1] - target)

    table = pd.DataFrame(
        {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume},
        pd.to_datetime(bars.open_time_ns),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = backtesting.Backtest(table, Bracket, cash=rules.capital, commission=rules.taker_bps * 1e-4)
        stats: Any = engine.run()
    return pd.DataFrame(stats["_trades"])
