"""Thinned lines keep what a reader looks for: the ends, the extremes, and the order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.report.thinning import POINTS, kept


@given(seed=st.integers(0, 2**32), size=st.integers(1, 40_000), points=st.integers(4, POINTS))
@settings(max_examples=60, deadline=None)
def test_extremes_ends_and_order_survive_within_the_bound(seed: int, size: int, points: int) -> None:
    values = np.random.default_rng(seed).normal(size=size).cumsum()
    rows = kept(values, points)
    assert len(rows) <= points or len(rows) == size
    assert (np.diff(rows) > 0).all() and rows[0] == 0 and rows[-1] == size - 1
    assert values[rows].min() == values.min() and values[rows].max() == values.max()


@given(row=st.integers(0, 99_999), sign=st.sampled_from([-1.0, 1.0]))
@settings(max_examples=60, deadline=None)
def test_a_single_spike_survives_wherever_it_is(row: int, sign: float) -> None:
    values = np.zeros(100_000)
    values[row] = sign
    assert row in kept(values)


def test_a_short_line_is_left_alone() -> None:
    assert kept(np.arange(POINTS, dtype=np.float64)).tolist() == list(range(POINTS))
