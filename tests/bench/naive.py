"""What the sweep is measured against: a parallel loop over configs, each a run of its own with its own columns."""

import numpy as np

from botscalp.backtest.kernel import TRADE, max_drawdown_nb, run_nb
from botscalp.compiled import njit, prange

RECORD = TRADE


@njit(parallel=True)
def naive_nb(  # type: ignore[no-untyped-def]  # numba infers it
    open_time_ns,
    open_,
    high,
    low,
    close,
    p,
    atr,
    interval_ns,
    threshold_K,
    stop_atr_K,
    target_atr_K,
    max_hold,
    slippage_rate,
    taker_rate,
    maker_rate,
    contract_base,
    capital_quote,
    out_K4,
):
    """Trades, net PnL, fees and drawdown of every config."""
    for k in prange(len(threshold_K)):
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
            threshold_K[k],
            stop_atr_K[k],
            target_atr_K[k],
            max_hold,
            slippage_rate,
            0.0,
            taker_rate,
            maker_rate,
            0.0,
            contract_base,
            trades,
            pnl,
        )
        fees = 0.0
        for trade in trades[:count]:
            fees += trade["fees_quote"]
        out_K4[k, 0] = count
        out_K4[k, 1] = pnl[-1]
        out_K4[k, 2] = fees
        out_K4[k, 3] = max_drawdown_nb(pnl + capital_quote, capital_quote)[0]
