"""Metrics against scikit-learn, by hand, and where they are undefined."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from botscalp.statistics.metrics import expected_calibration_error, histogram, probability_metrics
from botscalp.types import Float64


def sample(n: int, *, seed: int, digits: int | None) -> tuple[Float64, Float64, Float64]:
    """Forecasts with some skill, rounded so that ties abound; labels; base rates of two windows."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(5, 5, n)
    p = np.clip(truth + 0.1 * rng.normal(size=n), 0, 1)
    p = np.round(p, digits) if digits else p
    base_rate = np.where(np.arange(n) < n / 3, 0.48, 0.53).astype(float)
    return p, (rng.random(n) < truth).astype(float), base_rate


@pytest.mark.parametrize("digits", [None, 1, 2])
@pytest.mark.parametrize("n", [50, 20_000])
def test_agrees_with_scikit_learn(n: int, digits: int | None) -> None:
    p, label, base_rate = sample(n, seed=n, digits=digits)
    got = probability_metrics(p, label, base_rate)
    brier = sklearn.metrics.brier_score_loss(label, p)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(label, p > 0.5),
        "auc": sklearn.metrics.roc_auc_score(label, p),
        "pr_auc": sklearn.metrics.average_precision_score(label, p),
        "brier": brier,
        "brier_skill": 1 - brier / sklearn.metrics.brier_score_loss(label, base_rate),
        "log_loss": sklearn.metrics.log_loss(label, np.clip(p, 1e-7, 1 - 1e-7)),
        "n": n,
    }
    ece = got.pop("ece")
    assert got == pytest.approx(expected, rel=1e-6)
    assert ece == pytest.approx(slow_ece(p, label, 15), abs=1e-12)


def slow_ece(p: Float64, label: Float64, n_bins: int) -> float:
    """Guo et al. (2017), bin by bin; the last bin is closed."""
    total = 0.0
    for b in range(n_bins):
        inside = (p * n_bins >= b) & ((p * n_bins < b + 1) | (b == n_bins - 1))
        if inside.any():
            total += inside.mean() * abs(label[inside].mean() - p[inside].mean())
    return total


def test_a_constant_forecast_by_the_base_rate_has_no_skill() -> None:
    _, label, base_rate = sample(1_000, seed=1, digits=None)
    assert probability_metrics(base_rate, label, base_rate)["brier_skill"] == 0.0


def test_ece_puts_certainty_in_the_last_bin_where_torchmetrics_does_not() -> None:
    # One bin [0.9, 1] holds both rows: |0.975 - 0.5| = 0.475. torchmetrics 1.9 opens a bin for p = 1 alone.
    p, label = np.array([0.95, 1.0]), np.array([1.0, 0.0])
    assert expected_calibration_error(p, label, n_bins=10) == pytest.approx(0.475)
    phantom = binary_calibration_error(torch.from_numpy(p), torch.from_numpy(label).long(), n_bins=10)
    assert float(phantom) == pytest.approx(0.525)


def test_undefined_values_are_none() -> None:
    one_class = probability_metrics(np.array([0.2, 0.9]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
    assert one_class["auc"] is None and one_class["pr_auc"] is None
    assert one_class["brier"] == pytest.approx((0.64 + 0.01) / 2)
    certain = probability_metrics(np.array([0.2, 0.9]), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert certain["brier_skill"] is None
    nothing = probability_metrics(np.empty(0), np.empty(0), np.empty(0))
    assert nothing.pop("n") == 0
    assert set(nothing) == set(one_class) - {"n"} and set(nothing.values()) == {None}


def test_saturated_forecasts_have_a_finite_log_loss() -> None:
    got = probability_metrics(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
    assert got["log_loss"] == pytest.approx(-np.log(1e-7) / 2, rel=1e-6)
    sure = probability_metrics(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert sure["log_loss"] == pytest.approx(1e-7, rel=1e-6)  # -ln(1 - 1e-7)


def test_rows_without_label_or_probability_are_our_own_mistake() -> None:
    half = np.array([0.5])
    for p, label in ((half, np.array([np.nan])), (np.array([np.nan]), half * 2), (half * 3, half * 2)):
        with pytest.raises(AssertionError):
            probability_metrics(p, label, half)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=50))
def test_histogram_counts_every_row_once(p: list[float]) -> None:
    edges, counts = histogram(np.array(p))
    assert edges[:3] == [0.0, 0.01, 0.05] and edges[-3:] == [0.95, 0.99, 1.0]
    assert np.diff(edges[2:-2]) == pytest.approx([0.05] * 18)
    assert len(counts) == len(edges) - 1 and sum(counts) == len(p)
    assert counts[0] == sum(x < 0.01 for x in p)
    assert counts[-1] == sum(x >= 0.99 for x in p)
