"""From bars to the kernel's columns, and from what it writes to a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.records import BRACKET, TRADE
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.sizing import SizingRule, stakes_of
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    from botscalp.backtest.records import AccountColumns

NO_ROWS = np.zeros(0, np.int64)
NO_PRICES = np.zeros(0)


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """When to enter and where to leave, everywhere or in one window; as in `Backtest`."""

    threshold: float
    stop_atr: float
    target_atr: float
    max_hold: int


@dataclass(frozen=True)
class Columns:
    """A market as the kernels take it: symbol after symbol, one dtype, so that they are compiled once."""

    market: tuple[PredictedBars, ...]
    sizing: SizingRule | None

    @cached_property
    def first_row(self) -> Int64:
        """Where each symbol's rows begin, and N; shape (S + 1,)."""
        return np.cumsum([0, *(len(one.bars) for one in self.market)])

    @cached_property
    def open_time_ns(self) -> Int64:
        return _joined([np.ascontiguousarray(one.bars.open_time_ns, np.int64) for one in self.market])

    @cached_property
    def prices(self) -> tuple[Float64, Float64, Float64, Float64]:
        """Open, high, low and close, shape (N,)."""
        names = ("open", "high", "low", "close")
        open_, high, low, close = (_joined([_column(getattr(one.bars, name)) for one in self.market]) for name in names)
        return open_, high, low, close

    @cached_property
    def p(self) -> Float64:
        """As float64: numba and numpy disagree on float32(0.6) > 0.6, and every other dtype compiles another kernel."""
        return _joined([_column(one.p) for one in self.market])

    @cached_property
    def atr(self) -> Float64:
        return _joined([_column(one.atr) for one in self.market])

    @property
    def interval_ns(self) -> int:
        return int(self.market[0].bars.interval_ns)

    @property
    def bare(self) -> bool:
        """Whether there is one symbol, without funding and finer bars."""
        return len(self.market) == 1 and self.market[0].funding is None and self.market[0].finer is None

    @cached_property
    def account(self) -> "AccountColumns":
        """What the kernel needs where settings are not plain."""
        # Here and not above: numba takes 0.2 s to import.
        from botscalp.backtest.records import AccountColumns

        funding_row, funding_rate = [NO_ROWS], [NO_PRICES]
        finer = [one.finer for one in self.market if one.finer is not None]
        for one, first in zip(self.market, self.first_row, strict=False):
            if one.funding is not None:
                row = np.searchsorted(one.bars.open_time_ns, one.funding.time_ns)
                inside = row < len(one.bars)
                funding_row.append(first + row[inside])
                funding_rate.append(_column(one.funding.rate[inside]))
        return AccountColumns(
            first_row_S=self.first_row,
            funding_row=np.concatenate(funding_row),
            funding_rate=np.concatenate(funding_rate),
            finer_first_S=np.cumsum([0, *(0 if one.finer is None else len(one.finer) for one in self.market)]),
            finer_interval_ns=int(finer[0].interval_ns) if finer else 0,
            finer_time_ns=np.concatenate([NO_ROWS, *(bars.open_time_ns for bars in finer)]),
            finer_high=np.concatenate([NO_PRICES, *(bars.high for bars in finer)]),
            finer_low=np.concatenate([NO_PRICES, *(bars.low for bars in finer)]),
            stake=_joined([NO_PRICES if self.sizing is None else stakes_of(self.sizing, one) for one in self.market]),
        )


def run(columns: Columns, brackets: NDArray[np.void], terms_S: NDArray[np.void], *, plain: bool) -> Result:
    """Trade all symbols on one account, over the whole of their bars.

    Args:
        brackets: records of BRACKET, as `brackets_of` makes them.
        terms_S: a record of TERMS a symbol.
        plain: whether nothing in the terms or the brackets needs an account.
    """
    from botscalp.backtest.kernel import run_nb

    n = len(columns.open_time_ns)
    trades = np.empty(n, TRADE)  # pages that no trade touches cost nothing
    pnl_quote = np.empty(n)
    count = run_nb(
        columns.open_time_ns,
        *columns.prices,
        columns.p,
        columns.atr,
        columns.interval_ns,
        brackets,
        terms_S,
        None if plain and columns.bare else columns.account,
        trades,
        pnl_quote,
    )
    close_time_ns, equity_quote = _sum_over_union(
        [one.bars.close_time_ns for one in columns.market], np.split(pnl_quote, columns.first_row[1:-1])
    )
    capital_quote = float(terms_S[0]["capital_quote"])
    equity_quote += capital_quote
    return Result(
        market=columns.market,
        records=trades[:count],
        close_time_ns=close_time_ns,
        equity_quote=equity_quote,
        capital_quote=capital_quote,
    )


def brackets_of(
    columns: Columns, everywhere: Bracket, by_window: Sequence[Bracket] | None, latency_bars: int
) -> NDArray[np.void]:
    """Records of BRACKET: one a symbol, or one for each stretch of rows whose entries lie in one window."""
    stretches: list[tuple[int, Bracket]] = []
    for one, first in zip(columns.market, columns.first_row.tolist(), strict=False):
        last = everywhere
        if by_window is not None:
            window = _window_of_entry(one, latency_bars)
            changes = np.flatnonzero(np.diff(window)) + 1
            stretches += [(first + row, by_window[window[row - 1]]) for row in changes.tolist()]
            last = by_window[window[-1]]
        stretches.append((first + len(one.bars), last))
    return np.array(
        [(until, one.threshold, one.stop_atr, one.target_atr, int(one.max_hold)) for until, one in stretches], BRACKET
    )


def _window_of_entry(predicted: PredictedBars, latency_bars: int) -> Int64:
    """The window of the bar that an order of each row would enter in, shape (T,)."""
    times_ns = predicted.bars.open_time_ns
    entry = np.searchsorted(times_ns, times_ns + (1 + latency_bars) * predicted.bars.interval_ns)
    return np.asarray(predicted.window, np.int64)[np.minimum(entry, len(times_ns) - 1)]


def _column(values: NDArray[np.floating]) -> Float64:
    """As the kernels take it."""
    return np.ascontiguousarray(values, np.float64)


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _sum_over_union(times_ns: list[Int64], values: list[Float64]) -> tuple[Int64, Float64]:
    """Sum step functions that are 0 before their first time, on the union of their times."""
    if len(times_ns) == 1:
        return times_ns[0], values[0]
    union_ns = np.unique(np.concatenate(times_ns))
    total = np.zeros(len(union_ns))
    for row, value in zip(rows_at(times_ns, union_ns), values, strict=True):
        total += np.concatenate([[0.0], value])[row]
    return union_ns, total


def rows_at(times_ns: list[Int64], union_ns: Int64) -> list[Int64]:
    """For each symbol, how many of its times have come at each time of the union."""
    return [np.searchsorted(time_ns, union_ns, side="right") for time_ns in times_ns]
