"""Many settings of any kind over the same market, compiled: each is a run of its own, the runs in parallel."""

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.kernel import run_nb
from botscalp.backtest.performance_kernel import day_figures_nb, max_drawdown_nb, totals_nb
from botscalp.backtest.records import TRADE, AccountColumns
from botscalp.compiled import njit, prange
from botscalp.types import Float64, Int64


@njit(cache=True, parallel=True)
def run_each_nb(
    open_time_ns: Int64,
    open_: Float64,
    high: Float64,
    low: Float64,
    close: Float64,
    p: Float64,
    atr: Float64,
    interval_ns: int,
    brackets_KG: NDArray[np.void],
    terms_KS: NDArray[np.void],
    account: AccountColumns,
    seen_US: Int64,
    midnight_row_D: Int64,
    threads: int,
    totals_K: NDArray[np.void],
) -> None:
    """Write the TOTALS of K configs of any kind: a thread's configs one after the other, in the same columns.

    `seen_US` counts, for each close of the union over the symbols, the closes of each symbol up to it; `midnight_row_D` holds
    the union's last row of each UTC day.
    """
    n = len(close)
    union, symbols = seen_US.shape
    for thread in prange(threads):
        trades, pnl_quote, equity_quote = np.empty(n, TRADE), np.empty(n), np.empty(union)
        returns_D = np.empty(len(midnight_row_D))
        for k in range(thread, len(terms_KS), threads):
            capital = terms_KS[k, 0]["capital_quote"]
            count = run_nb(
                open_time_ns,
                open_,
                high,
                low,
                close,
                p,
                atr,
                interval_ns,
                brackets_KG[k],
                terms_KS[k],
                account,
                trades,
                pnl_quote,
            )
            for u in range(union):
                pnl = 0.0
                for s in range(symbols):
                    if seen_US[u, s] > 0:
                        pnl += pnl_quote[account.first_row_S[s] + seen_US[u, s] - 1]
                equity_quote[u] = pnl + capital
            before = capital
            for day, row in enumerate(midnight_row_D):
                returns_D[day] = equity_quote[row] / before - 1.0
                before = equity_quote[row]

            total = totals_K[k]
            totals_nb(trades[:count], total)
            total["drawdown"], total["drawdown_quote"] = max_drawdown_nb(equity_quote, capital)
            total["day_mean"], total["day_deviation"], total["days_lost"] = day_figures_nb(returns_D)
