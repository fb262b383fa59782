"""Sums over trades, daily returns and drawdown, compiled: what figures are drawn from."""

import numpy as np

from botscalp.backtest.records import END, STOP, TARGET, TIMEOUT, Trades
from botscalp.compiled import njit
from botscalp.types import Float64

BLOCK_ROWS = 64


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
    """The deepest fall below the running peak, as a fraction of it and in money; both 0 or less.

    Row by row only where a block has a new peak and may hold a deeper fall than any so far: rounding keeps order, so the
    lowest equity of a block under one peak makes its deepest fall.
    """
    peak = capital_quote
    fraction = money = 0.0
    for start in range(0, len(equity_quote), BLOCK_ROWS):
        block = equity_quote[start : start + BLOCK_ROWS]
        lowest, highest = extent_nb(block)
        top = max(peak, highest)
        if highest <= peak:
            money = min(money, lowest - peak)
            fraction = min(fraction, lowest / peak - 1.0)
        elif lowest - top < money or lowest / top - 1.0 < fraction or lowest < 0.0:
            for equity in block:
                peak = max(peak, equity)
                money = min(money, equity - peak)
                fraction = min(fraction, equity / peak - 1.0)
        peak = top
    return fraction, money


@njit(cache=True, fastmath={"nnan", "nsz"})  # without NaN and signed zeros LLVM takes many rows at once
def extent_nb(values: Float64) -> tuple[float, float]:
    """The lowest and the highest."""
    lowest = highest = values[0]
    for value in values:
        lowest = min(lowest, value)
        highest = max(highest, value)
    return lowest, highest
