"""label=triple_barrier: goldens for each rule, a slow reference, and what it may not depend on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.indicators import atr
from botscalp.labels.kernel import first_touch_nb
from botscalp.labels.triple_barrier import TripleBarrier
from botscalp.types import Bars, Float32

NAN = float("nan")
OHLC = tuple[float, float, float, float]
QUIET: OHLC = (100, 101, 99, 100)  # keeps ATR at exactly 2


def bars_of(rows: list[OHLC], number: list[int] | None = None) -> Bars:
    open_, high, low, close = np.array(rows, float).reshape(-1, 4).T.copy()
    numbers = np.arange(len(rows)) if number is None else np.array(number, np.int64)
    return Bars(
        symbol="X",
        interval_ns=60,
        open_time_ns=numbers * 60,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=np.ones(len(rows)),
    )


def label_of(after: list[OHLC], number: list[int] | None = None) -> float:
    """The label of the last of three quiet bars (ATR 2, barriers at open +- 3, two bars watched) before `after`."""
    bars = bars_of([QUIET, QUIET, QUIET, *after], number)
    return float(TripleBarrier(barrier_atr=1.5, max_hold=2, atr_span=2).labels(bars)[2])


GOLDENS: dict[str, tuple[list[OHLC], float]] = {
    "upper first": ([(100, 103, 99, 100), (100, 101, 90, 100), QUIET], 1),
    "lower first": ([(100, 101, 97, 100), (100, 110, 99, 100), QUIET], 0),
    "just short of both, then upper": ([(100, 102.99, 97.01, 100), (100, 103, 99, 100), QUIET], 1),
    "both in one bar": ([(100, 103, 97, 100), QUIET, QUIET], NAN),
    "opens beyond the upper, then falls through the lower": ([QUIET, (103, 104, 90, 95), QUIET], 1),
    "opens beyond the lower, then rises through the upper": ([QUIET, (97, 110, 96, 105), QUIET], 0),
    "time-out above": ([QUIET, QUIET, (100.5, 101, 99, 100)], 1),
    "time-out below": ([QUIET, QUIET, (99.5, 101, 99, 100)], 0),
    "time-out level": ([QUIET, QUIET, QUIET], NAN),
    "touched only in the bar that times out": ([QUIET, QUIET, (99.5, 110, 99, 100)], 0),
    "the barriers lie around the next open, not the close": ([(110, 112, 108, 110), (110, 111, 107, 110), QUIET], 0),
    "no bar to time out in": ([(100, 103, 99, 100), QUIET], NAN),
}


@pytest.mark.parametrize("case", GOLDENS)
def test_golden(case: str) -> None:
    after, expected = GOLDENS[case]
    np.testing.assert_equal(label_of(after), expected)


def test_a_gap_anywhere_in_the_span_leaves_no_label() -> None:
    touched_at_once: list[OHLC] = [(100, 103, 99, 100), QUIET, QUIET]
    assert label_of(touched_at_once, [0, 1, 2, 3, 4, 5]) == 1
    assert np.isnan(label_of(touched_at_once, [0, 1, 2, 4, 5, 6]))
    assert np.isnan(label_of(touched_at_once, [0, 1, 2, 3, 4, 6]))
    assert label_of(touched_at_once, [0, 1, 3, 4, 5, 6]) == 1  # a gap before t is none of the label's business


def test_no_bar_beyond_the_data_s_end_is_read() -> None:
    """Compiled code would read on in silence; the plain function raises IndexError."""
    plain = getattr(first_touch_nb, "py_func", first_touch_nb)
    price = np.full(20, 100.0)
    for n in range(20):
        columns = (np.arange(n), price[:n], price[:n], price[:n], np.ones(n))
        assert np.isnan(plain(*columns, 3)).all()


def test_a_market_that_stands_still_has_no_barriers() -> None:
    still: OHLC = (100, 100, 100, 100)
    bars = bars_of([still] * 6 + [(100, 120, 80, 110)] * 3)
    label = TripleBarrier(barrier_atr=1.0, max_hold=2, atr_span=2).labels(bars)
    assert np.isnan(label[:6]).all()  # ATR not finite at first, then zero


def reference(bars: Bars, *, barrier_atr: float, max_hold: int, atr_span: int) -> Float32:
    """The rules of the docstring, looked up by bar number, without a thought for speed."""
    row = {int(number): i for i, number in enumerate(bars.number)}
    average = atr(bars, atr_span)
    labels = []
    for t, i in row.items():
        span = [row.get(t + k) for k in range(max_hold + 2)]
        if None in span or not average[i] > 0:
            labels.append(NAN)
            continue
        _, *watched, last = [j for j in span if j is not None]
        start = bars.open[watched[0]]
        upper, lower = start + barrier_atr * average[i], start - barrier_atr * average[i]
        answer = float(np.sign(bars.open[last] - start) + 1) / 2
        answer = NAN if answer == 0.5 else answer
        for j in watched:
            touches = [side for side, price in ((1.0, bars.high[j] >= upper), (0.0, bars.low[j] <= lower)) if price]
            if touches:
                opened = [1.0] if bars.open[j] >= upper else [0.0] if bars.open[j] <= lower else touches
                answer = opened[0] if len(opened) == 1 else NAN
                break
        labels.append(answer)
    return np.array(labels, np.float32)


@st.composite
def markets(draw: st.DrawFn) -> Bars:
    """Small prices on a coarse lattice, so that ties, touches and gaps are common."""
    n = draw(st.integers(0, 40))
    price = st.integers(8, 14)
    rows: list[OHLC] = []
    for _ in range(n):
        open_, close, x, y = draw(price), draw(price), draw(price), draw(price)
        rows.append((open_, max(open_, close, x), min(open_, close, y), close))
    steps = draw(st.lists(st.sampled_from([1] * 9 + [3]), min_size=n, max_size=n))
    return bars_of(rows, np.cumsum(steps).tolist())


barriers = st.builds(
    TripleBarrier,
    barrier_atr=st.sampled_from([0.25, 0.5, 1.0, 1.5]),
    max_hold=st.integers(1, 5),
    atr_span=st.integers(1, 4),
)


@settings(deadline=None, max_examples=200)
@given(bars=markets(), label=barriers)
def test_equals_the_reference(bars: Bars, label: TripleBarrier) -> None:
    expected = reference(bars, barrier_atr=label.barrier_atr, max_hold=label.max_hold, atr_span=label.atr_span)
    np.testing.assert_array_equal(label.labels(bars), expected)


@settings(deadline=None)
@given(bars=markets(), label=barriers, cut=st.integers(0, 40))
def test_the_label_is_known_after_its_span_and_not_before(bars: Bars, label: TripleBarrier, cut: int) -> None:
    cut = min(cut, len(bars))
    whole, prefix = label.labels(bars), label.labels(bars[:cut])
    known = max(0, cut - label.span_bars)
    np.testing.assert_array_equal(prefix[:known], whole[:known])
    assert np.isnan(prefix[known:]).all()


def test_real_bars_are_balanced_and_lose_only_what_the_rules_lose(real_data: Path) -> None:
    frame = pd.read_parquet(real_data / "binance-spot-BTCUSDT-5m.parquet")
    column = {name: frame[name].to_numpy(float) for name in ("open", "high", "low", "close", "volume")}
    time_ns = frame["open_time"].dt.as_unit("ns").astype("int64").to_numpy()
    bars = Bars(symbol="BTCUSDT", interval_ns=300 * 10**9, open_time_ns=time_ns, **column)
    label = TripleBarrier(barrier_atr=1.5, max_hold=12, atr_span=14).labels(bars)
    part = slice(100_000, 130_000)  # holds the outage of 2023-03-24
    expected = reference(bars[part], barrier_atr=1.5, max_hold=12, atr_span=14)
    # ATR starts anew in the part and has forgotten its seed after some 200 bars; the part's end has no label.
    np.testing.assert_array_equal(label[part][400:-13], expected[400:-13])
    assert 0.48 < np.nanmean(label) < 0.52
    assert np.isnan(label).mean() < 0.03
