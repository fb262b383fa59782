"""What the sweep is measured against: a parallel loop over configs, each a run of its own with its own columns."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars
from botscalp.backtest.engine import terms_of
from botscalp.backtest.kernel import run_nb
from botscalp.backtest.performance_kernel import max_drawdown_nb
from botscalp.backtest.records import BRACKET, TRADE
from botscalp.compiled import njit, prange

RECORD = TRADE


@njit(parallel=True)
def naive_nb(  # type: ignore[no-untyped-def]  # numba infers it
    open_time_ns, open_, high, low, close, p, atr, interval_ns, brackets_K, terms_1, out_K4
):
    """Trades, net PnL, fees and drawdown of every config."""
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
            terms_1[0],
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


def naive_call(market: PredictedBars, settings: Backtest, table: Any) -> Callable[[], None]:
    """The loop over the configs of a sweep's table, compiled, and its statistics asserted to be the sweep's."""
    bars = market.bars
    brackets = np.zeros(len(table), BRACKET)
    brackets["until"], brackets["max_hold"] = len(bars), settings.max_hold
    for name in ("threshold", "stop_atr", "target_atr"):
        brackets[name] = table[name]
    out = np.empty((len(table), 4))
    # An array of one record: numba hands no bare record to a parallel loop.
    call = partial(
        naive_nb,
        *(bars.open_time_ns, bars.open, bars.high, bars.low, bars.close, market.p, market.atr),
        *(bars.interval_ns, brackets, np.array([terms_of(settings)]), out),
    )
    call()
    for column, name in enumerate(("trades", "net_pnl", "fees", "max_drawdown")):
        assert np.array_equal(out[:, column], table[name].to_numpy(float)), name
    return call
