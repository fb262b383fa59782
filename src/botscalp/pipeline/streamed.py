"""A window of bars that do not fit in memory together: what it needs of them is read, used and forgotten."""

import gc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from botscalp import indicators
from botscalp.backtest import PredictedBars
from botscalp.calibration import Calibration
from botscalp.data.bars import detached
from botscalp.features.feature_set import FeatureSet
from botscalp.labels import Label
from botscalp.models import Model
from botscalp.pipeline.panel import assembled
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.window import FittedWindow, check_window, fit_window
from botscalp.times import DAY_NS
from botscalp.training.settings import Device, TrainerSettings
from botscalp.types import Bars
from botscalp.windows import Range, Window, drawn_days

ReadBars = Callable[[Range], Bars]
"""the bars of one symbol that open within the range; as many as there are"""


@dataclass(frozen=True, kw_only=True)
class StreamedWindow:
    """What is left of a window: what was fitted, and its test bars, ready to be traded."""

    fit: FittedWindow
    test: PredictedBars
    rows: int
    """bars that were read"""


def stream_window(
    read: ReadBars,
    window: Window,
    *,
    interval_ns: int,
    features: FeatureSet,
    label: Label,
    model: Model,
    trainer: TrainerSettings,
    calibration: Calibration,
    atr_span: int,
    device: Device,
    seed: int,
    watch: Stopwatch,
) -> StreamedWindow:
    """Fit one window on `trainer.days` of its training range, and predict its whole validation and test.

    Runs of days, and the stretch from validation to test, stand in the panel as symbols do: each begins with the bars that its
    features and lags look back on, and no sample crosses from one to the next. Figures are those of all bars in memory but
    for the seeds of averages, whose weight is less than 1e-6.

    Raises:
        UserError: the window cannot be fitted; see `check_window` and `drawn_days`.
    """
    assert trainer.days is not None, "a subsample, stated"
    look_back = features.lookback_bars + features.lags - 1
    # As far as labels look, and as training chunks run on past a day's last row: into bars, not into another day's warm-up.
    ahead_ns = max(label.span_bars, trainer.chunk) * interval_ns
    with watch.stage("data"):
        days = drawn_days(window.train, trainer.days, seed)
        runs = np.split(
            days, np.flatnonzero(np.diff(days) > 1) + 1
        )  # else what follows a day would be learnt from twice
        ranges = [
            Range(int(run[0]) * DAY_NS - look_back * interval_ns, (int(run[-1]) + 1) * DAY_NS + ahead_ns)
            for run in runs
        ]
        warm_up = look_back + trainer.warmup_bars
        ranges.append(Range(window.stopping.start_ns - warm_up * interval_ns, window.test.end_ns + ahead_ns))
        stretches = tuple(read(part) for part in ranges)
    with watch.stage("features"):
        panel = assembled(stretches, features=features, label=label)
    check_window(panel, window, calibration=calibration, span_bars=label.span_bars)
    with watch.stage("windows"):
        fit = fit_window(
            panel,
            window,
            model=model,
            lags=features.lags,
            trainer=trainer,
            device=device,
            calibration=calibration,
            seed=seed,
            on_epoch=lambda epoch, metrics: None,
        )
    gc.collect()  # Lightning's trainer and module point at each other, and at the features
    with watch.stage("backtest"):
        test = _predicted(stretches[-1], window, fit, atr_span)
    return StreamedWindow(fit=fit, test=test, rows=sum(map(len, stretches)))


def _predicted(bars: Bars, window: Window, fit: FittedWindow, atr_span: int) -> PredictedBars:
    """The bars of the test range with their probabilities."""
    rows = slice(*np.searchsorted(bars.open_time_ns, [window.test.start_ns, window.test.end_ns]))
    inside = detached(bars[rows])
    p = np.full(len(inside), np.nan)
    p[np.searchsorted(inside.open_time_ns, fit.test.open_time_ns)] = fit.test.p
    return PredictedBars(
        bars=inside,
        p=p,
        atr=indicators.atr(bars, atr_span)[rows].copy(),
        window=np.full(len(inside), window.index),
    )
