"""The records that kernels read and write: settings in, trades and sums out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from botscalp.types import Float64, Int64

STOP, TARGET, TIMEOUT, END = 0, 1, 2, 3
REASONS = ("stop", "target", "timeout", "end")
"""The name of each reason's code."""

BRACKET = np.dtype(
    [
        ("until", np.int64),  # first row whose signals it no longer rules
        ("threshold", np.float64),
        ("stop_atr", np.float64),
        ("target_atr", np.float64),
        ("max_hold", np.int64),
    ],
    align=True,
)
"""When to enter and where to leave, for a stretch of rows."""

TERMS = np.dtype(
    [
        *((name, np.float64) for name in ("slippage_rate", "slippage_price", "taker_rate", "maker_rate")),
        *((name, np.float64) for name in ("notional_quote", "contract_base", "capital_quote")),
        # Read only where there is an account: see `AccountColumns`.
        *((name, np.float64) for name in ("equity_fraction", "volatility_target", "kelly_fraction")),
        *(
            (name, np.float64) for name in ("max_exposure", "daily_loss_stop")
        ),  # of equity; infinite where there is none
        ("half_spread", np.float64),  # of the price
        ("through_price", np.float64),  # that the price must go beyond a target
        *((name, np.float64) for name in ("tick", "ticks_a_unit")),  # 0 where prices are not rounded
        *((name, np.float64) for name in ("step", "steps_a_unit", "min_notional_quote")),
        *((name, np.int64) for name in ("latency_bars", "cooldown_bars")),
    ],
    align=True,
)
"""What trading costs and how much is at stake."""

TRADE = np.dtype(
    [
        ("signal", np.int32),  # rows of the bars t, e and x, within the symbol
        ("entry", np.int32),
        ("exit", np.int32),
        ("symbol", np.int16),  # position in the market
        ("side", np.int8),  # +1 long, -1 short
        ("reason", np.int8),  # index into REASONS
        ("entry_price", np.float64),  # fills, after slippage
        ("exit_price", np.float64),
        ("size_base", np.float64),
        ("gross_quote", np.float64),  # at prices before slippage and spread
        ("slippage_quote", np.float64),  # and half the spread, where there is one
        ("fees_quote", np.float64),
        ("funding_quote", np.float64),  # paid > 0
        ("pnl_quote", np.float64),  # gross - slippage - fees - funding
    ],
    align=True,
)
"""One trade as the kernel writes it."""

Trades = NDArray[np.void]
"""Array of shape (n_trades,) with dtype TRADE."""

TOTALS = np.dtype(
    [(name, np.int64) for name in ("trades", "wins", "targets", "stops", "timeouts", "ends")]
    + [
        (name, np.float64) for name in ("gross", "slippage", "fees", "funding", "net")
    ]  # sums over trades, quote currency
    + [(name, np.float64) for name in ("won", "lost")]  # net PnL of the trades above 0, and of the others
    + [(name, np.float64) for name in ("gross_to_notional", "net_to_notional")]  # sums of PnL to entry notional
    + [(name, np.float64) for name in ("drawdown", "drawdown_quote")]  # as max_drawdown_nb returns them
    + [
        ("day_mean", np.float64),
        ("day_deviation", np.float64),
        ("days_lost", np.int64),
    ],  # as day_figures_nb returns them
    align=True,
)
"""What a backtest is judged by, before any division. Sums run trade after trade, so that a sweep, which keeps no trades,
arrives at the same bits."""


class AccountColumns(NamedTuple):
    """What a run with more than one symbol or more than plain settings needs besides; empty where there is nothing."""

    first_row_S: Int64
    """where each symbol's rows begin, and N"""
    funding_row: Int64
    """first row at or after each funding time, by symbol and time"""
    funding_rate: Float64
    finer_first_S: Int64
    """where each symbol's finer bars begin, and their number"""
    finer_interval_ns: int
    finer_time_ns: Int64
    finer_high: Float64
    finer_low: Float64
    stake: Float64
    """what a sizing rule of one's own puts at stake, a fraction of equity; shape (N,)"""
