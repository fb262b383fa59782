"""Scores of probabilities p against labels 0 or 1; arrays of shape (N,), computed in float64."""

import numpy as np

from botscalp.types import Float64, Int64

ECE_BINS = 15
HISTOGRAM_EDGES = (0.0, 0.01, *(percent / 100 for percent in range(5, 100, 5)), 0.99, 1.0)
P_LEAST = 1e-7
"""a probability nearer to 0 or 1 is scored by log loss as this far from it"""


def probability_metrics(p: Float64, label: Float64, base_rate: Float64) -> dict[str, float | None]:
    """accuracy, auc, pr_auc, brier, brier_skill, log_loss, ece and n, the number of rows.

    `base_rate` is for each row the share of label 1 in the training range of its window: the constant forecast
    that brier_skill compares with. Accuracy counts p > 0.5 as "up". Undefined values are None: auc and pr_auc with
    labels of one class, brier_skill where the constant forecast makes no error, and all but n with no rows.
    """
    p, label, base_rate = (np.asarray(x, np.float64) for x in (p, label, base_rate))
    assert np.isin(label, (0.0, 1.0)).all() and ((p >= 0.0) & (p <= 1.0)).all(), "labelled, predicted rows alone"
    if len(p) == 0:
        return dict.fromkeys(("accuracy", "auc", "pr_auc", "brier", "brier_skill", "log_loss", "ece")) | {"n": 0}
    auc, pr_auc = _auc_and_pr_auc(p, label)
    brier, brier_constant = np.mean((p - label) ** 2), np.mean((base_rate - label) ** 2)
    return {
        "accuracy": float(np.mean((p > 0.5) == label)),
        "auc": auc,
        "pr_auc": pr_auc,
        "brier": float(brier),
        "brier_skill": float(1.0 - brier / brier_constant) if brier_constant > 0.0 else None,
        "log_loss": float(np.mean(log_losses(p, label))),
        "ece": expected_calibration_error(p, label),
        "n": len(p),
    }


def log_losses(p: Float64, label: Float64) -> Float64:
    """-ln of the probability given to what came, row by row. Shape (N,)."""
    given = np.where(label == 1.0, p, 1.0 - p)
    losses: Float64 = -np.log(np.clip(given, P_LEAST, 1.0 - P_LEAST))
    return losses


def expected_calibration_error(p: Float64, label: Float64, n_bins: int = ECE_BINS) -> float:
    """Sum over equal-width bins of (rows in bin / rows) x |share of label 1 - mean p| (Guo et al. 2017).

    The bins [lo, hi) cover [0, 1] and the last one holds p = 1 too; torchmetrics puts p = 1 in a bin of its
    own beyond the last, and so scores saturated models wrongly.
    """
    excess = np.bincount(ece_bin(p, n_bins), weights=label - p)
    return float(np.abs(excess).sum() / len(p))


def ece_bin(p: Float64, n_bins: int) -> Int64:
    """The number of each probability's bin among equal-width ones, 0 .. n_bins - 1. Shape (N,)."""
    return np.minimum((p * n_bins).astype(np.int64), n_bins - 1)


def histogram(p: Float64) -> tuple[list[float], list[int]]:
    """Edges and counts: bins of 0.05, with p < 0.01 and p >= 0.99 apart; each is [lo, hi), the last one closed."""
    counts, _ = np.histogram(p, HISTOGRAM_EDGES)
    return list(HISTOGRAM_EDGES), counts.tolist()


def _auc_and_pr_auc(p: Float64, label: Float64) -> tuple[float | None, float | None]:
    """By torchmetrics, which sums in float32: right to about 1e-7. PR-AUC is the average precision."""
    if label.min() == label.max():
        return None, None
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    columns = torch.from_numpy(p), torch.from_numpy(label.astype(np.int64))
    return float(binary_auroc(*columns)), float(binary_average_precision(*columns))
