"""From settings and bars to the kernel's columns and records, and back to a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.records import BRACKET, TERMS, TRADE
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.settings import BPS, Backtest, Bracket
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    from botscalp.backtest.kernel import Account

NO_ROWS = np.zeros(0, np.int64)
NO_PRICES = np.zeros(0)


@dataclass(frozen=True)
class Columns:
    """A market as the kernels take it: symbol after symbol, one dtype, so that they are compiled once."""

    market: tuple[PredictedBars, ...]

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
        open_, high, low, close = (_joined([column(getattr(one.bars, name)) for one in self.market]) for name in names)
        return open_, high, low, close

    @cached_property
    def p(self) -> Float64:
        """As float64: numba and numpy disagree on float32(0.6) > 0.6, and every other dtype compiles another kernel."""
        return _joined([column(one.p) for one in self.market])

    @cached_property
    def atr(self) -> Float64:
        return _joined([column(one.atr) for one in self.market])

    @property
    def interval_ns(self) -> int:
        return int(self.market[0].bars.interval_ns)

    @property
    def bare(self) -> bool:
        """Whether there is one symbol, without funding and finer bars."""
        return len(self.market) == 1 and self.market[0].funding is None and self.market[0].finer is None

    @cached_property
    def account(self) -> "Account":
        """What the kernel needs where settings are not plain."""
        # Here and not above: numba takes 0.2 s to import.
        from botscalp.backtest.kernel import Account

        funding_row, funding_rate = [NO_ROWS], [NO_PRICES]
        finer = [one.finer for one in self.market]
        for one, first in zip(self.market, self.first_row, strict=False):
            if one.funding is not None:
                row = np.searchsorted(one.bars.open_time_ns, one.funding.time_ns)
                inside = row < len(one.bars)
                funding_row.append(first + row[inside])
                funding_rate.append(column(one.funding.rate[inside]))
        return Account(
            first_row_S=self.first_row,
            funding_row=np.concatenate(funding_row),
            funding_rate=np.concatenate(funding_rate),
            finer_first_S=np.cumsum([0, *(0 if bars is None else len(bars) for bars in finer)]),
            finer_time_ns=np.concatenate([NO_ROWS, *(bars.open_time_ns for bars in finer if bars is not None)]),
            finer_high=np.concatenate([NO_PRICES, *(bars.high for bars in finer if bars is not None)]),
            finer_low=np.concatenate([NO_PRICES, *(bars.low for bars in finer if bars is not None)]),
        )


def run(backtest: Backtest, market: Sequence[PredictedBars], by_window: Sequence[Bracket] | None = None) -> Result:
    """Trade all symbols on one account, over the whole of their bars; see `Backtest.run`."""
    from botscalp.backtest.kernel import run_nb

    assert market, "a backtest needs at least one symbol"
    columns = Columns(tuple(market))
    plain = columns.bare and by_window is None and backtest.plain
    n = len(columns.open_time_ns)
    trades = np.empty(n, TRADE)  # pages that no trade touches cost nothing
    pnl_quote = np.empty(n)
    count = run_nb(
        columns.open_time_ns,
        *columns.prices,
        columns.p,
        columns.atr,
        columns.interval_ns,
        brackets_of(backtest, columns, by_window),
        terms_of(backtest),
        None if plain else columns.account,
        trades,
        pnl_quote,
    )
    close_time_ns, equity_quote = _sum_over_union(
        [one.bars.close_time_ns for one in market], np.split(pnl_quote, columns.first_row[1:-1])
    )
    equity_quote += backtest.capital
    return Result(
        market=columns.market,
        records=trades[:count],
        close_time_ns=close_time_ns,
        equity_quote=equity_quote,
        capital_quote=backtest.capital,
    )


def terms_of(backtest: Backtest) -> np.void:
    """The settings that hold in every window, as the kernel's record of TERMS."""
    tick = backtest.tick or 0.0
    rounded = tick if backtest.round_prices else 0.0
    step = backtest.step or 0.0
    fields = {
        "slippage_rate": (backtest.slippage_bps or 0.0) * BPS,
        "slippage_price": (backtest.slippage_ticks or 0.0) * tick,
        "taker_rate": backtest.taker_bps * BPS,
        "maker_rate": backtest.maker_bps * BPS,
        "notional_quote": backtest.notional or 0.0,
        "contract_base": backtest.contract or 0.0,
        "capital_quote": backtest.capital,
        "equity_fraction": backtest.equity_fraction or 0.0,
        "volatility_target": backtest.volatility_target or 0.0,
        "kelly_fraction": backtest.kelly_fraction or 0.0,
        "max_exposure": backtest.max_exposure or np.inf,
        "daily_loss_stop": backtest.daily_loss_stop or np.inf,
        "half_spread": backtest.spread_bps * BPS / 2,
        "tick": rounded,
        "ticks_a_unit": whole_inverse(rounded),
        "step": step,
        "steps_a_unit": whole_inverse(step),
        "min_notional_quote": backtest.min_notional,
        "latency_bars": backtest.latency_bars,
        "cooldown_bars": backtest.cooldown_bars,
    }
    terms: np.void = np.array([tuple(fields[name] for name in TERMS.names or ())], TERMS)[0]
    return terms


def whole_inverse(step: float) -> float:
    """How many steps make 1, where that is a whole number; else 0."""
    inverse = round(1.0 / step) if step > 0.0 else 0
    return float(inverse) if inverse and abs(1.0 / step - inverse) < 1e-9 * inverse else 0.0


def brackets_of(backtest: Backtest, columns: Columns, by_window: Sequence[Bracket] | None) -> NDArray[np.void]:
    """Records of BRACKET: one a symbol, or one for each stretch of rows whose entries lie in one window."""
    stretches: list[tuple[int, Bracket]] = []
    for one, first in zip(columns.market, columns.first_row.tolist(), strict=False):
        if by_window is not None:
            window = _window_of_entry(one, backtest.latency_bars)
            changes = np.flatnonzero(np.diff(window)) + 1
            stretches += [(first + row, by_window[window[row - 1]]) for row in changes.tolist()]
        last = backtest.bracket if by_window is None else by_window[window[-1]]
        stretches.append((first + len(one.bars), last))
    return np.array(
        [(until, one.threshold, one.stop_atr, one.target_atr, int(one.max_hold)) for until, one in stretches], BRACKET
    )


def _window_of_entry(predicted: PredictedBars, latency_bars: int) -> Int64:
    """The window of the bar that an order of each row would enter in, shape (T,)."""
    times_ns = predicted.bars.open_time_ns
    entry = np.searchsorted(times_ns, times_ns + (1 + latency_bars) * predicted.bars.interval_ns)
    return np.asarray(predicted.window, np.int64)[np.minimum(entry, len(times_ns) - 1)]


def column(values: NDArray[np.floating]) -> Float64:
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
