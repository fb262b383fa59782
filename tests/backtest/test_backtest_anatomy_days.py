"""Figures of daily returns against figures worked out by hand, and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from botscalp.backtest.anatomy import DayFigures, day_figures


def test_days_by_hand() -> None:
    """-20 % to +20 % in steps of 1 %: the 5 % quantile is the third of 41."""
    found = day_figures(np.random.default_rng(0).permutation(np.arange(-20, 21) / 100), -0.5)
    assert found.worst == -0.2
    assert (found.value_at_risk, found.expected_shortfall, found.tail_ratio) == pytest.approx((-0.18, -0.19, 1.0))
    assert found.skew == pytest.approx(0.0, abs=1e-12)
    assert found.excess_kurtosis == pytest.approx(-1.2 * (41**2 + 1) / (41**2 - 1))  # of a discrete uniform
    assert found.annual_volatility == pytest.approx(0.01 * math.sqrt(41 * 42 / 12) * math.sqrt(365))


def test_sortino_and_calmar_by_hand() -> None:
    """15 times +2 % and -1 %: mean 0.005, downside deviation 0.01 / sqrt(2)."""
    found = day_figures(np.tile([0.02, -0.01], 15), -0.04)
    assert found.sortino == pytest.approx(0.005 / (0.01 / math.sqrt(2)) * math.sqrt(365))
    assert found.calmar == pytest.approx(((1.02 * 0.99) ** (15 * 365 / 30) - 1) / 0.04)


def test_days_that_all_lose() -> None:
    """A tail ratio keeps the sign of its upper quantile."""
    tail_ratio = day_figures(np.linspace(-0.41, -0.01, 41), -1.0).tail_ratio
    assert tail_ratio == pytest.approx(-0.03 / 0.39)


@pytest.mark.parametrize("returns", [np.full(29, 0.01), np.r_[np.zeros(39), -1.2], np.r_[-1.0, np.full(39, np.nan)]])
def test_too_few_days_or_a_lost_account_have_no_figures(returns: np.ndarray) -> None:
    assert day_figures(returns, -0.1) == DayFigures()


def test_days_that_never_move_have_few_figures() -> None:
    still = DayFigures(worst=0.0, value_at_risk=0.0, expected_shortfall=0.0, annual_volatility=0.0)
    assert day_figures(np.zeros(40), 0.0) == still
    assert day_figures(np.full(37, 0.1), 0.0).skew is None  # though their mean is no 0.1 but for the last bit


def test_days_that_never_lose_have_no_downside() -> None:
    found = day_figures(np.linspace(0.01, 0.02, 30), 0.0)
    assert found.sortino is None and found.calmar is None and found.skew is not None


def test_growth_beyond_a_float_is_undefined() -> None:
    assert day_figures(np.full(30, 1e12), -0.1).calmar is None


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(-0.5, 0.5).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=30, max_size=80))
def test_moments_and_quantiles_agree_with_scipy(returns: list[float]) -> None:
    found, returns_D = day_figures(np.array(returns), -0.1), np.array(returns)
    low, high = stats.scoreatpercentile(returns_D, [5, 95])
    assert found.value_at_risk == pytest.approx(low)
    assert found.tail_ratio == (pytest.approx(high / abs(low)) if low else None)
    assert found.worst <= found.expected_shortfall <= found.value_at_risk + 1e-15
    if np.ptp(returns_D) > 1e-3:
        assert found.skew == pytest.approx(stats.skew(returns_D), abs=1e-9)
        assert found.excess_kurtosis == pytest.approx(stats.kurtosis(returns_D), abs=1e-9)
