"""Trade the predictions, and what they are compared with, over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from botscalp import indicators
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.settings import Backtest
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions
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
    bars = _market(panel, predictions, windows, atr_span=backtest.atr_span)
    others = {name: _market(panel, rows, windows, atr_span=backtest.atr_span) for name, rows in baselines.items()}
    return Traded(
        result=backtest.run(bars),
        baselines={name: backtest.run(other) for name, other in others.items()}
        | {"buy_and_hold": buy_and_hold(backtest, bars)},
        sizes=size_table(backtest, bars, CONTRACTS),
    )


def _market(panel: Panel, predictions: Predictions, windows: Sequence[Window], *, atr_span: int) -> list[PredictedBars]:
    """Each symbol's bars from the first test bar to the last, with the probabilities and the ATR known at each close."""
    p_N = np.full(len(panel.open_time_ns), np.nan)
    p_N[predictions.row] = predictions.p
    starts_ns = np.array([window.test.start_ns for window in windows])
    start_ns, end_ns = windows[0].test.start_ns, windows[-1].test.end_ns
    traded = []
    for bars, first in zip(panel.bars, panel.first_row, strict=False):
        rows = slice(*np.searchsorted(bars.open_time_ns, [start_ns, end_ns]))
        if rows.start == rows.stop:
            continue
        traded.append(
            PredictedBars(
                bars=bars[rows],
                p=p_N[first:][rows],
                atr=indicators.atr(bars, atr_span)[rows],
                window=np.searchsorted(starts_ns, bars.open_time_ns[rows], side="right") - 1,
            )
        )
    return traded
