"""label=direction against a table made by hand and against a slow reference."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.labels.direction import Direction
from botscalp.types import Bars

NAN = float("nan")


def bars_of(number: list[int], close: Sequence[float]) -> Bars:
    prices = np.array(close, float)
    return Bars(
        symbol="X",
        interval_ns=60,
        open_time_ns=np.array(number, np.int64) * 60,
        open=prices,
        high=prices,
        low=prices,
        close=prices,
        volume=np.ones(len(prices)),
    )


def test_a_table_that_a_person_can_check() -> None:
    #              t: 0  1  2  3  4  (gap) 7  8  9
    bars = bars_of([0, 1, 2, 3, 4, 7, 8, 9], [5, 6, 5, 4, 4, 9, 9, 1])
    label = Direction(horizon=2).labels(bars)
    #                        tie: 5 -> 5 | 6 -> 4, 5 -> 4 | cross the gap | 9 -> 1 | no bar two ahead
    np.testing.assert_array_equal(label, [NAN, 0, 0, NAN, NAN, 0, NAN, NAN])
    assert label.dtype == np.float32


@settings(deadline=None)
@given(
    horizon=st.integers(1, 6),
    steps=st.lists(st.sampled_from([1, 1, 1, 1, 2, 5]), max_size=30),
    prices=st.data(),
)
def test_equals_the_definition_bar_by_bar(horizon: int, steps: list[int], prices: st.DataObject) -> None:
    number = np.cumsum(steps).tolist()
    close = prices.draw(st.lists(st.integers(1, 4), min_size=len(steps), max_size=len(steps)))
    by_number = dict(zip(number, close, strict=True))
    expected = []
    for t in number:
        span = [by_number.get(t + i) for i in range(horizon + 1)]
        if None in span or span[0] == span[-1]:
            expected.append(NAN)
        else:
            expected.append(1.0 if span[-1] > span[0] else 0.0)  # type: ignore[operator]
    label = Direction(horizon=horizon)
    np.testing.assert_array_equal(label.labels(bars_of(number, close)), np.array(expected, np.float32))
    assert label.span_bars == horizon


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_bars_have_no_label(n: int) -> None:
    label = Direction(horizon=3).labels(bars_of(list(range(n)), [1.0] * n))
    assert label.shape == (n,) and np.isnan(label).all()
