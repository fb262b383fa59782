"""Many plain settings over one symbol, compiled: one walk a config from trade to trade, and no column a config.

The fill rules are those of `kernel.py`, whose words they keep; a test holds the two equal to the last bit. Four things make
a config cost a few ns a bar:

- A row signals on one side at any threshold, because thresholds are at least one half. The M rows that signal at the
  loosest of them, and can be traded, are the only candidates for an entry.
- The bar that touches a stop depends on nothing but entry and stop distance, likewise the target. `first_touch_nb` looks each
  up once per candidate and distance, in a byte; a trade's last bar is the lesser of two bytes.
- `next_T` leads from the exit's bar to the next candidate at a threshold, in one step.
- Equity is not stored: drawdown and days are kept up while a trade is marked, and stand still between trades.
"""

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.lanes import LANES, highest, lowest
from botscalp.compiled import njit, prange
from botscalp.types import Float64, Int64

FAR = 255
"""In a table of first touches: not within the bars looked at, at most this many."""


@njit(cache=True, parallel=True)
def first_touch_nb(
    high: Float64,
    low: Float64,
    row_M: NDArray[np.int32],
    direction_M: Float64,
    fill_M: Float64,
    atr_M: Float64,
    multiple_L: Float64,
    reach: int,
    touch_LM: NDArray[np.uint8],
) -> None:
    """Write the bars from the entry bar to the first that touches fill + direction * multiple * ATR.

    `multiple_L` ascends, so one look ahead serves all levels. What is not touched within `reach` bars is FAR.
    """
    n = len(high)
    levels = len(multiple_L)
    for m in prange(len(row_M)):
        entry = row_M[m] + 1
        direction = direction_M[m]
        found = 0
        level = fill_M[m] + direction * multiple_L[0] * atr_M[m]
        for k in range(min(reach, n - entry)):
            while found < levels and (high[entry + k] >= level if direction > 0.0 else low[entry + k] <= level):
                touch_LM[found, m] = k
                found += 1
                if found < levels:
                    level = fill_M[m] + direction * multiple_L[found] * atr_M[m]
            if found == levels:
                break
        for later in range(found, levels):
            touch_LM[later, m] = FAR


