"""Trade the predictions, and what they are compared with, over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botscalp.backtest.engine import Backtest
from botscalp.backtest.result import Result
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions, market
from botscalp.windows import Window

CONTRACTS = (0.001, 0.01, 0.05)
"""rows of the position-size table, in base units a trade"""


@dataclass(frozen=True, kw_only=True)
class Traded:
    """What trading gave."""

    result: Result
    baselines: dict[str, Result]
    """of each baseline forecast, and of buying and holding"""
    sizes: list[SizeRow]


def trade(
    panel: Panel,
    windows: Sequence[Window],
    predictions: Predictions,
    baselines: Mapping[str, Predictions],
    *,
    backtest: Backtest,
) -> Traded:
    """Run the backtest once over all windows, for the model and for each baseline."""
    bars = market(panel, predictions, windows, atr_span=backtest.atr_span)
    others = {name: market(panel, rows, windows, atr_span=backtest.atr_span) for name, rows in baselines.items()}
    return Traded(
        result=backtest.run(bars),
        baselines={name: backtest.run(other) for name, other in others.items()}
        | {"buy_and_hold": buy_and_hold(backtest, bars)},
        sizes=size_table(backtest, bars, CONTRACTS),
    )
