"""The fill rules, compiled: bars and predictions in, trades and marked PnL out.

Long, for the rules in words stand beside the one function that follows them: cut in pieces, it would be slower.

Assumptions
- Orders do not move the market and always fill whole.
- A resting target fills as soon as the price touches it, whatever queue stood before it (see Traded through).
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

Where asked (each is off by default; a run with any of these is given `AccountColumns`)
- Windows: threshold and bracket are those of the entry bar's window.
- Latency: an order of bar t arrives n bars later, at the open of bar e = t+1+n; if that bar is missing the signal is void.
  Signals while an order is under way are ignored. Stop, target and time-out rest at the exchange and act at once.
- Spread: bars are mid prices, bid and ask lie half the spread off. A long enters at the ask, and what its stop and target
  are compared with, and what it leaves at, is the bid; a short the other way round. Where that is past the stop already as
  the position is entered, it leaves at once at that quote. Mid to fill counts as slippage.
- Traded through: a target only fills where the price it is compared with goes so many ticks beyond it, and then at the
  target. An open counts as beyond it where it is that far beyond, and fills at that open.
- Finer bars: where one bar touches stop and target, its finer bars tell which came first. Both in one of these, or one
  missing before any touches: the stop counts.
- Funding: who holds a position at the last close before a funding time pays (or is paid) size x price x rate, the price
  being the open of the first bar from then on. An entry at that open pays nothing, an exit at that open does.
- Prices on the grid: stop and target round away from the fill, every fill rounds against us.
- Sizes: the notional is a fraction of equity, fixed or by a rule of one's own for each signal; or such that one ATR is a fraction of equity; or Kelly's stake of an even bet,
  2q - 1 of equity for the probability q of the side taken, times a fraction. Equity is the account's, all symbols marked
  at the close of t. Sizes round down to the step. An order is sized as it arrives: one below the least notional is void.
- Exposure: the entry notionals of all positions and orders stay within a multiple of equity; an order is cut to the rest.
- Cooldown: after an exit at bar x the closes of x .. x+n-1 do not signal.
- Daily loss: once equity at a close lies the given fraction below what it was as the UTC day began, no close signals until
  the day is over. A close at midnight belongs to the day that begins. Open positions keep their brackets.
- Several symbols: earlier signals come first, at one time in the order of the symbols.

Constants come in as arguments. `sweep_kernel.py` repeats the plain rules for many settings at once.
"""

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.account_kernel import (
    earliest_nb,
    equity_nb,
    next_signal_nb,
    on_grid_nb,
    see_days_nb,
    see_nb,
    size_nb,
    stop_first_nb,
)
from botscalp.backtest.lanes import LANES, fill, first_signal, first_touch, mark
from botscalp.backtest.records import END, STOP, TARGET, TIMEOUT, AccountColumns, Trades
from botscalp.compiled import njit
from botscalp.types import Float64, Int64


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
    brackets: NDArray[np.void],
    terms_S: NDArray[np.void],
    account: AccountColumns | None,
    trades: Trades,
    pnl_quote: Float64,
) -> int:
    """Write `trades` (as many as there are) and `pnl_quote` (cumulative per symbol, at each close); return the count of trades.

    Columns and `pnl_quote` have shape (N,), symbol after symbol, `trades` at least (N,): a trade can open and close within
    a bar, so there can be N-1 of them. `brackets` are records of BRACKET, by symbol and time, each symbol's last one until its
    end; `terms_S` holds a record of TERMS a symbol. Of slippage_rate (fraction of the price) and slippage_price (price units) one is 0.

    Two tight loops take turns: one walks flat bars to the next signal, one walks a position to the bar that ends it;
    what happened there is worked out after the loop. Both ask sixteen rows at a time. Long and short share the second: only
    which of the levels is the stop differs. A trade of known size takes its way whatever other symbols do, so it is walked to
    its end at once, and the account takes up the symbol that signals next.

    `account` is None for one symbol, one bracket and plain terms: numba leaves out the branches that ask for it.
    """
    # Unsigned indices spare numba the test for negative ones.
    one = np.uint64(1)
    lanes = np.uint64(LANES)
    terms = terms_S[0]
    slippage_rate, slippage_price = terms["slippage_rate"], terms["slippage_price"]
    taker_rate, maker_rate = terms["taker_rate"], terms["maker_rate"]
    notional_quote, contract_base = terms["notional_quote"], terms["contract_base"]
    threshold, max_hold = brackets[0]["threshold"], brackets[0]["max_hold"]
    stop_atr, target_atr = brackets[0]["stop_atr"], brackets[0]["target_atr"]
    n = np.uint64(len(close))
    cash = 0.0
    count = t = first = np.uint64(0)
    s = 0
    if account is not None:
        first_row_S, capital = account.first_row_S, terms["capital_quote"]
        funding_row, funding_rate = account.funding_row, account.funding_rate
        finer_time_ns, finer_high, finer_low = account.finer_time_ns, account.finer_high, account.finer_low
        finer_first_S, stake = account.finer_first_S, account.stake
        symbols = len(first_row_S) - 1
        half_spread, tick = terms["half_spread"], terms["tick"]
        seen_S, row_S = first_row_S[:-1].copy(), first_row_S[:-1].copy()
        cash_S, exposure_S = np.zeros(symbols), np.zeros(symbols)
        known_S, bracket_S, out_ns_S = (
            np.zeros(symbols, np.bool_),
            np.zeros(symbols, np.int64),
            np.zeros(symbols, np.int64),
        )
        charge_S = np.searchsorted(funding_row, first_row_S[:-1])
        for later in range(1, symbols):
            while brackets[bracket_S[later]]["until"] <= first_row_S[later]:
                bracket_S[later] += 1
        day_state = np.array([-1.0, 0.0, capital, 0.0])  # DAY, START, LAST, LOST of account_kernel.py

    while True:
        if account is None:
            # The walk of `next_signal_nb`, written out: as a call it costs a tenth of the run.
            while t + lanes <= n:
                ahead = first_signal(p, 1.0 - threshold, threshold, t)
                fill(pnl_quote, cash, t)
                t += ahead
                if ahead < lanes:
                    break
            else:
                while t < n and not (p[t] < 1.0 - threshold or p[t] > threshold):
                    pnl_quote[t] = cash
                    t += one
            if t == n:
                return int(count)
            pnl_quote[t] = cash
            e = t + one
            if e == n or open_time_ns[e] - open_time_ns[t] != interval_ns or not 0.0 < atr[t] < np.inf:
                t = e
                continue
        else:
            for s in range(symbols):
                if not known_S[s]:
                    row_S[s] = next_signal_nb(
                        p, row_S[s], first_row_S[s + 1], brackets, bracket_S, s, pnl_quote, cash_S[s]
                    )
                    known_S[s] = True
            s = earliest_nb(open_time_ns, first_row_S, row_S)
            if s < 0:
                return int(count)
            known_S[s] = False
            t, first, n = np.uint64(row_S[s]), np.uint64(first_row_S[s]), np.uint64(first_row_S[s + 1])
            cash, bracket = cash_S[s], brackets[bracket_S[s]]
            threshold, max_hold = bracket["threshold"], bracket["max_hold"]
            stop_atr, target_atr = bracket["stop_atr"], bracket["target_atr"]
            terms = terms_S[s]
            slippage_price, tick = terms["slippage_price"], terms["tick"]
            taker_rate, maker_rate = terms["taker_rate"], terms["maker_rate"]
            row_S[s] = t + one
            now_ns = open_time_ns[t] + interval_ns
            if not 0.0 < atr[t] < np.inf:
                continue
            if terms["daily_loss_stop"] < np.inf and see_days_nb(
                open_time_ns,
                interval_ns,
                first_row_S,
                seen_S,
                now_ns,
                pnl_quote,
                capital,
                terms["daily_loss_stop"],
                day_state,
            ):
                continue
            e, due_ns = t + one, now_ns + terms["latency_bars"] * interval_ns
            while e < n and open_time_ns[e] < due_ns:
                pnl_quote[e] = cash
                e += one
            row_S[s] = e
            if e == n or open_time_ns[e] != due_ns:
                continue

        side = 1.0 if p[t] > threshold else -1.0
        entry_raw = entry_quote = open_[e]
        if account is not None:
            entry_quote = entry_raw * (1.0 + side * half_spread)
        entry_price = entry_quote * (1.0 + side * slippage_rate) + side * slippage_price
        if account is None:
            size = contract_base + notional_quote / entry_price
        else:
            if tick > 0.0:
                entry_price = on_grid_nb(entry_price, tick, terms["ticks_a_unit"], side > 0.0)
            see_nb(open_time_ns, interval_ns, first_row_S, seen_S, now_ns)
            equity = equity_nb(first_row_S, seen_S, pnl_quote, capital)
            taken = 0.0
            for other in range(symbols):
                taken += exposure_S[other] if out_ns_S[other] > now_ns else 0.0
            own_stake = stake[t] if len(stake) > 0 else 0.0
            size = size_nb(terms, own_stake, equity, taken, entry_price, atr[t], p[t])
            if not size > 0.0:
                continue
        entry_fee = taker_rate * size * entry_price
        stop = entry_price - side * stop_atr * atr[t]
        target = entry_price + side * target_atr * atr[t]
        stop_quote, target_quote, through = stop, target, target
        if account is not None:
            if tick > 0.0:
                stop_quote = on_grid_nb(stop, tick, terms["ticks_a_unit"], side < 0.0)
                target_quote = on_grid_nb(target, tick, terms["ticks_a_unit"], side > 0.0)
            through_quote = target_quote + side * terms["through_price"]
            if tick > 0.0:  # of two numbers on the grid the sum may miss it by its last bit
                through_quote = on_grid_nb(through_quote, tick, terms["ticks_a_unit"], side > 0.0)
            stop, target = stop_quote / (1.0 - side * half_spread), target_quote / (1.0 - side * half_spread)
            through = through_quote / (1.0 - side * half_spread)
        lower = min(stop, through)
        upper = max(stop, through)

        due_ns = open_time_ns[e] + max_hold * interval_ns
        due = min(e + np.uint64(max_hold), n)
        while due > e + one and open_time_ns[due - one] >= due_ns:
            due -= one

        held = cash - entry_fee
        position = side * size
        funding = 0.0
        bound = due
        if account is not None:
            charge = charge_S[s]
            while charge < len(funding_row) and funding_row[charge] <= np.int64(e):
                charge += 1
        x = e
        while True:
            if account is not None:
                bound = due if charge == len(funding_row) else min(due, np.uint64(funding_row[charge]))
            while x + lanes <= n:
                ahead = first_touch(low, lower, high, upper, x)
                mark(pnl_quote, held, position, close, entry_price, x)
                x += ahead
                if ahead < lanes or x >= bound:
                    break
            else:
                while x < bound and low[x] > lower and high[x] < upper:
                    pnl_quote[x] = held + position * (close[x] - entry_price)
                    x += one
            x = min(x, bound)
            if account is None:
                break
            if x == n or charge == len(funding_row) or x != np.uint64(funding_row[charge]):
                break
            paid = position * open_[x] * funding_rate[charge]
            funding += paid
            held -= paid
            charge += 1

        inside = False
        at_open = x > e
        if account is not None:
            at_open = at_open or half_spread > 0.0
        if x == n:
            x = n - one
            exit_raw = close[x]
            reason = END
        elif at_open and side * (open_[x] - stop) <= 0.0:
            exit_raw = open_[x]
            reason = STOP
        elif x > e and side * (open_[x] - through) >= 0.0:
            exit_raw = open_[x]
            reason = TARGET
        elif x == due:
            exit_raw = open_[x]
            reason = TIMEOUT
        else:
            inside = True
            stopped = (low[x] <= stop) if side > 0.0 else (high[x] >= stop)
            if account is not None and stopped and ((high[x] >= through) if side > 0.0 else (low[x] <= through)):
                stopped = stop_first_nb(
                    finer_time_ns,
                    finer_high,
                    finer_low,
                    finer_first_S[s],
                    finer_first_S[s + 1],
                    account.finer_interval_ns,
                    open_time_ns[x],
                    open_time_ns[x] + interval_ns,
                    side,
                    stop,
                    through,
                )
            exit_raw = stop if stopped else target
            reason = STOP if stopped else TARGET

        exit_quote = exit_raw
        if account is not None:
            at_level = stop_quote if reason == STOP else target_quote
            exit_quote = at_level if inside else exit_raw * (1.0 - side * half_spread)
        if reason == TARGET:
            exit_price = exit_quote
            exit_rate = maker_rate
        else:
            exit_price = exit_quote * (1.0 - side * slippage_rate) - side * slippage_price
            exit_rate = taker_rate
        if account is not None and tick > 0.0:
            exit_price = on_grid_nb(exit_price, tick, terms["ticks_a_unit"], side < 0.0)
        gross = position * (exit_raw - entry_raw)
        slippage = position * ((entry_price - entry_raw) + (exit_raw - exit_price))
        fees = entry_fee + exit_rate * size * exit_price
        pnl = gross - slippage - fees - funding
        cash += pnl
        pnl_quote[x] = cash

        trade = trades[count]
        trade["symbol"] = s
        trade["signal"] = t - first
        trade["entry"] = e - first
        trade["exit"] = x - first
        trade["side"] = np.int8(side)
        trade["reason"] = reason
        trade["entry_price"] = entry_price
        trade["exit_price"] = exit_price
        trade["size_base"] = size
        trade["gross_quote"] = gross
        trade["slippage_quote"] = slippage
        trade["fees_quote"] = fees
        trade["funding_quote"] = funding
        trade["pnl_quote"] = pnl
        count += one
        t = x
        if account is not None:
            cash_S[s], exposure_S[s] = cash, size * entry_price
            out_ns_S[s], charge_S[s] = open_time_ns[x] + interval_ns, charge
            rested_ns = open_time_ns[x] + terms["cooldown_bars"] * interval_ns
            while x < n and open_time_ns[x] < rested_ns:
                pnl_quote[x] = cash
                x += one
            row_S[s] = x
