"""What the sweep is measured against: parallel loops over configs that share nothing, each config filling its own equity."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars
from botscalp.backtest.kernel import run_nb
from botscalp.backtest.performance_kernel import max_drawdown_nb
from botscalp.backtest.records import BRACKET, TRADE
from botscalp.compiled import njit, prange

RECORD = TRADE


@njit(parallel=True)
def state_machine_nb(  # type: ignore[no-untyped-def]  # numba infers it
    open_time_ns, open_, high, low, close, p, atr, interval_ns, brackets_K, terms_1, out_K4
):
    """Trades, net PnL, fees and drawdown of every config: one loop over the bars, and a flag that says where it stands.

    For bars of which none is missing, a fixed contract and slippage in bps.
    """
    n = len(close)
    for k in prange(len(brackets_K)):
        bracket, terms = brackets_K[k], terms_1[0]
        rate, taker, maker = terms["slippage_rate"], terms["taker_rate"], terms["maker_rate"]
        size = terms["contract_base"]
        equity = np.empty(n)
        cash = fees_sum = held = entry_raw = entry_price = entry_fee = stop = target = 0.0
        trades = entry = 0
        side = ordered = 0.0
        for t in range(n):
            if ordered != 0.0:
                side, ordered, entry = ordered, 0.0, t
                entry_raw = open_[t]
                entry_price = entry_raw * (1.0 + side * rate)
                entry_fee = taker * size * entry_price
                held = cash - entry_fee
                stop = entry_price - side * bracket["stop_atr"] * atr[t - 1]
                target = entry_price + side * bracket["target_atr"] * atr[t - 1]
            if side != 0.0:
                left = at_limit = False
                raw = close[t]
                if t > entry and side * (open_[t] - stop) <= 0.0:
                    left, raw = True, open_[t]
                elif t > entry and side * (open_[t] - target) >= 0.0:
                    left, at_limit, raw = True, True, open_[t]
                elif t - entry == bracket["max_hold"]:
                    left, raw = True, open_[t]
                elif (low[t] <= stop) if side > 0.0 else (high[t] >= stop):
                    left, raw = True, stop
                elif (high[t] >= target) if side > 0.0 else (low[t] <= target):
                    left, at_limit, raw = True, True, target
                if left or t == n - 1:
                    price = raw if at_limit else raw * (1.0 - side * rate)
                    gross = side * size * (raw - entry_raw)
                    slippage = side * size * ((entry_price - entry_raw) + (raw - price))
                    fees = entry_fee + (maker if at_limit else taker) * size * price
                    cash += gross - slippage - fees
                    fees_sum += fees
                    trades += 1
                    side = 0.0
            equity[t] = cash if side == 0.0 else held + side * size * (close[t] - entry_price)
            if side == 0.0 and 0.0 < atr[t] < np.inf and t < n - 1:
                if p[t] > bracket["threshold"]:
                    ordered = 1.0
                elif p[t] < 1.0 - bracket["threshold"]:
                    ordered = -1.0
        capital = terms["capital_quote"]
        out_K4[k, 0] = trades
        out_K4[k, 1] = cash
        out_K4[k, 2] = fees_sum
        out_K4[k, 3] = max_drawdown_nb(equity + capital, capital)[0]


@njit(parallel=True)
def single_runs_nb(  # type: ignore[no-untyped-def]  # numba infers it
    open_time_ns, open_, high, low, close, p, atr, interval_ns, brackets_K, terms_1, out_K4
):
    """The same by the kernel of one run."""
    for k in prange(len(brackets_K)):
        trades = np.empty(len(close), RECORD)
        pnl = np.empty(len(close))
        count = run_nb(
            open_time_ns,
            open_,
            high,
            low,
            close,
            p,
            atr,
            interval_ns,
            brackets_K[k : k + 1],
            terms_1,
            None,
            trades,
            pnl,
        )
        fees = 0.0
        for trade in trades[:count]:
            fees += trade["fees_quote"]
        capital = terms_1[0]["capital_quote"]
        out_K4[k, 0] = count
        out_K4[k, 1] = pnl[-1]
        out_K4[k, 2] = fees
        out_K4[k, 3] = max_drawdown_nb(pnl + capital, capital)[0]


def naive_call(loop: Any, market: PredictedBars, settings: Backtest, table: Any) -> Callable[[], None]:
    """The loop over the configs of a sweep's table, compiled, and its statistics asserted to be the sweep's."""
    bars = market.bars
    brackets = np.zeros(len(table), BRACKET)
    brackets["until"], brackets["max_hold"] = len(bars), settings.max_hold
    for name in ("threshold", "stop_atr", "target_atr"):
        brackets[name] = table[name]
    out = np.empty((len(table), 4))
    # An array of one record: numba hands no bare record to a parallel loop.
    call = partial(
        loop,
        *(bars.open_time_ns, bars.open, bars.high, bars.low, bars.close, market.p, market.atr),
        *(bars.interval_ns, brackets, settings.terms_of([bars.symbol]), out),
    )
    call()
    for column, name in enumerate(("trades", "net_pnl", "fees", "max_drawdown")):
        assert np.array_equal(out[:, column], table[name].to_numpy(float)), name
    return call
