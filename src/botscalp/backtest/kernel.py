"""The fill rules, compiled: one symbol's bars and predictions in, trades and marked PnL out.

Assumptions
- Orders do not move the market and always fill whole.
- A resting target fills as soon as the price touches it, whatever queue stood before it.
- Bars keep their contract: low <= open, close <= high. Of the path inside a bar nothing more is known.

Signals
- p[t] and atr[t] are known at the close of bar t. Flat at that close: long when p[t] > threshold, short
  when p[t] < 1 - threshold, if atr[t] is finite and positive. A NaN p never signals.
- Signals while in a position are ignored. One position per symbol.
- If bar t+1 is missing from the data, the signal is void.

Entry
- At the open of bar e = t+1, worsened by slippage: a market order, taker fee.
- Stop and target lie stop_atr * atr[t] and target_atr * atr[t] from the fill price.

Exit (touched means <= or >=)
- Bars e .. e+max_hold-1 are watched, the entry bar included.
- The open of every bar after e is looked at first. At or beyond the stop: out at that open, worsened by
  slippage. At or beyond the target: out at that open. The open of e itself is never an exit.
- Then inside the bar. Stop touched: out at the stop, worsened by slippage, taker fee. Else target touched: out
  at the target, maker fee, no slippage. Both in one bar: the stop counts.
- Still open at bar e+max_hold: out at its open, worsened by slippage, after the same look at the open.
- Still open after the last bar: out at its close, worsened by slippage (reason end).
- Flat again at the close of the exit bar x, even if it left at its open: p[x] may enter at x+1, p[x-1] at x may not.

Missing bars
- Nothing happens inside a gap. The first bar after it is one whose open has moved: the open rules above apply.
- max_hold counts time. If bar e+max_hold is missing, the first bar after it takes its place.

Money
- Slippage is a fraction of the price or an amount in price units. Fees are a rate on the notional of each fill.
- PnL is marked at every close; entry fee and entry slippage fall due at the entry, the others at the exit.

Constants come in as arguments, and nothing jitted in another file is called: `sweep_kernel.py` repeats these rules for
many settings at once.
"""

import numpy as np
from numpy.typing import NDArray

from botscalp.compiled import njit
from botscalp.types import Float64, Int64

STOP, TARGET, TIMEOUT, END = 0, 1, 2, 3
REASONS = ("stop", "target", "timeout", "end")
"""The name of each reason's code."""