@njit(cache=True, parallel=True)
def sweep_nb(
    open_time_ns: Int64,
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    p: Float64,
    interval_ns: int,
    missing: bool,
    midnight_row_D: Int64,
    row_M: NDArray[np.int32],
    side_M: Float64,
    fill_M: Float64,
    atr_M: Float64,
    stop_touch_LM: NDArray[np.uint8],
    target_touch_LM: NDArray[np.uint8],
    block_B2: Int64,
    threshold_K: Float64,
    stop_atr_K: Float64,
    stop_level_K: Int64,
    target_atr_K: Float64,
    target_level_K: Int64,
    max_hold_K: Int64,
    taker_rate_K: Float64,
    maker_rate_K: Float64,
    notional_quote_K: Float64,
    contract_base_K: Float64,
    capital_quote_K: Float64,
    slippage_rate: float,
    slippage_price: float,
    totals_K: NDArray[np.void],
) -> None:
    """Write the TOTALS of K configs.

    The configs in block_B2[b, 0] .. block_B2[b, 1] - 1 share a threshold. `midnight_row_D` holds the last bar of each
    UTC day; `missing` tells whether any bar is absent. The other arguments are those of `run_nb`.
    """
    n = len(close)
    n_candidates = len(row_M)
    days = len(midnight_row_D)
    for b in prange(len(block_B2)):
        threshold = threshold_K[block_B2[b, 0]]
        next_T = np.empty(n + 1, np.int32)  # first candidate at this threshold in row t or later; M if there is none
        t = n
        upcoming = n_candidates
        for m in range(n_candidates - 1, -1, -1):
            row = row_M[m]
            if p[row] > threshold or p[row] < 1.0 - threshold:
                while t > row:
                    next_T[t] = upcoming
                    t -= 1
                upcoming = m
        while t >= 0:
            next_T[t] = upcoming
            t -= 1
        midnight_quote_D = np.empty(days)

        for k in range(block_B2[b, 0], block_B2[b, 1]):
            stop_atr = stop_atr_K[k]
            stop_level = np.uint64(stop_level_K[k])
            target_atr = target_atr_K[k]
            target_level = np.uint64(target_level_K[k])
            max_hold = max_hold_K[k]
            taker_rate = taker_rate_K[k]
            maker_rate = maker_rate_K[k]
            capital = capital_quote_K[k]
            trades = wins = targets = stops = ends = 0
            gross_sum = slippage_sum = fees_sum = cash = won = lost = gross_ratio = net_ratio = 0.0
            peak = capital
            drawdown = drawdown_quote = 0.0
            day = 0
            candidate = np.uint64(next_T[0])
            while candidate < n_candidates:
                e = int(row_M[candidate]) + 1
                side = side_M[candidate]
                entry_raw = open_[np.uint64(e)]
                entry_price = fill_M[candidate]
                size = contract_base_K[k] + notional_quote_K[k] / entry_price
                entry_fee = taker_rate * size * entry_price
                stop = entry_price - side * stop_atr * atr_M[candidate]
                target = entry_price + side * target_atr * atr_M[candidate]

                due = min(e + max_hold, n)
                if missing:
                    due_ns = open_time_ns[np.uint64(e)] + max_hold * interval_ns
                    while due > e + 1 and open_time_ns[np.uint64(due - 1)] >= due_ns:
                        due -= 1
                to_stop = np.int64(stop_touch_LM[stop_level, candidate])
                to_target = np.int64(target_touch_LM[target_level, candidate])
                x = min(e + min(to_stop, to_target), due)
                stopped = to_stop <= to_target
                if to_stop == FAR and to_target == FAR:
                    lower = min(stop, target)
                    upper = max(stop, target)
                    while x < due and low[np.uint64(x)] > lower and high[np.uint64(x)] < upper:
                        x += 1
                    if x < due:
                        stopped = (low[np.uint64(x)] <= stop) if side > 0.0 else (high[np.uint64(x)] >= stop)

                held = cash - entry_fee
                position = side * size
                inside = x < due  # a stop or target inside the bar, unless its open says otherwise
                at_limit = inside and not stopped
                at_stop = inside and stopped
                if x == n:
                    x = n - 1
                    ends += 1
                    exit_raw = close[np.uint64(x)]
                else:
                    opened = open_[np.uint64(x)]
                    exit_raw = (stop if stopped else target) if inside else opened
                    if x > e:
                        if side * (opened - stop) <= 0.0:
                            exit_raw = opened
                            at_stop = True
                            at_limit = False
                        elif side * (opened - target) >= 0.0:
                            exit_raw = opened
                            at_stop = False
                            at_limit = True
                stops += int(at_stop)
                targets += int(at_limit)

                while day < days and midnight_row_D[np.uint64(day)] < x:
                    midnight = midnight_row_D[np.uint64(day)]
                    marked = cash if midnight < e else held + position * (close[np.uint64(midnight)] - entry_price)
                    midnight_quote_D[np.uint64(day)] = marked + capital
                    day += 1
                if e < x:
                    if x - e <= LANES and e + LANES <= n:
                        least = lowest(close, np.uint64(e), np.uint64(x - e))
                        most = highest(close, np.uint64(e), np.uint64(x - e))
                    else:
                        least = most = close[np.uint64(e)]
                        for y in range(np.uint64(e + 1), np.uint64(x)):
                            least = min(least, close[y])
                            most = max(most, close[y])
                    worst = held + position * ((least if side > 0.0 else most) - entry_price) + capital
                    best = held + position * ((most if side > 0.0 else least) - entry_price) + capital
                    if best > peak:  # then it matters which came first
                        for y in range(np.uint64(e), np.uint64(x)):
                            equity = held + position * (close[y] - entry_price) + capital
                            peak = max(peak, equity)
                            drawdown_quote = min(drawdown_quote, equity - peak)
                            drawdown = min(drawdown, equity / peak - 1.0)
                    else:
                        drawdown_quote = min(drawdown_quote, worst - peak)
                        drawdown = min(drawdown, worst / peak - 1.0)

                worsened = exit_raw * (1.0 - side * slippage_rate) - side * slippage_price
                exit_price = exit_raw if at_limit else worsened
                exit_fee = (maker_rate if at_limit else taker_rate) * size * exit_price
                gross = position * (exit_raw - entry_raw)
                slippage = position * ((entry_price - entry_raw) + (exit_raw - exit_price))
                fees = entry_fee + exit_fee
                pnl = gross - slippage - fees
                cash += pnl
                equity = cash + capital
                peak = max(peak, equity)
                drawdown_quote = min(drawdown_quote, equity - peak)
                drawdown = min(drawdown, equity / peak - 1.0)

                trades += 1
                gross_sum += gross
                slippage_sum += slippage
                fees_sum += fees
                notional = size * entry_price
                gross_ratio += gross / notional
                net_ratio += (gross - (slippage + fees)) / notional
                wins += pnl > 0.0
                won += pnl if pnl > 0.0 else 0.0
                lost += pnl if pnl <= 0.0 else 0.0
                candidate = np.uint64(next_T[np.uint64(x)])
            while day < days:
                midnight_quote_D[day] = cash + capital
                day += 1

            day_sum = 0.0
            days_lost = 0
            before = capital
            for equity in midnight_quote_D:
                change = equity / before - 1.0
                day_sum += change
                days_lost += not change > -1.0
                before = equity
            day_mean = day_sum / days
            squares = 0.0
            before = capital
            for equity in midnight_quote_D:
                squares += (equity / before - 1.0 - day_mean) ** 2
                before = equity

            total = totals_K[k]
            total["trades"] = trades
            total["wins"] = wins
            total["targets"] = targets
            total["stops"] = stops
            total["timeouts"] = trades - stops - targets - ends
            total["ends"] = ends
            total["gross"] = gross_sum
            total["slippage"] = slippage_sum
            total["fees"] = fees_sum
            total["net"] = cash
            total["won"] = won
            total["lost"] = lost
            total["gross_to_notional"] = gross_ratio
            total["net_to_notional"] = net_ratio
            total["drawdown"] = drawdown
            total["drawdown_quote"] = drawdown_quote
            total["day_mean"] = day_mean
            total["day_deviation"] = np.sqrt(squares / max(days - 1, 1))
            total["days_lost"] = days_lost
