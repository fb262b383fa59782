"""Scaler and weights come from train, the early stop from validation's first half, the calibrator from its second."""

from dataclasses import replace

import numpy as np
import pytest
from runs import bits, composed, quiet_libraries

from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.window import FittedWindow, fit_window
from botscalp.types import Bars, Int64
from botscalp.windows import Window

EXPERIMENT = composed("wfo.windows=1", "data.end=2023-02-08", "wfo.train=1w")


@pytest.fixture(scope="module")
def bars() -> Bars:
    (market,) = EXPERIMENT.data.load()
    return market


@pytest.fixture(scope="module")
def window(bars: Bars) -> Window:
    (one,) = EXPERIMENT.wfo.between(
        int(bars.open_time_ns[0]), int(bars.close_time_ns[-1]), interval_ns=bars.interval_ns, purge_ns=purge_ns(bars)
    )
    return one


@pytest.fixture(scope="module")
def original(bars: Bars, window: Window) -> FittedWindow:
    return fitted(bars, window)


def purge_ns(bars: Bars) -> int:
    return EXPERIMENT.label.span_bars * bars.interval_ns


def fitted(bars: Bars, window: Window) -> FittedWindow:
    panel = build_panel((bars,), features=EXPERIMENT.features, label=EXPERIMENT.label, seed=0)
    with quiet_libraries():
        return fit_window(
            panel,
            window,
            model=EXPERIMENT.model,
            lags=EXPERIMENT.features.lags,
            trainer=EXPERIMENT.trainer,
            device="cpu",
            calibration=EXPERIMENT.calibration,
            seed=0,
            on_epoch=lambda epoch, metrics: None,
        )


def jolted(bars: Bars, rows: Int64) -> Bars:
    """The bars with those rows a tenth dearer, and with a third more volume, all of it sold by takers."""
    dearer, fuller = np.ones(len(bars)), np.ones(len(bars))
    dearer[rows], fuller[rows] = 1.1, 4 / 3
    prices = {name: getattr(bars, name) * dearer for name in ("open", "high", "low", "close")}
    return replace(bars, **prices, volume=bars.volume * fuller)


def rows_from(bars: Bars, time_ns: int, count: int | None = None) -> Int64:
    rows = np.flatnonzero(bars.open_time_ns >= time_ns)
    return rows if count is None else rows[:count]


def same_weights(a: FittedWindow, b: FittedWindow) -> bool:
    (mine,), (its,) = a.models, b.models
    return all(bits(mine.weights[name].numpy()) == bits(its.weights[name].numpy()) for name in mine.weights)


def scales(fit: FittedWindow) -> list[list[float]]:
    return list(fit.models[0].scaler.as_dict().values())


def same_scaler(a: FittedWindow, b: FittedWindow) -> bool:
    return scales(a) == scales(b)


def same_calibrator(a: FittedWindow, b: FittedWindow) -> bool:
    return a.models[0].calibrator.as_dict() == b.models[0].calibrator.as_dict()


@pytest.mark.parametrize("count", [1, None], ids=["one-bar", "all-bars"])
def test_no_bar_from_the_test_start_on_is_fitted(
    bars: Bars, window: Window, original: FittedWindow, count: int | None
) -> None:
    changed = fitted(jolted(bars, rows_from(bars, window.test.start_ns, count)), window)
    assert same_weights(changed, original) and same_scaler(changed, original) and same_calibrator(changed, original)
    assert bits(changed.calibration.p_raw) == bits(original.calibration.p_raw)
    assert changed.history == original.history and changed.base_rate == original.base_rate
    assert bits(changed.test.p_raw) != bits(original.test.p_raw), "the bars did change"


def test_bars_of_the_calibration_half_reach_the_calibrator_alone(
    bars: Bars, window: Window, original: FittedWindow
) -> None:
    changed = fitted(jolted(bars, rows_from(bars, window.calibration.start_ns, 200)), window)
    assert same_weights(changed, original) and same_scaler(changed, original)
    assert not same_calibrator(changed, original)


def test_bars_of_the_stopping_half_reach_neither_scaler_nor_the_loss_of_training(
    bars: Bars, window: Window, original: FittedWindow
) -> None:
    changed = fitted(jolted(bars, rows_from(bars, window.stopping.start_ns, 200)), window)
    assert same_scaler(changed, original) and changed.base_rate == original.base_rate
    train, validation = ([epoch[f"{name}/loss"] for epoch in changed.history] for name in ("train", "val"))
    assert train == [epoch["train/loss"] for epoch in original.history]
    assert validation != [epoch["val/loss"] for epoch in original.history]


def test_the_last_bar_that_a_training_label_looks_at_is_the_last_before_validation(
    bars: Bars, window: Window, original: FittedWindow
) -> None:
    last = rows_from(bars, window.train.end_ns - bars.interval_ns, 1) + EXPERIMENT.label.span_bars
    assert bars.open_time_ns[last[0]] == window.stopping.start_ns - bars.interval_ns
    changed = fitted(jolted(bars, last), window)
    assert same_scaler(changed, original), "its features belong to no training row"
    assert not same_weights(changed, original), "its close is in a training row's label"


def test_a_bar_of_train_reaches_scaler_and_weights(bars: Bars, window: Window, original: FittedWindow) -> None:
    changed = fitted(jolted(bars, rows_from(bars, window.train.start_ns + 1000 * bars.interval_ns, 1)), window)
    assert not same_scaler(changed, original) and not same_weights(changed, original)


def test_bars_before_train_reach_it_through_the_lookback_alone(
    bars: Bars, window: Window, original: FittedWindow
) -> None:
    """What is older than lookback and lags weighs less than 1e-6 in any feature, and no row of it trains."""
    early = np.arange(10)
    assert window.train.start_ns > bars.open_time_ns[0] + 10 * 288 * bars.interval_ns
    changed = fitted(jolted(bars, early), window)
    for ours, theirs in zip(scales(changed), scales(original), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-6, atol=1e-9)
