"""A window that is read by itself gives what it gives with all bars in memory; days are drawn whole, inside train."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from runs import composed, quiet_libraries

from botscalp.backtest.stretches import run_stretches
from botscalp.data.bars import clipped
from botscalp.errors import UserError
from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.streamed import StreamedWindow, stream_window
from botscalp.pipeline.window import fit_window
from botscalp.times import DAY_NS
from botscalp.types import Bars
from botscalp.windows import Range, Window, drawn_days

EXPERIMENT = composed("trainer.days=5")
(BARS,) = EXPERIMENT.data.load()
WINDOWS = EXPERIMENT.wfo.between(
    int(BARS.open_time_ns[0]),
    int(BARS.close_time_ns[-1]),
    interval_ns=BARS.interval_ns,
    purge_ns=EXPERIMENT.label.span_bars * BARS.interval_ns,
)


def streamed(window: Window, bars: Bars = BARS) -> tuple[StreamedWindow, list[Range]]:
    """The window, and what it asked for."""
    asked = []

    def read(part: Range) -> Bars:
        asked.append(part)
        return clipped(bars, part.start_ns, part.end_ns)

    with quiet_libraries():
        one = stream_window(
            read,
            window,
            interval_ns=BARS.interval_ns,
            features=EXPERIMENT.features,
            label=EXPERIMENT.label,
            model=EXPERIMENT.model,
            trainer=EXPERIMENT.trainer,
            calibration=EXPERIMENT.calibration,
            atr_span=EXPERIMENT.backtest.atr_span,
            device="cpu",
            seed=1,
            watch=Stopwatch(),
        )
    return one, asked


@pytest.fixture(scope="module")
def parts() -> list[StreamedWindow]:
    return [streamed(window)[0] for window in WINDOWS]


def test_it_predicts_what_it_would_with_all_bars_in_memory(parts: list[StreamedWindow]) -> None:
    panel = build_panel((BARS,), features=EXPERIMENT.features, label=EXPERIMENT.label, seed=0)
    for window, mine in zip(WINDOWS, parts, strict=True):
        with quiet_libraries():
            whole = fit_window(
                panel,
                window,
                model=EXPERIMENT.model,
                lags=EXPERIMENT.features.lags,
                trainer=EXPERIMENT.trainer,
                device="cpu",
                calibration=EXPERIMENT.calibration,
                seed=1,
                on_epoch=lambda epoch, metrics: None,
            )
        assert mine.fit.n_train == whole.n_train and 5 * 280 < mine.fit.n_train <= 5 * 288
        assert mine.fit.n_validation == whole.n_validation
        assert np.array_equal(mine.fit.test.open_time_ns, whole.test.open_time_ns)
        assert np.abs(mine.fit.test.p - whole.test.p).max() < 1e-3
        assert np.ptp(whole.test.p) > 0.1


def test_tests_follow_each_other_and_trade_as_one(parts: list[StreamedWindow]) -> None:
    for one, following in pairwise(parts):
        assert one.test.bars.close_time_ns[-1] == following.test.bars.open_time_ns[0]
    results = list(run_stretches(EXPERIMENT.backtest, [one.test for one in parts]))
    assert sum(len(result.records) for result in results) > 20
    assert sum(len(result.close_time_ns) for result in results) == sum(len(one.test.bars) for one in parts)


def test_it_reads_the_drawn_days_and_the_stretch_from_validation_to_test() -> None:
    one, asked = streamed(WINDOWS[1])
    *days, last = asked
    drawn = drawn_days(WINDOWS[1].train, 5, 1)
    read_days = [(part.start_ns // DAY_NS, part.end_ns // DAY_NS) for part in days]
    assert all(any(first < day < end for first, end in read_days) for day in drawn)
    assert last.start_ns < WINDOWS[1].stopping.start_ns and last.end_ns > WINDOWS[1].test.end_ns
    assert one.rows < 0.75 * len(BARS)


def test_bars_that_it_need_not_read_change_nothing(parts: list[StreamedWindow]) -> None:
    """All others are taken away."""
    _, asked = streamed(WINDOWS[0])
    needed = np.any(
        [(BARS.open_time_ns >= part.start_ns) & (BARS.open_time_ns < part.end_ns) for part in asked], axis=0
    )
    assert needed.mean() < 0.75
    kept = replace(BARS, **{name: column[needed] for name, column in BARS.columns()})
    again, _ = streamed(WINDOWS[0], kept)
    assert np.array_equal(again.fit.test.p, parts[0].fit.test.p)


def test_days_are_whole_and_inside_the_range() -> None:
    part = Range(10 * DAY_NS + 1, 40 * DAY_NS - 1)
    seen = np.concatenate([drawn_days(part, 7, seed) for seed in range(100)])
    assert set(seen) == set(range(11, 39))
    assert all(np.all(np.diff(drawn_days(part, 28, seed)) == 1) for seed in range(3))
    with pytest.raises(UserError, match="28 whole days"):
        drawn_days(part, 29, 0)
