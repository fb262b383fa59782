"""A window that is read by itself gives what it gives with all bars in memory; days are drawn whole, inside train."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from runs import composed, quiet_libraries

from botscalp.backtest.stretches import run_stretches
from botscalp.data.bars import clipped
from botscalp.errors import UserError
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.streamed import StreamedWindow, stream_window
from botscalp.pipeline.window import check_windows, fit_window
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


def streamed(
    window: Window, bars: Bars = BARS, experiment: Experiment = EXPERIMENT
) -> tuple[StreamedWindow, list[Range]]:
    """The window, and what it asked for."""
    asked = []

    def read(part: Range) -> Bars:
        asked.append(part)
        return clipped(bars, part.start_ns, part.end_ns)

    with quiet_libraries():
        one = stream_window(
            read,
            window,
            interval_ns=bars.interval_ns,
            features=experiment.features,
            label=experiment.label,
            model=experiment.model,
            trainer=experiment.trainer,
            calibration=experiment.calibration,
            atr_span=experiment.backtest.atr_span,
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
    last = asked[-1]
    for day in drawn_days(WINDOWS[1].train, 5, 1):
        assert any(part.start_ns < day * DAY_NS and (day + 1) * DAY_NS < part.end_ns for part in asked)
    assert last.start_ns < WINDOWS[1].stopping.start_ns and last.end_ns > WINDOWS[1].test.end_ns
    assert one.rows < 0.75 * len(BARS)


@pytest.mark.parametrize("interval", ["15m", "1h", "4h"])
def test_no_bar_is_read_or_learnt_from_twice(interval: str) -> None:
    """Long bars, whose warm-up and lags reach over days: stretches that would overlap are one."""
    experiment = composed(f"data.interval={interval}", "data.end=2023-12-01", "wfo.train=12w", "trainer.days=20")
    (bars,) = experiment.data.load()
    span = int(bars.open_time_ns[0]), int(bars.close_time_ns[-1])
    purge_ns = experiment.label.span_bars * bars.interval_ns
    window = experiment.wfo.between(*span, interval_ns=bars.interval_ns, purge_ns=purge_ns)[-1]
    one, asked = streamed(window, bars, experiment)
    assert all(first.end_ns < second.start_ns for first, second in pairwise(asked))
    drawn = drawn_days(window.train, 20, 1)
    days = np.isin(bars.open_time_ns // DAY_NS, drawn)
    assert one.fit.n_train == days.sum()
    whole = (bars.open_time_ns >= window.stopping.start_ns) & (bars.open_time_ns < window.stopping.end_ns)
    half = (bars.open_time_ns >= window.calibration.start_ns) & (bars.open_time_ns < window.calibration.end_ns)
    assert one.fit.n_validation == whole.sum() + half.sum()


def test_too_many_days_are_refused_before_anything_is_trained() -> None:
    panel = build_panel((BARS,), features=EXPERIMENT.features, label=EXPERIMENT.label, seed=0)
    trainer = replace(EXPERIMENT.trainer, days=15)
    with pytest.raises(UserError, match=r"trainer\.days=15.*13 whole days"):
        check_windows(
            panel,
            WINDOWS,
            trainer=trainer,
            job_seed=0,
            calibration=EXPERIMENT.calibration,
            span_bars=EXPERIMENT.label.span_bars,
        )


def test_what_training_is_compared_with_was_learnt_from(parts: list[StreamedWindow]) -> None:
    """The forecast of the training range is that of the drawn days: on others the model is as blind as on the test."""
    for window, one in zip(WINDOWS, parts, strict=True):
        assert set(one.fit.train.open_time_ns // DAY_NS) == set(drawn_days(window.train, 5, 1))
