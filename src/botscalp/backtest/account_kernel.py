"""What one account over several symbols knows at a close, and how an order is rounded: the parts of the kernel that
only a backtest with more than plain settings calls.

Rows are those of all symbols' columns one after another; symbol s owns rows first_row_S[s] .. first_row_S[s + 1] - 1.
`seen_S` holds, per symbol, the first row whose close still lies ahead; it only ever moves forward.
"""

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.lanes import LANES, fill, first_signal
from botscalp.compiled import njit
from botscalp.times import DAY_NS
from botscalp.types import Float64, Int64

DAY, START, LAST, LOST = 0, 1, 2, 3
"""Fields of `day_state`: the UTC day, the account's equity as it began, at the last close, and whether too much is lost."""
DUST = 1e-9
"""of the allowed exposure: less than that is what rounding left over, and no order"""
SLACK = 1e-6
"""of a tick or a step: a price that lies on the grid but for its last bits stays where it is"""


@njit(cache=True)
def on_grid_nb(value: float, step: float, steps_a_unit: float, up: bool) -> float:
    """The next multiple of `step`, up or down.

    Where a unit holds a whole number of steps the multiple is divided by it: 3 / 10 is the 0.3 that a file holds,
    3 * 0.1 is not.
    """
    steps = value * steps_a_unit if steps_a_unit > 0.0 else value / step
    steps = np.ceil(steps - SLACK) if up else np.floor(steps + SLACK)
    rounded: float = steps / steps_a_unit if steps_a_unit > 0.0 else steps * step
    return rounded


@njit(cache=True)
def equity_nb(first_row_S: Int64, seen_S: Int64, pnl_quote: Float64, capital_quote: float) -> float:
    """Capital and PnL of all symbols, each marked at the last of its closes that was seen."""
    pnl = 0.0
    for s in range(len(seen_S)):
        if seen_S[s] > first_row_S[s]:
            pnl += pnl_quote[seen_S[s] - 1]
    return pnl + capital_quote


@njit(cache=True)
def see_nb(open_time_ns: Int64, interval_ns: int, first_row_S: Int64, seen_S: Int64, now_ns: int) -> None:
    """Move `seen_S` past every close up to `now_ns`."""
    for s in range(len(seen_S)):
        while seen_S[s] < first_row_S[s + 1] and open_time_ns[seen_S[s]] + interval_ns <= now_ns:
            seen_S[s] += 1


@njit(cache=True)
def see_days_nb(
    open_time_ns: Int64,
    interval_ns: int,
    first_row_S: Int64,
    seen_S: Int64,
    now_ns: int,
    pnl_quote: Float64,
    capital_quote: float,
    daily_loss_stop: float,
    day_state: Float64,
) -> bool:
    """Move `seen_S` past every close up to `now_ns`, one after the other; whether the day's loss stop has been hit by then."""
    never = np.iinfo(np.int64).max
    while True:
        close_ns = never
        for s in range(len(seen_S)):
            if seen_S[s] < first_row_S[s + 1]:
                close_ns = min(close_ns, open_time_ns[seen_S[s]] + interval_ns)
        if close_ns > now_ns:
            return bool(day_state[LOST] > 0.0)
        see_nb(open_time_ns, interval_ns, first_row_S, seen_S, close_ns)
        equity = equity_nb(first_row_S, seen_S, pnl_quote, capital_quote)
        day = close_ns // DAY_NS
        if day > day_state[DAY]:
            day_state[DAY] = day
            day_state[START] = equity if close_ns == day * DAY_NS else day_state[LAST]
            day_state[LOST] = 0.0
        if equity <= day_state[START] * (1.0 - daily_loss_stop):
            day_state[LOST] = 1.0
        day_state[LAST] = equity


@njit(cache=True)
def stop_first_nb(
    finer_time_ns: Int64,
    finer_high: Float64,
    finer_low: Float64,
    first: int,
    last: int,
    finer_interval_ns: int,
    start_ns: int,
    end_ns: int,
    side: float,
    stop: float,
    target: float,
) -> bool:
    """Whether the finer bars of [start_ns, end_ns), among rows first .. last - 1, touch the stop no later than the target.

    What they do not tell, because one is missing before any touches, counts as a stop.
    """
    row = first + np.searchsorted(finer_time_ns[first:last], start_ns)
    due_ns = start_ns
    while row < last and due_ns < end_ns and finer_time_ns[row] == due_ns:
        worst = finer_low[row] if side > 0.0 else finer_high[row]
        best = finer_high[row] if side > 0.0 else finer_low[row]
        if side * (worst - stop) <= 0.0:
            return True
        if side * (best - target) >= 0.0:
            return False
        row += 1
        due_ns += finer_interval_ns
    return True


@njit(cache=True)
def next_signal_nb(
    p: Float64, t: int, end: int, brackets: NDArray[np.void], bracket_S: Int64, s: int, pnl_quote: Float64, cash: float
) -> int:
    """The symbol's first row from t on that signals under its window's threshold, `end` if none does.

    The rows before it, and it, are marked with `cash`; `bracket_S` follows the windows.
    """
    row, lanes, one = np.uint64(t), np.uint64(LANES), np.uint64(1)
    while True:
        until = np.uint64(brackets[bracket_S[s]]["until"])
        threshold = brackets[bracket_S[s]]["threshold"]
        while row + lanes <= until:
            ahead = first_signal(p, 1.0 - threshold, threshold, row)
            fill(pnl_quote, cash, row)
            row += ahead
            if ahead < lanes:
                break
        else:
            while row < until and not (p[row] < 1.0 - threshold or p[row] > threshold):
                pnl_quote[row] = cash
                row += one
        if row < until:
            pnl_quote[row] = cash
            return int(row)
        if until == np.uint64(end):
            return end
        bracket_S[s] += 1


@njit(cache=True)
def earliest_nb(open_time_ns: Int64, first_row_S: Int64, row_S: Int64) -> int:
    """The symbol whose row comes first, the first of those at one time; -1 where all have come to their end."""
    found = -1
    for s in range(len(row_S)):
        if row_S[s] < first_row_S[s + 1] and (found < 0 or open_time_ns[row_S[s]] < open_time_ns[row_S[found]]):
            found = s
    return found


@njit(cache=True)
def size_nb(
    terms: np.void, own_stake: float, equity: float, taken_quote: float, price: float, atr: float, p: float
) -> float:
    """Base units of an order at that price, 0 or less where there is to be none.

    `own_stake` is what `backtest.sizing` says of the signal's row, 0 without it; `taken_quote` is the notional of the positions and orders that the account holds.
    """
    stake = (
        own_stake
        + terms["equity_fraction"]
        + terms["volatility_target"] * price / atr
        + terms["kelly_fraction"] * abs(2.0 * p - 1.0)
    )
    size: float = terms["contract_base"] + (terms["notional_quote"] + stake * equity) / price
    if terms["max_exposure"] < np.inf:
        most = terms["max_exposure"] * equity
        rest = most - taken_quote
        size = min(size, rest / price) if rest > DUST * most else 0.0
    if terms["step"] > 0.0:
        size = on_grid_nb(size, terms["step"], terms["steps_a_unit"], False)
    return size if size * price >= terms["min_notional_quote"] else 0.0
