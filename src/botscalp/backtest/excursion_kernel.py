"""How far the price went against and for each trade while it was open, compiled."""

from botscalp.backtest.records import Trades
from botscalp.compiled import njit
from botscalp.types import Float64


@njit(cache=True)
def excursions_nb(high: Float64, low: Float64, trades: Trades, adverse: Float64, favourable: Float64) -> None:
    """Write the excursions of each trade as fractions of its entry price, both 0 or more.

    `high` and `low` have shape (T,), `adverse` and `favourable` that of `trades`, whose rows point into the bars. The bars
    before the exit bar count whole. Of the exit bar only the exit price counts: the rest of its range may have come later.
    """
    for i in range(len(trades)):
        trade = trades[i]
        highest = lowest = trade["exit_price"]
        for row in range(trade["entry"], trade["exit"]):
            highest = max(highest, high[row])
            lowest = min(lowest, low[row])
        above = max(highest / trade["entry_price"] - 1.0, 0.0)
        below = max(1.0 - lowest / trade["entry_price"], 0.0)
        if trade["side"] > 0:
            adverse[i] = below
            favourable[i] = above
        else:
            adverse[i] = above
            favourable[i] = below
