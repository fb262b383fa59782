"""Leaks of every kind that we know, and the sentinel that has to find each: a list of data, as long as there are leaks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import filtfilt

from botscalp.backtest import Backtest
from botscalp.backtest import settings as backtest_settings
from botscalp.backtest.records import TARGET
from botscalp.features.families import Feature
from botscalp.features.feature_set import FeatureSet
from botscalp.features.scaler import Scaler
from botscalp.labels.direction import Direction
from botscalp.pipeline import panel as pipeline_panel
from botscalp.pipeline import window as pipeline_window
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.window import FittedWindow
from botscalp.sentinels import perturbed
from botscalp.times import DAY_NS
from botscalp.types import Bars, Bool, Float32
from botscalp.windows import Range, WalkForward, Window

Column = Callable[[Bars], Any]
HOUR_NS = DAY_NS // 24


@dataclass(frozen=True)
class Leak:
    """What is planted, and what has to fire."""

    name: str
    fires: str
    """the sentinel's rule"""
    plant: Callable[[Experiment], Experiment] = lambda experiment: experiment
    patch: Callable[[pytest.MonkeyPatch], None] = lambda monkeypatch: None
    finding: str = "LEAK"
    also: tuple[str, ...] = ()
    """other sentinels that have to fire"""


@dataclass(frozen=True)
class LeakyFeatures:
    """The honest features and one column more."""

    honest: FeatureSet
    column: Column
    name: str = "planted"

    @property
    def lags(self) -> int:
        return self.honest.lags

    @property
    def lookback_bars(self) -> int:
        return self.honest.lookback_bars

    @property
    def columns(self) -> tuple[Feature, ...]:
        return (*self.honest.columns, Feature(self.name, self.lookback_bars))

    def compute(self, bars: Bars) -> Float32:
        planted = np.nan_to_num(np.asarray(self.column(bars), np.float64))
        return np.column_stack([self.honest.compute(bars), planted]).astype(np.float32)


@dataclass(frozen=True)
class Unpurged:
    """Windows whose ranges touch."""

    honest: WalkForward

    def between(self, start_ns: int, end_ns: int, *, interval_ns: int, purge_ns: int) -> tuple[Window, ...]:
        return self.honest.between(start_ns, end_ns, interval_ns=interval_ns, purge_ns=0)


@dataclass(frozen=True)
class Understated:
    """A label that looks further than it says."""

    honest: Direction
    span_bars: int

    def labels(self, bars: Bars) -> Float32:
        return self.honest.labels(bars)


def series(values: Any) -> "pd.Series[float]":
    return pd.Series(values)


def log_return(bars: Bars) -> Any:
    return np.diff(np.log(bars.close), prepend=np.nan)


def hour(bars: Bars) -> Any:
    return bars.open_time_ns // HOUR_NS


def shifted(bars: Bars) -> Any:
    return series(bars.close).shift(-1) / bars.close


def centred(bars: Bars) -> Any:
    return series(bars.close).rolling(5, center=True).mean() / bars.close


def full_sample_z(bars: Bars) -> Any:
    return (bars.volume - bars.volume.mean()) / bars.volume.std()


def the_label(bars: Bars) -> Any:
    return np.sign(series(bars.close).shift(-3) - bars.close)


def hourly_close(bars: Bars) -> Any:
    return series(bars.close).groupby(hour(bars)).transform("last") / bars.close


def back_filled(bars: Bars) -> Any:
    known = np.where(bars.open_time_ns % HOUR_NS == 0, log_return(bars), np.nan)
    return series(known).bfill()


