"""Fit one window: scale, train, predict, calibrate. Whatever is fitted is fitted inside the window."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from botscalp.calibration import Calibration, Calibrator
from botscalp.errors import UserError
from botscalp.features.scaler import Scaler
from botscalp.models import Model
from botscalp.pipeline.panel import Panel
from botscalp.training.settings import Device, TrainerSettings
from botscalp.types import Float64, Int64
from botscalp.windows import Range, Window

if TYPE_CHECKING:
    from torch import Tensor

OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Probabilities of "up" for the predictable rows of one range; all of shape (n,)."""

    open_time_ns: Int64
    symbol: Int64
    """position in the panel's bars"""
    p_raw: Float64
    p: Float64
    """calibrated"""


@dataclass(frozen=True, kw_only=True)
class FittedWindow:
    """All that is kept of a window: enough to score it, and to predict new bars with it."""

    weights: "dict[str, Tensor]"
    scaler: Scaler
    calibrator: Calibrator
    train: Forecast
    """the last stretch of the training range, as long as the test"""
    calibration: Forecast
    """validation's second half; its p has seen its labels, its p_raw has not"""
    test: Forecast
    base_rate: float
    """share of "up" among the labels of the training range"""
    history: list[dict[str, float]]
    """train/loss, val/loss and val/auc of each epoch"""
    n_train: int
    n_validation: int
    samples: int
    """labelled training rows times epochs"""
    fit_s: float
    predict_s: float
    device: str


def window_seed(seed: int, symbols: tuple[str, ...], window: Window) -> int:
    """The seed of a window: it depends on its own test start alone, not on which windows run beside it."""
    text = f"{seed}/{'/'.join(symbols)}/{window.test.start_ns}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def check_window(panel: Panel, window: Window, *, calibration: Calibration, span_bars: int) -> None:
    """Refuse, before anything is trained, a window that cannot be fitted.

    Raises:
        UserError: a range without both labels, or too few rows for the calibration.
    """
    for name in ("train", "stopping", "calibration", "test"):
        part: Range = getattr(window, name)
        if len(np.unique(panel.label_N[panel.labelled_rows(part)])) < 2:
            raise UserError(
                "wfo",
                f"window {window.index}, {name} range {part}",
                "holds no labelled rows of both directions",
                "use longer ranges or more bars",
            )
    calibration.check_rows(len(panel.labelled_rows(window.calibration)), span_bars=span_bars)


def check_joined(windows: Sequence[Window]) -> None:
    """Refuse tests with time between them: its days would count as days on which the model chose not to trade.

    Raises:
        UserError: a test ends before the next one starts.
    """
    for one, following in pairwise(windows):
        if one.test.end_ns < following.test.start_ns:
            raise UserError(
                "wfo.step",
                f"tests {one.test} and {following.test}",
                "nothing tests the days between, and they would count as days without trades",
                "take wfo.step no longer than wfo.test",
            )


def fit_window(
    panel: Panel,
    window: Window,
    *,
    model: Model,
    lags: int,
    trainer: TrainerSettings,
    device: Device,
    calibration: Calibration,
    seed: int,
    on_epoch: OnEpoch,
) -> FittedWindow:
    """Fit `model` on the window and predict its test range."""
    from botscalp.training.forecasters import forecaster_of

    train = panel.labelled_rows(window.train)
    stopping = panel.labelled_rows(window.stopping)
    scaler = Scaler.fitted(panel.x_NF[train])
    x_NF = scaler.scaled(panel.x_NF)
    forecaster = forecaster_of(model, n_features=x_NF.shape[1], lags=lags, settings=trainer, device=device, seed=seed)
    report = forecaster.fit(
        x_NF=x_NF,
        label_N=panel.label_N,
        timeline=panel.timeline,
        train_rows=train,
        stopping_rows=stopping,
        seed=seed,
        on_epoch=on_epoch,
    )
    started = time.perf_counter()
    rows = [panel.predictable_rows(part) for part in (_end_of_train(window), window.calibration, window.test)]
    p_raw = [forecaster.predict(x_NF=x_NF, timeline=panel.timeline, rows=part) for part in rows]
    label = panel.label_N[rows[1]]
    labelled = ~np.isnan(label)
    calibrator = calibration.fitted(p_raw[1][labelled], label[labelled])
    forecasts = [
        Forecast(
            open_time_ns=panel.open_time_ns[part], symbol=panel.symbol_N[part], p_raw=p, p=calibrator.calibrated(p)
        )
        for part, p in zip(rows, p_raw, strict=True)
    ]
    return FittedWindow(
        weights=forecaster.weights(),
        scaler=scaler,
        calibrator=calibrator,
        train=forecasts[0],
        calibration=forecasts[1],
        test=forecasts[2],
        base_rate=float(panel.label_N[train].mean()),
        history=report.history,
        n_train=len(train),
        n_validation=len(stopping) + int(labelled.sum()),
        samples=report.samples,
        fit_s=report.seconds,
        predict_s=time.perf_counter() - started,
        device=device,
    )


def _end_of_train(window: Window) -> Range:
    """As much as is tested: enough to compare with, and over the windows each bar comes about once."""
    length_ns = window.test.end_ns - window.test.start_ns
    return Range(max(window.train.start_ns, window.train.end_ns - length_ns), window.train.end_ns)
