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
from botscalp.windows import Range, Window, drawn_days, united

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

    Drawn days, and the stretch from validation to test, stand in the panel as symbols do: each begins with the bars that its
    features and lags look back on, and no sample crosses from one to the next. Figures are those of all bars in memory but
    for the seeds of averages, whose weight is less than 1e-6.

    Raises:
        UserError: the window cannot be fitted; see `check_window` and `drawn_days`.
    """
    assert trainer.days is not None, "a subsample, stated"
    assert trainer.model_per == "all" and not trainer.symbol_features, "stretches stand where symbols do"
    look_back = features.lookback_bars + features.lags - 1
    ahead_ns = label.span_bars * interval_ns
    with watch.stage("data"):
        ranges = [
            Range(day_ns - look_back * interval_ns, day_ns + DAY_NS + ahead_ns)
            for day_ns in (drawn_days(window.train, trainer.days, seed) * DAY_NS).tolist()
        ]
        warm_up = look_back + trainer.warmup_bars
        ranges.append(Range(window.stopping.start_ns - warm_up * interval_ns, window.test.end_ns + ahead_ns))
        ranges = united(ranges)  # no bar is read, or learnt from, twice
        stretches = tuple(read(part) for part in ranges)
    with watch.stage("features"):
        panel = assembled(stretches, features=features, label=label)
    check_window(panel, window, trainer=trainer, seed=seed, calibration=calibration, span_bars=label.span_bars)
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
