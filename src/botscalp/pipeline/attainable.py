"""On a market whose truth is known: the AUC that no forecast can beat."""

import numpy as np

from botscalp.data import Source
from botscalp.labels import Label
from botscalp.labels.direction import Direction
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions
from botscalp.statistics.metrics import probability_metrics


def attainable_auc(source: Source, label: Label, panel: Panel, predictions: Predictions) -> float | None:
    """AUC of the true probabilities on the rows that the model is scored on; None where no truth is known."""
    truth = getattr(source, "probability_up", None)
    if truth is None or not isinstance(label, Direction):
        return None
    p_N = np.concatenate([truth(bars, label.horizon) for bars in panel.bars])
    rows = predictions.labelled
    metrics = probability_metrics(p_N[predictions.row[rows]], predictions.label[rows], predictions.base_rate[rows])
    return metrics["auc"]
