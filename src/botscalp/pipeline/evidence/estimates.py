"""A figure and how sure we are of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.anatomy import positions_ns
from botscalp.backtest.performance import utc_day_pnl, utc_day_returns, utc_days_ns
from botscalp.backtest.result import Result
from botscalp.statistics import figures
from botscalp.statistics.bootstrap import CONFIDENCE, Interval, Resampling
from botscalp.statistics.figures import Figure
from botscalp.times import DAY_NS
from botscalp.types import Bool, Float64, Int64


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where undefined."""

    value: float | None
    interval: Interval | None

    def as_dict(self) -> dict[str, float | None]:
        """value, low and high."""
        low, high = self.interval or (None, None)
        return {"value": self.value, "low": low, "high": high}


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """The draws that all estimates of a run share: of bars, and of UTC days for figures that are made of days."""

    bars: Resampling
    days: Resampling

    @classmethod
    def of_account(
        cls, result: Result, telling: Sequence[Figure | None], *, start_ns: int, span_ns: int, seed: int
    ) -> "Estimator":
        """Draws for figures of rows and trades from `start_ns` on, and for figures of the account's days.

        Args:
            telling: figures whose dependence decides on the length of blocks of bars.
            span_ns: the label's span.
        """
        days = Days.of(result)
        daily = figures.mean(days.pnl_quote, days.time_ns)
        return cls(
            bars=Resampling.of(
                [figure for figure in telling if figure is not None],
                start_ns=start_ns,
                end_ns=int(result.close_time_ns[-1]),
                cell_ns=result.market[0].bars.interval_ns,
                span_ns=span_ns,
                seed=seed,
            ),
            days=Resampling.of(
                [figure for figure in (daily,) if figure is not None],
                start_ns=int(days.time_ns[0]),
                end_ns=int(days.time_ns[-1]) + DAY_NS,
                cell_ns=DAY_NS,
                span_ns=0,
                seed=seed,
            ),
        )

    def of(self, figure: Figure | None, *, confidence: float = CONFIDENCE) -> Estimate:
        """The estimate of a figure of rows or trades."""
        return Estimate(None if figure is None else figure.value, self.bars.interval(figure, confidence=confidence))

    def by_day(self, figure: Figure | None) -> Estimate:
        """The estimate of a figure of UTC days."""
        return Estimate(None if figure is None else figure.value, self.days.interval(figure))


@dataclass(frozen=True, kw_only=True)
class TradeRows:
    """Trades as rows: when each was entered and what it earned on its entry notional; shape (trades,)."""

    entry_ns: Int64
    net_bps: Float64
    gross_bps: Float64

    @classmethod
    def of(cls, result: Result) -> "TradeRows":
        """The trades of a backtest, in the order of its records."""
        entry_ns, _ = positions_ns(result)
        return cls(entry_ns=entry_ns, net_bps=result.net_bps, gross_bps=result.gross_bps)

    def __getitem__(self, some: Bool) -> "TradeRows":
        """Those of the trades."""
        return TradeRows(entry_ns=self.entry_ns[some], net_bps=self.net_bps[some], gross_bps=self.gross_bps[some])

    def mean_net(self) -> Figure | None:
        return figures.mean(self.net_bps, self.entry_ns)

    def mean_gross(self) -> Figure | None:
        return figures.mean(self.gross_bps, self.entry_ns)

    def win_rate(self) -> Figure | None:
        return figures.mean((self.net_bps > 0).astype(np.float64), self.entry_ns)


@dataclass(frozen=True, kw_only=True)
class Days:
    """The UTC days of a backtest, days without trades included; shape (days,)."""

    time_ns: Int64
    """when each begins"""
    returns: Float64
    pnl_quote: Float64

    @classmethod
    def of(cls, result: Result) -> "Days":
        columns = result.close_time_ns, result.equity_quote, result.capital_quote
        return cls(
            time_ns=utc_days_ns(result.close_time_ns),
            returns=utc_day_returns(*columns),
            pnl_quote=utc_day_pnl(*columns),
        )
