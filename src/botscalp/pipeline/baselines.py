"""What the model has to beat, beside buying and holding and the linear model: doing nothing, and the last bar's sign."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import ModelPredictions, Predictions
from botscalp.types import Float64, Int64
from botscalp.windows import Window


def previous_sign(panel: Panel, windows: Sequence[Window], model: ModelPredictions) -> ModelPredictions:
    """Predictions of the model's rows by the last bar alone: how often "up" followed a bar like it in the training range.

    A bar is up, down or unchanged; one that never came in training is given the base rate.
    """
    sign_N = _signs(panel)
    rates = []
    for window in windows:
        rows = panel.labelled_rows(window.train)
        label, sign = panel.label_N[rows].astype(np.float64), sign_N[rows]
        rates.append([label[sign == one].mean() if (sign == one).any() else label.mean() for one in (-1, 0, 1)])
    rates_WS = np.array(rates)
    return ModelPredictions(
        **{name: _predicted(one, sign_N=sign_N, rates_WS=rates_WS) for name, one in vars(model).items()}
    )


def _signs(panel: Panel) -> Int64:
    """Of each bar's close less the one before it; 0 for a symbol's first."""
    signs = [np.sign(np.diff(bars.close, prepend=bars.close[0])) for bars in panel.bars]
    return np.concatenate(signs).astype(np.int64)


def _predicted(predictions: Predictions, *, sign_N: Int64, rates_WS: Float64) -> Predictions:
    p = rates_WS[predictions.window, sign_N[predictions.row] + 1]
    return replace(predictions, p=p, p_raw=p)
