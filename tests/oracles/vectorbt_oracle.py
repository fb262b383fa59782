"""The fill rules as vectorbt plays them: its own engine decides and fills, we only describe the orders to it.

vectorbt fills at most one order a row and looks for stops only after the row of the entry, so every bar becomes two rows:
2i is the open of bar i as a point in time (o, o, o, o), 2i+1 the bar itself (o, h, l, c). Entries and time-outs stand
on even rows; stops act from the next row on, that is on the whole entry bar; a stop that an even row's price has passed is
an open beyond the level. What an exit costs depends on which exit it was, and vectorbt asks for slippage and fees
beforehand: a first pass finds the exits, a second one prices them, and it is checked that no row moved in between.

Not covered: an entry whose own open lies beyond its stop (slippage wider than the stop distance).
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest import Backtest, PredictedBars
from botscalp.types import Bool, Float64, Int64

STOP, TARGET, TIMEOUT, END = range(4)


@dataclass(frozen=True, kw_only=True)
class Played:
    """The trades and the account, as vectorbt saw them; rows are bars. Shapes (n_trades,), the equity (T,)."""

    entry: Int64
    exit: Int64
    side: Int64
    reason: Int64
    entry_price: Float64
    exit_price: Float64
    size_base: Float64
    fees_quote: Float64
    pnl_quote: Float64
    equity_quote: Float64


@functools.cache
def quiet_vectorbt() -> Any:
    """The package; its import warns about things that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt
    return vectorbt


@functools.cache
def order_logic() -> Callable[..., tuple[bool, bool, bool, bool]]:
    """(long entry, long exit, short entry, short exit) for each row; stops are vectorbt's own and come before."""
    from numba import njit

    @njit
    def signal(c, long_row, short_row, due_row, due, last):  # type: ignore[no-untyped-def]  # numba infers it
        if c.position_now == 0.0:
            if long_row[c.i] or short_row[c.i]:
                due[0] = due_row[c.i]
            return long_row[c.i], False, short_row[c.i], False
        out = c.i == due[0] or c.i == last
        return False, out and c.position_now > 0, False, out and c.position_now < 0

    return signal


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Two rows a bar; every array has shape (2 T,)."""

    open: Float64
    high: Float64
    low: Float64
    close: Float64
    price: Float64
    """of entries and time-outs"""
    long: Bool
    short: Bool
    """entries"""
    stop_fraction: Float64
    target_fraction: Float64
    """distances from the fill, of it"""
    size: Float64
    due: Int64
    """the row of a position's time-out, by the row of its entry"""


def rows_of(rules: Backtest, market: PredictedBars) -> Rows:
    """One symbol's bars and signals as vectorbt has to see them."""
    bars, n = market.bars, len(market.bars)
    next_open, follows = bars.open[1:], np.diff(bars.open_time_ns) == bars.interval_ns
    p, atr = market.p[:-1].astype(np.float64), market.atr[:-1]
    tradable = follows & np.isfinite(atr) & (np.nan_to_num(atr) > 0)
    long, short = np.zeros((2, 2 * n), bool)
    long[2::2], short[2::2] = (p > rules.threshold) & tradable, (p < 1 - rules.threshold) & tradable
    fill = slipped(rules, next_open, np.where(long[2::2], 1.0, -1.0))
    open_, high, low, close = (np.repeat(bars.open, 2) for _ in range(4))
    high[1::2], low[1::2], close[1::2] = bars.high, bars.low, bars.close
    price = open_.copy()
    price[-1] = bars.close[-1]
    stop_fraction, target_fraction = np.full((2, 2 * n), np.nan)
    stop_fraction[2::2], target_fraction[2::2] = rules.stop_atr * atr / fill, rules.target_atr * atr / fill
    size = np.full(2 * n, rules.contract or 0.0)
    if rules.notional is not None:
        size[2::2] = rules.notional / fill
    due_ns = bars.open_time_ns + rules.max_hold * bars.interval_ns
    return Rows(
        open=open_,
        high=high,
        low=low,
        close=close,
        price=price,
        long=long,
        short=short,
        stop_fraction=stop_fraction,
        target_fraction=target_fraction,
        size=size,
        due=np.repeat(2 * np.searchsorted(bars.open_time_ns, due_ns), 2),
    )


