"""backtrader under our rules: it shows the open before orders fill (`cheat_on_open`), so stop and target lie from the fill.

What differs: an open beyond the target pays slippage, as every fill at an open does, and there is one fee for all fills.
"""

import math
from typing import Any

import backtrader
import pandas as pd

from botscalp.backtest import Backtest, PredictedBars
from botscalp.backtest.settings import BPS


class Bracket(backtrader.Strategy):  # type: ignore[misc]  # the package has no types
    """A market order at the open of the entry bar, beside it a stop and a target of which one cancels the other."""

    params = (("rules", None), ("p", None), ("atr", None))

    def __init__(self) -> None:
        self.exits: list[Any] = []
        self.entry = 0
        self.rows: list[tuple[int, int]] = []
        """entry and exit bar of every closed trade"""

    def next_open(self) -> None:
        row, rules = len(self.data) - 1, self.p.rules
        if self.position:
            if row - self.entry == rules.max_hold:
                for order in self.exits:
                    self.cancel(order)
                self.close()
            return
        p, atr = self.p.p[row - 1], self.p.atr[row - 1]
        if row == 0 or not 0 < atr < math.inf:
            return
        if p > rules.threshold:
            self._enter(1, row, atr)
        elif p < 1 - rules.threshold:
            self._enter(-1, row, atr)

    def _enter(self, side: int, row: int, atr: float) -> None:
        rules, self.entry = self.p.rules, row
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        fill = self.data.open[0] * (1 + side * rules.slippage_bps * BPS)
        stop, target = fill - side * rules.stop_atr * atr, fill + side * rules.target_atr * atr
        enter(size=rules.contract)
        stopped = leave(size=rules.contract, exectype=backtrader.Order.Stop, price=stop)
        reached = leave(size=rules.contract, exectype=backtrader.Order.Limit, price=target, oco=stopped)
        self.exits = [stopped, reached]

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.rows.append((self.entry, len(self.data) - 1))


def backtrader_call(settings: Backtest, market: PredictedBars) -> list[tuple[int, int]]:
    """Its `run()` with analyzers for our figures, in place of the observers it would plot; the rows of the trades."""
    bars = market.bars
    table = pd.DataFrame(
        {"open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close, "volume": bars.volume},
        pd.to_datetime(bars.open_time_ns),
    )
    cerebro = backtrader.Cerebro(stdstats=False, cheat_on_open=True)
    cerebro.adddata(backtrader.feeds.PandasData(dataname=table))
    cerebro.addstrategy(Bracket, rules=settings, p=market.p.tolist(), atr=market.atr.tolist())
    cerebro.broker.setcash(settings.capital)
    cerebro.broker.setcommission(settings.taker_bps * BPS)
    # slip_match and slip_out: a fill may lie outside the bar, as ours may.
    slips = {"slip_limit": False, "slip_match": True, "slip_out": True}
    cerebro.broker.set_slippage_perc((settings.slippage_bps or 0.0) * BPS, **slips)
    cerebro.addanalyzer(backtrader.analyzers.TradeAnalyzer)
    cerebro.addanalyzer(backtrader.analyzers.DrawDown)
    cerebro.addanalyzer(backtrader.analyzers.SharpeRatio, timeframe=backtrader.TimeFrame.Days)
    (strategy,) = cerebro.run()
    return list(strategy.rows)