TRADE = np.dtype(
    [
        ("signal", np.int64),  # rows of the bars t, e and x
        ("entry", np.int64),
        ("exit", np.int64),
        ("side", np.int8),  # +1 long, -1 short
        ("reason", np.int8),  # index into REASONS
        ("entry_price", np.float64),  # fills, after slippage
        ("exit_price", np.float64),
        ("size_base", np.float64),
        ("gross_quote", np.float64),  # at prices before slippage
        ("slippage_quote", np.float64),
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


@njit(cache=True)
def run_nb(
    open_time_ns: Int64,
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    p: Float64,
    atr: Float64,
    interval_ns: int,
    threshold: float,
    stop_atr: float,
    target_atr: float,
    max_hold: int,
    slippage_rate: float,
    slippage_price: float,
    taker_rate: float,
    maker_rate: float,
    notional_quote: float,
    contract_base: float,
    trades: Trades,
    pnl_quote: Float64,
) -> int:
    """Write `trades` (as many as there are) and `pnl_quote` (cumulative, at each close); return the count of trades.

    Columns and `pnl_quote` have shape (T,), `trades` at least (T,): a trade can open and close within a bar, so
    there can be T-1 of them. Of slippage_rate (fraction of the price) and slippage_price (price units) one is 0,
    and so is one of notional_quote (the entry's, at its fill) and contract_base.

    Two tight loops take turns: one walks flat bars to the next signal, one walks a position to the bar that ends it;
    what happened there is worked out after the loop. Long and short share the second: only which of the levels is the
    stop differs. (Settings that change between windows would bound the flat loop by the window's last row.)
    """
    # Unsigned indices spare numba the test for negative ones.
    n = np.uint64(len(close))
    one = np.uint64(1)
    hold_rows = np.uint64(max_hold)
    hold_ns = max_hold * interval_ns
    long_above = threshold
    short_below = 1.0 - threshold
    cash = 0.0
    count = np.uint64(0)
    t = np.uint64(0)
    while True:
        while t < n and not (p[t] > long_above or p[t] < short_below):
            pnl_quote[t] = cash
            t += one
        if t == n:
            return int(count)
        pnl_quote[t] = cash
        e = t + one
        if e == n or open_time_ns[e] - open_time_ns[t] != interval_ns or not 0.0 < atr[t] < np.inf:
            t = e
            continue

        side = 1.0 if p[t] > long_above else -1.0
        entry_raw = open_[e]
        entry_price = entry_raw * (1.0 + side * slippage_rate) + side * slippage_price
        size = contract_base + notional_quote / entry_price
        entry_fee = taker_rate * size * entry_price
        stop = entry_price - side * stop_atr * atr[t]
        target = entry_price + side * target_atr * atr[t]
        lower = min(stop, target)
        upper = max(stop, target)

        due_ns = open_time_ns[e] + hold_ns
        due = min(e + hold_rows, n)
        while due > e + one and open_time_ns[due - one] >= due_ns:
            due -= one

        held = cash - entry_fee
        position = side * size
        x = e
        while x < due and low[x] > lower and high[x] < upper:
            pnl_quote[x] = held + position * (close[x] - entry_price)
            x += one

        if x == n:
            x = n - one
            exit_raw = close[x]
            reason = END
        elif x > e and side * (open_[x] - stop) <= 0.0:
            exit_raw = open_[x]
            reason = STOP
        elif x > e and side * (open_[x] - target) >= 0.0:
            exit_raw = open_[x]
            reason = TARGET
        elif x == due:
            exit_raw = open_[x]
            reason = TIMEOUT
        elif (low[x] <= stop) if side > 0.0 else (high[x] >= stop):
            exit_raw = stop
            reason = STOP
        else:
            exit_raw = target
            reason = TARGET

        if reason == TARGET:
            exit_price = exit_raw
            exit_fee = maker_rate * size * exit_price
        else:
            exit_price = exit_raw * (1.0 - side * slippage_rate) - side * slippage_price
            exit_fee = taker_rate * size * exit_price
        gross = position * (exit_raw - entry_raw)
        slippage = position * ((entry_price - entry_raw) + (exit_raw - exit_price))
        fees = entry_fee + exit_fee
        pnl = gross - slippage - fees
        cash += pnl
        pnl_quote[x] = cash

        trade = trades[count]
        trade["signal"] = t
        trade["entry"] = e
        trade["exit"] = x
        trade["side"] = np.int8(side)
        trade["reason"] = reason
        trade["entry_price"] = entry_price
        trade["exit_price"] = exit_price
        trade["size_base"] = size
        trade["gross_quote"] = gross
        trade["slippage_quote"] = slippage
        trade["fees_quote"] = fees
        trade["funding_quote"] = 0.0
        trade["pnl_quote"] = pnl
        count += one
        t = x


@njit(cache=True)
def totals_nb(trades: Trades, total: np.void) -> None:
    """Add the trades up into a record of TOTALS that is zero; drawdown and days are left alone."""
    for trade in trades:
        pnl = trade["pnl_quote"]
        reason = trade["reason"]
        costs = trade["slippage_quote"] + trade["fees_quote"] + trade["funding_quote"]
        notional = trade["size_base"] * trade["entry_price"]
        total["targets"] += reason == TARGET
        total["stops"] += reason == STOP
        total["timeouts"] += reason == TIMEOUT
        total["ends"] += reason == END
        total["gross"] += trade["gross_quote"]
        total["slippage"] += trade["slippage_quote"]
        total["fees"] += trade["fees_quote"]
        total["funding"] += trade["funding_quote"]
        total["net"] += pnl
        total["gross_to_notional"] += trade["gross_quote"] / notional
        total["net_to_notional"] += (trade["gross_quote"] - costs) / notional
        if pnl > 0.0:
            total["wins"] += 1
            total["won"] += pnl
        else:
            total["lost"] += pnl
    total["trades"] = len(trades)


@njit(cache=True)
def day_figures_nb(returns: Float64) -> tuple[float, float, int]:
    """Mean and deviation (n - 1) of daily returns, and on how many days nothing, or less, was left of the account."""
    total = 0.0
    lost = 0
    for change in returns:
        total += change
        lost += not change > -1.0
    mean = total / len(returns)
    squares = 0.0
    for change in returns:
        squares += (change - mean) ** 2
    return mean, np.sqrt(squares / max(len(returns) - 1, 1)), lost


@njit(cache=True)
def max_drawdown_nb(equity_quote: Float64, capital_quote: float) -> tuple[float, float]:
    """The deepest fall below the running peak, as a fraction of it and in money; both 0 or less."""
    peak = capital_quote
    fraction = money = 0.0
    for equity in equity_quote:
        peak = max(peak, equity)
        money = min(money, equity - peak)
        fraction = min(fraction, equity / peak - 1.0)
    return fraction, money