def played(rules: Backtest, market: PredictedBars) -> Played:
    """What vectorbt makes of one symbol under the rules."""
    rows = rows_of(rules, market)
    count = len(rows.open)
    slippage, fees = slippage_fraction(rules, rows.price), np.full(count, rules.taker_bps * 1e-4)
    slippage[1:-1:2] = 0.0
    from vectorbt.portfolio.enums import SizeType, StopEntryPrice, StopExitMode, StopExitPrice

    def simulate(stop_exit_price: NDArray[np.int64]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return quiet_vectorbt().Portfolio.from_signals(
                rows.close,
                open=rows.open,
                high=rows.high,
                low=rows.low,
                price=rows.price,
                signal_func_nb=order_logic(),
                signal_args=(rows.long, rows.short, rows.due, np.zeros(1, np.int64), count - 1),
                size=rows.size,
                size_type=SizeType.Amount,
                fees=fees,
                slippage=slippage,
                init_cash=rules.capital,
                sl_stop=rows.stop_fraction,
                tp_stop=rows.target_fraction,
                stop_entry_price=StopEntryPrice.FillPrice,
                stop_exit_price=stop_exit_price,
                upon_stop_exit=StopExitMode.Close,
                accumulate=False,
                max_orders=count,
            )

    first = simulate(np.full(count, StopExitPrice.StopLimit)).exit_trades.records
    exit_row, signal = first["exit_idx"].to_numpy(), first["entry_idx"].to_numpy() // 2 - 1
    reason = reasons_of(rules, market, first, signal)

    slips = exit_row[reason == STOP]
    raw = first["exit_price"].to_numpy()[reason == STOP]
    slippage[slips] = slippage_fraction(rules, raw)
    fees[exit_row[reason == TARGET]] = rules.maker_bps * 1e-4
    stop_exit_price = np.full(count, StopExitPrice.StopLimit)
    stop_exit_price[slips] = StopExitPrice.StopMarket
    portfolio = simulate(stop_exit_price)
    trades = portfolio.exit_trades.records
    for name in ("entry_idx", "exit_idx"):
        assert np.array_equal(trades[name], first[name]), "a row moved between the passes"
    return Played(
        entry=trades["entry_idx"].to_numpy() // 2,
        exit=exit_row // 2,
        side=np.where(trades["direction"] == 0, 1, -1),
        reason=reason,
        entry_price=trades["entry_price"].to_numpy(),
        exit_price=trades["exit_price"].to_numpy(),
        size_base=trades["size"].to_numpy(),
        fees_quote=(trades["entry_fees"] + trades["exit_fees"]).to_numpy(),
        pnl_quote=trades["pnl"].to_numpy(),
        equity_quote=portfolio.value().to_numpy()[1::2],
    )


def reasons_of(rules: Backtest, market: PredictedBars, first: Any, signal: Int64) -> Int64:
    """Why each trade of the first pass ended, from its row and its price alone."""
    bars, atr = market.bars, market.atr[signal]
    side = np.where(first["direction"] == 0, 1.0, -1.0)
    fill, raw, row = (first[name].to_numpy() for name in ("entry_price", "exit_price", "exit_idx"))
    stop, target = fill - side * rules.stop_atr * atr, fill + side * rules.target_atr * atr
    open_ = bars.open[row // 2]
    at_open = row % 2 == 0
    stopped = np.where(at_open, side * (open_ - stop) <= 0, np.isclose(raw, stop, rtol=1e-13, atol=0))
    reached = np.where(at_open, side * (open_ - target) >= 0, np.isclose(raw, target, rtol=1e-13, atol=0))
    ended = (row == 2 * len(bars) - 1) & ~stopped & ~reached
    assert (at_open | stopped | reached | ended).all(), "an exit inside a bar at no level"
    return np.select([stopped, reached, ended], [STOP, TARGET, END], TIMEOUT)


def slipped(rules: Backtest, price: Float64, side: Float64) -> Float64:
    """The price of a market order on that side."""
    return np.asarray(price * (1 + side * slippage_fraction(rules, price)))


def slippage_fraction(rules: Backtest, price: Float64) -> Float64:
    """Slippage as a fraction of each price."""
    if rules.slippage_bps is not None:
        return np.full(len(price), rules.slippage_bps * 1e-4)
    return np.asarray((rules.slippage_ticks or 0.0) * (rules.tick or 0.0) / price)
