"""The same market traded otherwise: at other sizes, or simply held."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from botscalp.backtest.engine import Bracket
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.settings import SIZES, Backtest


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """A line of the position-size table; money in the quote currency."""

    contract: float
    """base units per trade"""
    trades: int
    net_pnl: float
    fees: float
    roi: float
    max_drawdown: float
    max_drawdown_quote: float


def size_table(
    backtest: Backtest,
    market: Sequence[PredictedBars],
    contracts: Sequence[float],
    by_window: Sequence[Bracket] | None = None,
) -> list[SizeRow]:
    """The backtest run again at each contract (base units), all else equal."""
    sizes: dict[str, Any] = dict.fromkeys(SIZES)
    return [_size_row(replace(backtest, **sizes | {"contract": one}), market, by_window) for one in contracts]


def _size_row(backtest: Backtest, market: Sequence[PredictedBars], by_window: Sequence[Bracket] | None) -> SizeRow:
    result = backtest.run(market, by_window)
    summary = result.summary
    assert backtest.contract is not None
    return SizeRow(
        contract=backtest.contract,
        trades=summary.trades,
        net_pnl=summary.net_pnl,
        fees=summary.fees,
        roi=summary.roi,
        max_drawdown=summary.max_drawdown,
        max_drawdown_quote=summary.max_drawdown_quote,
    )


def buy_and_hold(backtest: Backtest, market: Sequence[PredictedBars], notional: float | None = None) -> Result:
    """Long each symbol, at the backtest's costs, from the first open it could have traded to the last close.

    That is the open after the first prediction. One trade a symbol (reason end), by the same kernel.

    Args:
        notional: quote currency held of each symbol, where the backtest's size follows equity: its mean trade's, say.
    """
    longest = max(int(np.ptp(predicted.bars.number)) + 1 for predicted in market)
    forever: dict[str, Any] = {"stop_atr": np.inf, "target_atr": np.inf, "max_hold": longest}
    unlimited: dict[str, Any] = {"max_exposure": None, "daily_loss_stop": None, "step": None, "min_notional": 0.0}
    size: dict[str, Any] = {}
    if backtest.notional is None and backtest.contract is None:
        size = dict.fromkeys(SIZES) | {"notional": notional or backtest.capital}
    return replace(backtest, **forever, **unlimited, **size).run([_always_up(predicted) for predicted in market])


def _always_up(predicted: PredictedBars) -> PredictedBars:
    p = np.where(np.isnan(predicted.p), np.nan, 1.0)
    return replace(predicted, p=p, atr=np.ones(len(p)))
