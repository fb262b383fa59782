"""Trades needed against the anchors, against statsmodels, and against power itself."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.power import normal_power_het, normal_sample_size_one_tail

from botscalp.statistics.power import power, trades_needed


@pytest.mark.parametrize(("rate", "other", "needed"), [(0.50, 0.55, 617), (0.52, 0.55, 1_710), (0.50, 0.52, 3_863)])
def test_the_anchors(rate: float, other: float, needed: int) -> None:
    assert trades_needed(rate, other) == needed


RATES = st.floats(0.05, 0.95)


@given(RATES, RATES)
def test_the_trades_needed_have_the_power_and_one_less_has_not(rate: float, other: float) -> None:
    assume(abs(other - rate) > 1e-3)
    needed = trades_needed(rate, other)
    assert power(needed, rate, other) >= 0.8 - 1e-9
    assert power(needed - 1, rate, other) < 0.8 + 1e-9


@given(RATES, RATES)
def test_agrees_with_statsmodels(rate: float, other: float) -> None:
    assume(abs(other - rate) > 1e-3)
    spreads = {"std_null": math.sqrt(rate * (1 - rate)), "std_alternative": math.sqrt(other * (1 - other))}
    exact = normal_sample_size_one_tail(abs(other - rate), 0.8, 0.05, **spreads)
    assert trades_needed(rate, other) == pytest.approx(math.ceil(exact), abs=1)
    expected = normal_power_het(abs(other - rate), 300, 0.05, alternative="larger", **spreads)
    assert power(300, rate, other) == pytest.approx(float(expected), abs=1e-9)


@given(RATES, st.integers(1, 10_000))
def test_without_a_difference_the_power_is_the_error(rate: float, trades: int) -> None:
    assert power(trades, rate, rate) == pytest.approx(0.05)


def test_power_is_the_chance_that_the_exact_test_has() -> None:
    """307 trades tell 52 % from a coin in one case of six: the old rule "below 52 % is overfitting" can know little."""
    critical = binom.ppf(0.95, 307, 0.5)  # more wins than this are significant
    assert power(307, 0.5, 0.52) == pytest.approx(binom.sf(critical, 307, 0.52), abs=0.02)
    assert np.all(np.diff([power(trades, 0.5, 0.52) for trades in range(1, 5_000, 100)]) > 0)
