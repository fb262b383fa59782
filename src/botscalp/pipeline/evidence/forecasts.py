"""What the probabilities are worth: metrics of rows, and the figures among them that have an interval."""

from collections.abc import Mapping

import numpy as np

from botscalp.pipeline.evidence.estimates import Estimate, Estimator
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions, concatenated
from botscalp.pipeline.window import FittedWindow
from botscalp.statistics import figures
from botscalp.statistics.figures import Figure
from botscalp.statistics.metrics import log_losses, probability_metrics
from botscalp.types import Bool, Float64

Metrics = dict[str, float | None]


def metrics_of(predictions: Predictions, p: Float64, rows: Bool) -> Metrics:
    """The metrics of those rows, by `p`."""
    return probability_metrics(p[rows], predictions.label[rows], predictions.base_rate[rows])


def window_metrics(panel: Panel, fit: FittedWindow) -> Metrics:
    """The test metrics of one window alone."""
    predictions = concatenated(panel, [fit.test], [fit.base_rate])
    return metrics_of(predictions, predictions.p, predictions.labelled)


def auc(predictions: Predictions, rows: Bool) -> Figure | None:
    """Of the calibrated probabilities of those rows."""
    return figures.auc(predictions.p[rows], predictions.label[rows], predictions.open_time_ns[rows])


def brier_skill(predictions: Predictions, rows: Bool) -> Figure | None:
    """Likewise, against the training range's base rate."""
    p, base_rate, label = predictions.p[rows], predictions.base_rate[rows], predictions.label[rows]
    return figures.brier_skill(p, base_rate, label, predictions.open_time_ns[rows])


def forecast_estimates(
    test: Predictions, others: Mapping[str, Predictions], estimator: Estimator
) -> dict[str, Estimate]:
    """Of the test rows, alone and less what each baseline has there."""
    rows = test.labelled
    p, label, time_ns = test.p[rows], test.label[rows], test.open_time_ns[rows]
    mine, losses = auc(test, rows), log_losses(p, label)
    found = {
        "test/auc": mine,
        "test/accuracy": figures.mean(((p > 0.5) == (label == 1.0)).astype(np.float64), time_ns),
        "test/brier_skill": brier_skill(test, rows),
        "test/log_loss": figures.mean(losses, time_ns),
    }
    for name, other in others.items():
        assert np.array_equal(other.row, test.row), "baselines predict the same rows"
        its = auc(other, rows)
        found[f"auc_gain/{name}"] = None if mine is None or its is None else mine - its
        found[f"log_loss_gain/{name}"] = figures.mean(log_losses(other.p[rows], label) - losses, time_ns)
    return {name: estimator.of(figure) for name, figure in found.items()}