def high_of_day(bars: Bars) -> Any:
    return series(bars.high).groupby(bars.open_time_ns // DAY_NS).transform("max") / bars.close


def smoothed_both_ways(bars: Bars) -> Any:
    return filtfilt([0.2], [1, -0.8], np.log(bars.close)) - np.log(bars.close)


def target_encoded(bars: Bars) -> Any:
    """The mean next return of each hour of the day, of all bars."""
    following = series(log_return(bars)).shift(-1)
    return following.groupby(hour(bars) % 24).transform("mean") * 1e4


def whole_past(bars: Bars) -> Any:
    return bars.volume / series(bars.volume).expanding().mean()


def with_column(column: Column) -> Callable[[Experiment], Experiment]:
    def plant(experiment: Experiment) -> Experiment:
        return replace(experiment, features=LeakyFeatures(experiment.features, column))  # type: ignore[arg-type]

    return plant


def unpurged(experiment: Experiment) -> Experiment:
    return replace(experiment, wfo=Unpurged(experiment.wfo))


def understated(experiment: Experiment) -> Experiment:
    return replace(experiment, label=Understated(Direction(horizon=12), span_bars=3))


def chosen_on_validation(experiment: Experiment) -> Experiment:
    return replace(experiment, backtest=replace(experiment.backtest, select="validation"))


honest_fit = pipeline_window.fit_window


def refitted(change: Callable[[Any, Window], Window]) -> Callable[[pytest.MonkeyPatch], None]:
    """Fit each window with other ranges than it has."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def fit(panel: Any, window: Window, **settings: Any) -> FittedWindow:
            return honest_fit(panel, change(panel, window), **settings)

        monkeypatch.setattr(pipeline_window, "fit_window", fit)

    return patch


def after_fit(change: Callable[[Any, FittedWindow], FittedWindow]) -> Callable[[pytest.MonkeyPatch], None]:
    """Change what a window fitted."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def fit(panel: Any, window: Window, **settings: Any) -> FittedWindow:
            return change(panel, honest_fit(panel, window, **settings))

        monkeypatch.setattr(pipeline_window, "fit_window", fit)

    return patch


def through_the_test(panel: Any, window: Window) -> Window:
    return replace(window, train=Range(window.train.start_ns, window.test.end_ns))


def scaled_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scaler sees every row of the panel, whatever rows it is given."""

    def fit(panel: Any, window: Window, **settings: Any) -> FittedWindow:
        everything = panel.x_NF[~np.isnan(panel.x_NF).any(axis=1)]
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Scaler, "fitted", lambda x_NF, honest=Scaler.fitted: honest(everything))
            return honest_fit(panel, window, **settings)

    monkeypatch.setattr(pipeline_window, "fit_window", fit)


def labels_in_forecast(panel: Any, fitted: FittedWindow) -> FittedWindow:
    """The test's forecast leans towards the test's labels, as one joined with a table of outcomes would."""
    row = np.searchsorted(panel.open_time_ns, fitted.test.open_time_ns)
    lean = np.nan_to_num(0.2 * (panel.label_N[row] - 0.5))
    test = replace(fitted.test, p_raw=0.8 * fitted.test.p_raw + 0.1 + lean, p=0.8 * fitted.test.p + 0.1 + lean)
    return replace(fitted, test=test)


def test_as_validation(panel: Any, fitted: FittedWindow) -> FittedWindow:
    return replace(fitted, calibration=fitted.test)


def samples_one_bar_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample, or a stretch of bars, is read one bar late: its last bar is t + 1."""
    honest = pipeline_window.inputs_of

    def inputs_of(x_NF: Float32, *others: Any, **options: Any) -> Float32:
        return honest(np.concatenate([x_NF[1:], x_NF[-1:]]), *others, **options)

    for module in (pipeline_window, perturbed):
        monkeypatch.setattr(module, "inputs_of", inputs_of)


def dropped_before_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar is predicted only where the next one exists."""
    honest = pipeline_panel.predictable

    def predictable(bars: Bars, lags: int, lookback_bars: int) -> Bool:
        followed = np.append(np.diff(bars.number) == 1, False)
        kept: Bool = honest(bars, lags, lookback_bars) & followed
        return kept

    monkeypatch.setattr(pipeline_panel, "predictable", predictable)


honest_run = Backtest.run


def filled_at_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trades are entered at the close that signalled them."""

    def run(self: Backtest, market: Any, by_window: Any = None) -> Any:
        result = honest_run(self, market, by_window)
        result.records["entry"] = result.records["signal"]
        result.records["entry_price"] = market[0].bars.close[result.records["signal"]]
        return result

    monkeypatch.setattr(backtest_settings.Backtest, "run", run)


def waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal counts only where the next bar's probability agrees."""

    def run(self: Backtest, market: Any, by_window: Any = None) -> Any:
        seeing = []
        for one in market:
            following = np.append(one.p[1:], np.nan)
            agrees = np.sign(one.p - 0.5) == np.sign(following - 0.5)
            seeing.append(replace(one, p=np.where(agrees, one.p, np.nan)))
        return honest_run(self, seeing, by_window)

    monkeypatch.setattr(backtest_settings.Backtest, "run", run)


def early_atr(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ATR of bar t has seen bar t + 1."""
    from botscalp import indicators

    honest = indicators.atr
    monkeypatch.setattr(indicators, "atr", lambda bars, span: np.append(honest(bars, span)[1:], np.nan))


def sold_at_the_high(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets are filled at the best price of their bar."""

    def run(self: Backtest, market: Any, by_window: Any = None) -> Any:
        result = honest_run(self, market, by_window)
        trades, bars = result.records, market[0].bars
        best = np.where(trades["side"] > 0, bars.high[trades["exit"]], bars.low[trades["exit"]])
        trades["exit_price"] = np.where(trades["reason"] == TARGET, best, trades["exit_price"])
        return result

    monkeypatch.setattr(backtest_settings.Backtest, "run", run)


def knows_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal counts only where it will have been right six bars on."""

    def run(self: Backtest, market: Any, by_window: Any = None) -> Any:
        seeing = []
        for one in market:
            rises = series(one.bars.close).shift(-6).to_numpy() > one.bars.close
            seeing.append(replace(one, p=np.where(rises == (one.p > 0.5), one.p, np.nan)))
        return honest_run(self, seeing, by_window)

    monkeypatch.setattr(backtest_settings.Backtest, "run", run)


def at_any_probability(experiment: Experiment) -> Experiment:
    return replace(experiment, backtest=replace(experiment.backtest, threshold=0.5))


def at_every_bar(experiment: Experiment) -> Experiment:
    """Signals at nearly every bar, so that few points suffice to see one that knows too much."""
    return replace(experiment, backtest=replace(experiment.backtest, threshold=0.5, max_hold=1))


FEATURES, LABELS = "future_perturbation_features", "future_perturbation_labels"
FIT, DECISIONS, PREFIX = "future_perturbation_fit", "future_perturbation_decisions", "prefix_invariance"

LEAKS = [
    Leak("shifted feature", FEATURES, with_column(shifted), also=(PREFIX, "single_feature_auc")),
    Leak("centred window", FEATURES, with_column(centred), also=(PREFIX,)),
    Leak("z-score of the full sample", FEATURES, with_column(full_sample_z), also=(PREFIX,)),
    Leak("label among the features", FEATURES, with_column(the_label), also=(PREFIX, "single_feature_auc")),
    Leak("hourly close known at all its bars", FEATURES, with_column(hourly_close), also=(PREFIX,)),
    Leak("back-filled column", FEATURES, with_column(back_filled), also=(PREFIX,)),
    Leak("high of the whole day", FEATURES, with_column(high_of_day), also=(PREFIX,)),
    Leak("smoothing forwards and backwards", FEATURES, with_column(smoothed_both_ways), also=(PREFIX,)),
    Leak("target encoding of the full sample", FEATURES, with_column(target_encoded), also=(PREFIX,)),
    Leak("rows dropped by what follows", FEATURES, patch=dropped_before_gaps),
    Leak("undeclared memory", "warm_up", with_column(whole_past), finding="UNDECLARED MEMORY"),
    Leak("unpurged windows", LABELS, unpurged),
    Leak("understated label span", LABELS, understated),
    Leak("scaler of the full sample", FIT, patch=scaled_by_all),
    Leak("calibrator fitted on test labels", FIT, patch=refitted(lambda _, w: replace(w, calibration=w.test))),
    Leak("early stopping on test", FIT, patch=refitted(lambda _, w: replace(w, stopping=w.test))),
    Leak("training through the test", FIT, patch=refitted(through_the_test)),
    Leak("threshold chosen on test", FIT, chosen_on_validation, patch=after_fit(test_as_validation)),
    Leak("samples that hold bar t + 1", DECISIONS, patch=samples_one_bar_late),
    Leak("signals that wait for the next probability", DECISIONS, at_every_bar, patch=waits_for_the_next),
    Leak("ATR of the next bar", DECISIONS, patch=early_atr),
    Leak("signals that know the way", DECISIONS, at_any_probability, patch=knows_the_way),
    Leak("fills at the signal's own close", "fills_after_signal", patch=filled_at_the_signal),
    Leak("targets at the best price of their bar", "fills_after_signal", patch=sold_at_the_high),
]
"""found by looking at the run itself"""

LEAKS_FOUND_BY_TRAINING = [
    Leak("forecast that leans to the test's labels", "shuffled_labels", patch=after_fit(labels_in_forecast)),
    Leak("shifted feature", "martingale_bars", with_column(shifted), also=("martingale_single_feature_auc",)),
    Leak("signals that know the way", "martingale_gross_bps", patch=knows_the_way),
]
"""found by training where the right answer is known"""


@contextmanager
def in_place(leak: Leak, experiment: Experiment) -> Iterator[Experiment]:
    """The experiment with the leak in it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        leak.patch(monkeypatch)
        yield leak.plant(experiment)
