"""The deflated Sharpe ratio against the formula of its paper, and against luck itself."""

import math

import numpy as np
import pytest
from scipy.stats import kurtosis, norm, skew

from botscalp.statistics.luck import deflated_sharpe


def by_the_paper(returns: np.ndarray, trials: int, annual_variance: float) -> tuple[float, float]:
    """Bailey and Lopez de Prado (2014), all per day."""
    sharpe = returns.mean() / returns.std(ddof=1)
    best = 0.0
    if trials > 1:
        quantiles = norm.ppf(1 - 1 / trials), norm.ppf(1 - 1 / (trials * math.e))
        best = math.sqrt(annual_variance / 365) * ((1 - np.euler_gamma) * quantiles[0] + np.euler_gamma * quantiles[1])
    spread = 1 - skew(returns) * sharpe + (kurtosis(returns, fisher=False) - 1) / 4 * sharpe**2
    return best * math.sqrt(365), float(norm.cdf((sharpe - best) * math.sqrt(len(returns) - 1) / math.sqrt(spread)))


@pytest.mark.parametrize("trials", [1, 2, 50, 10_000])
@pytest.mark.parametrize("drift", [-0.0005, 0.0, 0.002])
def test_agrees_with_the_paper(trials: int, drift: float) -> None:
    returns = np.random.default_rng(trials).standard_t(5, 300) * 0.01 + drift
    found = deflated_sharpe(returns, trials=trials, sharpe_variance=2.5)
    assert found is not None
    best, probability = by_the_paper(returns, trials, 2.5)
    assert found.expected_best_sharpe == pytest.approx(best, rel=1e-9)
    assert found.probability == pytest.approx(probability, rel=2e-2, abs=1e-3)  # it divides by n, not n - 1


def test_the_spread_of_luck_stands_in_where_none_is_known() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, 365)
    unknown = deflated_sharpe(returns, trials=20, sharpe_variance=None)
    assert unknown == deflated_sharpe(returns, trials=20, sharpe_variance=1.0)


@pytest.mark.parametrize(
    "returns", [np.zeros(50), np.array([0.1]), np.array([0.1, np.nan, 0.2]), np.array([1e-200, 2e-200, 1e-200])]
)
def test_nothing_is_said_of_returns_that_say_nothing(returns: np.ndarray) -> None:
    assert deflated_sharpe(returns, trials=3, sharpe_variance=None) is None


def test_the_best_of_many_without_skill_is_seen_through() -> None:
    """400 searches of 30 unskilled strategies over 250 days: the best looks good on its own, and deflated it does not."""
    rng = np.random.default_rng(1)
    naive = deflated = 0
    for _ in range(400):
        returns = rng.normal(0, 0.01, (30, 250))
        sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * math.sqrt(365)
        best = returns[sharpes.argmax()]
        alone = deflated_sharpe(best, trials=1, sharpe_variance=None)
        searched = deflated_sharpe(best, trials=30, sharpe_variance=float(sharpes.var(ddof=1)))
        assert alone is not None and searched is not None
        naive += alone.probability > 0.95
        deflated += searched.probability > 0.95
    assert naive > 250 and deflated < 40


def test_skill_is_seen_through_a_search() -> None:
    returns = np.random.default_rng(2).normal(0.004, 0.01, 365)
    found = deflated_sharpe(returns, trials=100, sharpe_variance=1.0)
    assert found is not None and found.probability > 0.99
