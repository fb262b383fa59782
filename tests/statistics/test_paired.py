"""Windows compared pairwise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from botscalp.statistics.paired import MINIMUM_WINDOWS, expected_best, mean_interval, worse_p

differences = st.lists(st.floats(-0.01, 0.01), min_size=MINIMUM_WINDOWS, max_size=12).map(np.array)


@given(differences)
def test_worse_p_is_that_of_scipy(values: np.ndarray) -> None:
    if np.ptp(values) > 1e-6:
        assert worse_p(values) == pytest.approx(ttest_1samp(values, 0.0, alternative="less").pvalue, abs=1e-12)


@pytest.mark.parametrize(("always", "p"), [(-0.001, 0.0), (0.0, 1.0), (0.001, 1.0)])
def test_differences_that_never_vary_leave_no_doubt(always: float, p: float) -> None:
    assert worse_p(np.full(4, always)) == p


def test_two_windows_say_nothing() -> None:
    assert worse_p(np.array([-1.0, -1.1])) is None
    assert mean_interval(np.array([1.0, 1.1])) is None


def test_the_interval_holds_the_mean_of_normal_windows_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(0.3, 1.0, (4_000, 8))
    ends = [mean_interval(draw) for draw in draws]
    held = np.mean([low <= 0.3 <= high for low, high in (end for end in ends if end is not None)])
    assert held == pytest.approx(0.95, abs=0.011)  # three standard errors


@pytest.mark.parametrize("count", [2, 5, 60, 1_000])
def test_the_best_of_many_without_skill_is_what_drawing_them_gives(count: int) -> None:
    drawn = np.random.default_rng(1).normal(0.0, 2.0, (4_000, count)).max(axis=1)
    assert expected_best(count, 2.0) == pytest.approx(drawn.mean(), rel=0.03, abs=0.05)


def test_a_single_one_is_no_search() -> None:
    assert expected_best(1, 2.0) == pytest.approx(0.0, abs=1e-9)
