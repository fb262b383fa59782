"""vectorbt at the same work, through the front door that its manual shows."""

from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars
from tests.oracles.vectorbt_oracle import Rows, quiet_vectorbt


def vectorbt_identical(rows: Rows, rules: Backtest, engine: str) -> Any:
    """Our trades, where max_hold never acts and slippage is 0: static entries, so that both of its engines can run them."""
    from vectorbt.portfolio.enums import OppositeEntryMode, SizeType, StopEntryPrice, StopExitPrice

    last = np.zeros(len(rows.open), bool)
    last[-1] = True
    return quiet_vectorbt().Portfolio.from_signals(
        rows.close,
        open=rows.open,
        high=rows.high,
        low=rows.low,
        price=rows.price,
        entries=rows.long,
        short_entries=rows.short,
        exits=last,
        short_exits=last,
        size=rows.size,
        size_type=SizeType.Amount,
        fees=rules.taker_bps * 1e-4,
        init_cash=rules.capital,
        sl_stop=rows.stop_fraction,
        tp_stop=rows.target_fraction,
        stop_entry_price=StopEntryPrice.FillPrice,
        stop_exit_price=StopExitPrice.StopLimit,
        upon_opposite_entry=OppositeEntryMode.Ignore,
        max_orders=len(rows.open),
        engine=engine,
    )


def vectorbt_plain(market: PredictedBars, rules: Backtest, engine: str, **swept: Any) -> Any:
    """What a user of vectorbt writes: signals at closes, stops as fractions. It does less: the entry bar is not watched.

    `swept` holds the threshold, stop_atr and target_atr of each column; without them there is one, that of the rules.
    """
    bars, p = market.bars, market.p[:, None]
    open_, high, low, close, atr = (
        column[:, None] for column in (bars.open, bars.high, bars.low, bars.close, np.nan_to_num(market.atr))
    )
    threshold, stop_atr, target_atr = (
        np.atleast_1d(swept.get(name, getattr(rules, name))) for name in ("threshold", "stop_atr", "target_atr")
    )
    return quiet_vectorbt().Portfolio.from_signals(
        close,
        entries=(p > threshold) & (atr > 0),
        short_entries=(p < 1 - threshold) & (atr > 0),
        open=open_,
        high=high,
        low=low,
        size=0.001,
        fees=rules.taker_bps * 1e-4,
        slippage=(rules.slippage_bps or 0.0) * 1e-4,
        init_cash=rules.capital,
        sl_stop=np.where(atr > 0, stop_atr * atr / close, np.nan),
        tp_stop=np.where(atr > 0, target_atr * atr / close, np.nan),
        freq="5min",
        engine=engine,
    )


def vectorbt_report(portfolio: Any) -> tuple[Any, ...]:
    """The figures that a summary of ours holds."""
    trades = portfolio.trades
    return (
        portfolio.value(),
        trades.count(),
        trades.win_rate(),
        trades.pnl.sum(),
        portfolio.total_return(),
        portfolio.max_drawdown(),
        portfolio.sharpe_ratio(),
        portfolio.orders.fees.sum(),
    )
