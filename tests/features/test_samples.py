"""predictable: against a loop over the definition, and under truncation."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.features.samples import predictable
from botscalp.types import Bars, Bool

MINUTE_NS = 60 * 10**9


def bars_with_steps(steps: list[int]) -> Bars:
    """Minute bars whose distances are the steps; 1 is no gap."""
    price = np.ones(len(steps))
    return Bars(
        symbol="X",
        interval_ns=MINUTE_NS,
        open_time_ns=np.cumsum(steps, dtype=np.int64) * MINUTE_NS,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=price,
    )


def by_definition(bars: Bars, lags: int, lookback_bars: int) -> Bool:
    times = bars.open_time_ns.tolist()
    answer = []
    for t in range(len(times)):
        block = times[max(0, t - lags + 1) : t + 1]
        warm = t - len(block) + 1 >= lookback_bars
        consecutive = all(b - a == bars.interval_ns for a, b in pairwise(block))
        answer.append(len(block) == lags and warm and consecutive)
    return np.array(answer, dtype=np.bool_)


markets = st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 17]), max_size=60).map(bars_with_steps)


@settings(deadline=None, max_examples=300)
@given(bars=markets, lags=st.integers(1, 12), lookback_bars=st.integers(0, 30))
def test_predictable_is_its_definition(bars: Bars, lags: int, lookback_bars: int) -> None:
    np.testing.assert_array_equal(predictable(bars, lags, lookback_bars), by_definition(bars, lags, lookback_bars))


@settings(deadline=None, max_examples=200)
@given(bars=markets, lags=st.integers(1, 8), lookback_bars=st.integers(0, 10), data=st.data())
def test_what_follows_changes_nothing(bars: Bars, lags: int, lookback_bars: int, data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, len(bars)))
    full = predictable(bars, lags, lookback_bars)
    np.testing.assert_array_equal(predictable(bars[:rows], lags, lookback_bars), full[:rows])


def test_the_outage_by_hand() -> None:
    """Five bars, one missing, five bars: with 3 lags the two bars after the gap cannot be predicted from."""
    bars = bars_with_steps([1, 1, 1, 1, 1, 2, 1, 1, 1, 1])
    assert predictable(bars, lags=3, lookback_bars=0).tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 1, 1]
    assert predictable(bars, lags=3, lookback_bars=2).tolist() == [0, 0, 0, 0, 1, 0, 0, 1, 1, 1]
