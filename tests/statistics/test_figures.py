"""Figures are the published metrics, and contributions what the weight of one row does to them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest.performance import sharpe_ratio
from botscalp.statistics import figures
from botscalp.statistics.figures import Figure
from botscalp.statistics.metrics import log_losses, probability_metrics
from botscalp.types import Float64, Int64

EMPTY, NO_TIMES = np.empty(0), np.empty(0, np.int64)


def times(n: int) -> Int64:
    return np.arange(n, dtype=np.int64)


@pytest.mark.parametrize("digits", [None, 1])
def test_figures_of_forecasts_are_the_published_metrics(digits: int | None) -> None:
    rng = np.random.default_rng(0)
    truth = rng.beta(5, 5, 3_000)
    p = np.clip(truth + 0.1 * rng.normal(size=3_000), 0, 1)
    p = p if digits is None else p.round(digits)
    label = (rng.random(3_000) < truth).astype(float)
    base_rate = np.where(np.arange(3_000) < 1_000, 0.48, 0.53)
    found = {
        "auc": figures.auc(p, label, times(3_000)),
        "brier_skill": figures.brier_skill(p, base_rate, label, times(3_000)),
        "log_loss": figures.mean(log_losses(p, label), times(3_000)),
        "accuracy": figures.mean(((p > 0.5) == label).astype(float), times(3_000)),
    }
    published = probability_metrics(p, label, base_rate)
    for name, figure in found.items():
        assert figure is not None
        assert figure.value == pytest.approx(published[name], abs=2e-7), name  # torchmetrics sums in float32


def test_figures_of_days_are_those_of_the_account() -> None:
    returns = 0.001 + 0.01 * np.random.default_rng(1).standard_t(5, 200)
    sharpe = figures.sharpe(returns, times(200))
    total, mean = figures.total(returns, times(200)), figures.mean(returns, times(200))
    assert sharpe is not None and total is not None and mean is not None
    assert sharpe.value == pytest.approx(sharpe_ratio(returns)[0], rel=1e-12)
    assert total.value == pytest.approx(returns.sum(), rel=1e-12)
    assert mean.value == pytest.approx(returns.mean(), rel=1e-12)


# --- contributions against plain implementations with weights ---


def weighted_mean(weight: Float64, values: Float64) -> float:
    return float(weight @ values / weight.sum())


def weighted_total(weight: Float64, values: Float64) -> float:
    return len(values) * weighted_mean(weight, values)


def weighted_auc(weight: Float64, p: Float64, label: Float64) -> float:
    up, down = label == 1, label == 0
    above, below = p[up][:, None], p[down][None, :]
    pairs = weight[up][:, None] * weight[down][None, :]
    return float(np.sum(pairs * ((above > below) + 0.5 * (above == below))) / pairs.sum())


def weighted_skill(weight: Float64, p: Float64, base_rate: Float64, label: Float64) -> float:
    return 1 - weighted_mean(weight, (p - label) ** 2) / weighted_mean(weight, (base_rate - label) ** 2)


def weighted_sharpe(weight: Float64, returns: Float64) -> float:
    mean, n = weighted_mean(weight, returns), len(returns)
    return float(np.sqrt(365) * mean / np.sqrt(n / (n - 1) * weighted_mean(weight, (returns - mean) ** 2)))


def check_contributions(figure: Figure | None, weighted: Callable[..., float], *columns: Float64) -> None:
    """The value is that of weights of 1, and each contribution the slope along its row's weight."""
    assert figure is not None
    ones, step = np.ones(len(columns[0])), 1e-5
    scale = 1 + abs(figure.value)
    assert figure.value == pytest.approx(weighted(ones, *columns), abs=1e-9 * scale)
    assert abs(figure.contribution.sum()) < 1e-9 * scale
    slopes = [
        (weighted(ones + step * one, *columns) - weighted(ones - step * one, *columns)) / (2 * step)
        for one in np.eye(len(ones))
    ]
    assert figure.contribution == pytest.approx(np.array(slopes), abs=1e-6 * scale)


ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.booleans()), min_size=2, max_size=30)
"""p in eighths, so that ties abound, a base rate and a label"""


@settings(deadline=None)
@given(ROWS)
def test_contributions_are_slopes_for_forecasts_with_ties(rows: list[tuple[int, int, bool]]) -> None:
    p = np.array([eighths / 8 for eighths, _, _ in rows])
    base_rate = np.array([0.4 + tenths / 20 for _, tenths, _ in rows])
    label = np.array([float(up) for _, _, up in rows])
    check_contributions(figures.mean(p, times(len(p))), weighted_mean, p)
    check_contributions(figures.total(p, times(len(p))), weighted_total, p)
    check_contributions(figures.brier_skill(p, base_rate, label, times(len(p))), weighted_skill, p, base_rate, label)
    if label.min() < label.max():
        check_contributions(figures.auc(p, label, times(len(p))), weighted_auc, p, label)
    else:
        assert figures.auc(p, label, times(len(p))) is None


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60), st.floats(-3, 3))
def test_contributions_are_slopes_for_sharpe(seed: int, days: int, drift: float) -> None:
    returns = 0.01 * (drift + np.random.default_rng(seed).standard_t(5, days))
    check_contributions(figures.sharpe(returns, times(days)), weighted_sharpe, returns)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(10, 30))
def test_a_difference_is_of_the_same_rows_or_of_others(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p, q, label = rng.random(n).round(1), rng.random(n).round(1), np.arange(n) % 2.0
    a, b = figures.auc(p, label, times(n)), figures.auc(q, label, times(n) + 5)
    assert a is not None and b is not None
    difference = a - b
    assert np.array_equal(difference.time_ns, np.append(times(n), times(n) + 5))
    check_contributions(
        difference,
        lambda weight, p, label: (
            weighted_auc(weight[:n], p[:n], label[:n]) - weighted_auc(weight[n:], p[n:], label[n:])
        ),
        np.append(p, q),
        np.append(label, label),
    )


def test_undefined_figures_are_none() -> None:
    half = np.full(4, 0.5)
    assert figures.mean(EMPTY, NO_TIMES) is None
    assert figures.total(EMPTY, NO_TIMES) is None
    assert figures.auc(EMPTY, EMPTY, NO_TIMES) is None
    assert figures.auc(half, np.ones(4), times(4)) is None
    assert figures.auc(half, np.zeros(4), times(4)) is None
    assert figures.brier_skill(EMPTY, EMPTY, EMPTY, NO_TIMES) is None
    assert figures.brier_skill(half, np.ones(4), np.ones(4), times(4)) is None
    assert figures.sharpe(EMPTY, NO_TIMES) is None
    assert figures.sharpe(half[:1], times(1)) is None
    assert figures.sharpe(half, times(4)) is None
