"""What goes into a backtest and what comes out: arrays at once, tables when asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.performance import Summary, summarize
from botscalp.types import Bars, Float64, Int64

if TYPE_CHECKING:
    import pandas as pd

    from botscalp.backtest.records import Trades


@dataclass(frozen=True)
class Funding:
    """What holders of a position pay each other at fixed times; both arrays have shape (F,), by time."""

    time_ns: Int64
    rate: Float64
    """fraction of the notional that longs pay to shorts"""


@dataclass(frozen=True, kw_only=True)
class PredictedBars:
    """One symbol's bars with what is known at each close; every array has shape (T,)."""

    bars: Bars
    p: NDArray[np.floating]
    """probability of up; NaN where there is no prediction"""
    atr: Float64
    """average true range in price units; NaN while it warms up"""
    window: NDArray[np.integer]
    """walk-forward window that each bar lies in"""
    funding: Funding | None = None
    finer: Bars | None = None
    """bars of a shorter interval, to tell the order of touches inside one bar"""

    def __post_init__(self) -> None:
        assert len(self.bars) == len(self.p) == len(self.atr) == len(self.window) > 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """The trades of every symbol and the account's equity at every close."""

    market: tuple[PredictedBars, ...]
    records: "Trades"
    """all trades as the kernel wrote them, by the time of their signal; their rows point into their symbol's bars"""
    close_time_ns: Int64
    """union of the symbols' close times, shape (T,)"""
    equity_quote: Float64
    """capital and cumulative PnL of all symbols, open positions marked at their last close, shape (T,)"""
    capital_quote: float

    @cached_property
    def trades_of(self) -> "tuple[Trades, ...]":
        """The records of each symbol, in the order of `market`."""
        return tuple(self.records[self.records["symbol"] == symbol] for symbol in range(len(self.market)))

    @cached_property
    def net_bps(self) -> Float64:
        """Net PnL of each record to its entry notional, in 0.01 %, shape (n_trades,)."""
        return self.records["pnl_quote"] * self._bps_a_quote

    @cached_property
    def gross_bps(self) -> Float64:
        """The same before slippage, spread, fees and funding."""
        return self.records["gross_quote"] * self._bps_a_quote

    @cached_property
    def _bps_a_quote(self) -> Float64:
        bps: Float64 = 1e4 / (self.records["size_base"] * self.records["entry_price"])
        return bps

    @cached_property
    def summary(self) -> Summary:
        """The block of figures."""
        return summarize(self.records, self.close_time_ns, self.equity_quote, self.capital_quote)

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """The trades as `trades.parquet` holds them, by entry time."""
        import pandas as pd

        tables = [_table(predicted, trades) for predicted, trades in zip(self.market, self.trades_of, strict=True)]
        if len(tables) == 1:
            return tables[0]
        return pd.concat(tables).sort_values("entry_time", kind="stable", ignore_index=True)

    @cached_property
    def equity(self) -> "pd.DataFrame":
        """The equity as `equity.parquet` holds it."""
        import pandas as pd

        return pd.DataFrame({"close_time": _utc(self.close_time_ns), "equity_quote": self.equity_quote})


def _table(predicted: PredictedBars, trades: "Trades") -> "pd.DataFrame":
    import pandas as pd

    from botscalp.backtest.records import REASONS

    open_time_ns = predicted.bars.open_time_ns
    return pd.DataFrame(
        {
            "symbol": np.full(len(trades), predicted.bars.symbol),
            "window": np.asarray(predicted.window, np.int64)[trades["entry"]],
            "side": trades["side"],
            "signal_time": _utc(open_time_ns[trades["signal"]]),
            "entry_time": _utc(open_time_ns[trades["entry"]]),
            "exit_time": _utc(open_time_ns[trades["exit"]]),
            "entry_price": trades["entry_price"],
            "exit_price": trades["exit_price"],
            "size_base": trades["size_base"],
            "reason": np.array(REASONS)[trades["reason"]],
            "gross_quote": trades["gross_quote"],
            "slippage_quote": trades["slippage_quote"],
            "fees_quote": trades["fees_quote"],
            "funding_quote": trades["funding_quote"],
            "pnl_quote": trades["pnl_quote"],
        }
    )


def _utc(times_ns: Int64) -> "pd.DatetimeIndex":
    import pandas as pd

    return pd.DatetimeIndex(times_ns.view("datetime64[ns]"), tz="UTC")
