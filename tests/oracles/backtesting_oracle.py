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

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import backtesting

PARAMETERS = ("threshold", "stop_atr", "target_atr", "max_hold")


class Bracket(backtesting.Strategy):  # type: ignore[misc]  # the package has no types
    """Stands in a module and reads p and atr from the data: `optimize` sends both to its processes."""

    threshold = stop_atr = target_atr = max_hold = 0.0

    def init(self) -> None:
        table = self.data.df
        self.opens, self.p, self.atr = (table[name].to_numpy() for name in ("Open", "P", "Atr"))

    def next(self) -> None:
        t = len(self.data) - 1
        if self.trades:
            if t + 1 - self.trades[0].entry_bar == self.max_hold:
                self.trades[0].close()
            return
        if t + 1 == len(self.opens) or not 0 < self.atr[t] < np.inf:
            return
        fill, stop, target = self.opens[t + 1], self.stop_atr * self.atr[t], self.target_atr * self.atr[t]
        if self.p[t] > self.threshold:
            self.buy(size=1, sl=fill - stop, tp=fill + target)
        elif self.p[t] < 1 - self.threshold:
            self.sell(size=1, sl=fill + stop, tp=fill - target)


def askable(rules: Backtest, market: PredictedBars) -> PredictedBars:
    """The market without the signals that backtesting.py refuses."""
    bars = market.bars
    gap = np.abs(np.append(bars.open[1:], np.nan) - bars.close)
    reach = min(rules.stop_atr, rules.target_atr) * market.atr
    return replace(market, p=np.where(gap < 0.999 * reach, market.p, np.nan))


def engine_of(rules: Backtest, market: PredictedBars) -> Any:
    """A backtest of it; `run` and `optimize` take the `parameters`."""
    assert rules.contract == 1 and not rules.slippage_bps and rules.maker_bps == rules.taker_bps
    bars = market.bars
    table = pd.DataFrame(
        {
            **{"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume},
            **{"P": market.p, "Atr": market.atr},
        },
        pd.to_datetime(bars.open_time_ns),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return backtesting.Backtest(table, Bracket, cash=rules.capital, commission=rules.taker_bps * 1e-4)


def parameters(rules: Backtest) -> dict[str, Any]:
    """The rules as the strategy names them."""
    return {name: getattr(rules, name) for name in PARAMETERS}


def played(rules: Backtest, market: PredictedBars) -> pd.DataFrame:
    """The closed trades in the order of their exits: EntryBar, ExitBar, Size, EntryPrice, ExitPrice, PnL, SL, TP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats: Any = engine_of(rules, market).run(**parameters(rules))
    return pd.DataFrame(stats["_trades"])
