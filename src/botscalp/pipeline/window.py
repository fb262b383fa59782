"""Fit one window: scale, train, predict, calibrate. Whatever is fitted is fitted inside the window."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from botscalp.calibration import Calibration, Calibrator
from botscalp.errors import UserError
from botscalp.features.samples import Timeline
from botscalp.features.scaler import Scaler
from botscalp.features.symbols import with_symbols
from botscalp.models import Model
from botscalp.pipeline.panel import Panel
from botscalp.shortages import take_blas_memory
from botscalp.times import DAY_NS
from botscalp.training.examples import Examples
from botscalp.training.settings import Device, TrainerSettings
from botscalp.types import Float32, Float64, Int64
from botscalp.windows import Range, Window, drawn_days

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
class FittedModel:
    """What was learnt from the rows of some symbols: enough to predict new bars of them."""

    symbols: tuple[str, ...]
    weights: "dict[str, Tensor]"
    scaler: Scaler
    calibrator: Calibrator


@dataclass(frozen=True, kw_only=True)
class FittedWindow:
    """All that is kept of a window: enough to score it, and to predict new bars with it."""

    models: tuple[FittedModel, ...]
    """one of all symbols, or one a symbol"""
    train: Forecast
    """the last stretch of the training range, as long as the test"""
    calibration: Forecast
    """validation's second half; its p has seen its labels, its p_raw has not"""
    test: Forecast
    base_rate: float
    """share of "up" among the labels of the training range"""
    history: list[dict[str, float]]
    """train/loss, val/loss and val/auc of each epoch, one model after another"""
    n_train: int
    n_validation: int
    samples: int
    """labelled training rows times epochs"""
    fit_s: float
    steps_s: float
    """of fit_s, in optimiser steps: without validation passes"""
    predict_s: float
    device: str


def window_seed(seed: int, symbols: tuple[str, ...], window: Window) -> int:
    """The seed of a window: it depends on its own test start alone, not on which windows run beside it."""
    text = f"{seed}/{'/'.join(symbols)}/{window.test.start_ns}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def check_window(
    panel: Panel, window: Window, *, trainer: TrainerSettings, seed: int, calibration: Calibration, span_bars: int
) -> None:
    """Refuse, before anything is trained, a window that cannot be fitted.

    Raises:
        UserError: a range without both labels, or too few rows for the calibration.
    """
    for name in ("train", "stopping", "calibration", "test"):
        part: Range = getattr(window, name)
        rows = learnt_rows(panel, window, trainer, seed) if name == "train" else panel.labelled_rows(part)
        if len(np.unique(panel.label_N[rows])) < 2:
            raise UserError(
                "wfo",
                f"window {window.index}, {name} range {part}",
                "holds no labelled rows of both directions",
                "use longer ranges, more bars, or more trainer.days",
            )
    calibration.check_rows(len(panel.labelled_rows(window.calibration)), span_bars=span_bars)


def check_windows(
    panel: Panel,
    windows: Sequence[Window],
    *,
    trainer: TrainerSettings,
    job_seed: int,
    calibration: Calibration,
    span_bars: int,
) -> None:
    """`check_window` of every window, for each model that it fits."""
    for window in windows:
        seed = window_seed(job_seed, panel.symbols, window)
        for part in parts(panel, trainer):
            check_window(part, window, trainer=trainer, seed=seed, calibration=calibration, span_bars=span_bars)


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


def parts(panel: Panel, trainer: TrainerSettings) -> list[Panel]:
    """The rows of each model that a window fits: all of them, or those of one symbol after another."""
    if trainer.model_per == "all" or len(panel.bars) == 1:
        return [panel]
    return [_alone(panel, position) for position in range(len(panel.bars))]


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
    """Fit `model` on the window and predict its test range, for all symbols at once or one after another.

    A symbol's own model is, to the last bit, what a panel of that symbol alone would give.

    Raises:
        MemoryError: there is too little to begin with; see `take_blas_memory`.
    """
    take_blas_memory()
    own = parts(panel, trainer)
    fits = [
        _fitted(
            part,
            window,
            model=model,
            lags=lags,
            trainer=trainer,
            device=device,
            calibration=calibration,
            seed=seed,
            on_epoch=_share(on_epoch, number, of=len(own), epochs=trainer.epochs),
        )
        for number, part in enumerate(own)
    ]
    return fits[0] if len(fits) == 1 else _joined(fits)


def inputs_of(
    x_NF: Float32,
    symbol_N: Int64,
    symbols: Sequence[str],
    *,
    scaler: Scaler,
    trainer: TrainerSettings,
    inside: Sequence[slice] = (slice(None),),
) -> Float32:
    """What a forecaster reads: scaled features, and which symbol a row is of where several are told apart.

    Args:
        symbol_N: position of each row's symbol in `symbols`, those that the model learns from.
        inside: rows that may be read; others are NaN, so that whatever they touched would show.
    """
    scaled_NF = np.full_like(x_NF, np.nan)
    for rows in inside:
        scaled_NF[rows] = scaler.scaled(x_NF[rows])
    telling = trainer.symbol_features and len(symbols) > 1
    return with_symbols(scaled_NF, symbol_N, len(symbols)) if telling else scaled_NF


def _fitted(
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
    """One model of all the panel's symbols."""
    from botscalp.training.by_model import forecaster_of
    from botscalp.training.fit import run_up_bars

    train = learnt_rows(panel, window, trainer, seed)
    stopping = panel.labelled_rows(window.stopping)
    scaler = Scaler.fitted(panel.x_NF[train])
    run_up_ns = run_up_bars(lags, trainer) * panel.interval_ns
    inside = panel.slices(Range(window.train.start_ns - run_up_ns, window.test.end_ns))
    x_NF = inputs_of(panel.x_NF, panel.symbol_N, panel.symbols, scaler=scaler, trainer=trainer, inside=inside)
    forecaster = forecaster_of(model, n_features=x_NF.shape[1], lags=lags, settings=trainer, device=device, seed=seed)
    examples = Examples(
        x_NF=x_NF, label_N=panel.label_N, timeline=panel.timeline, train_rows=train, stopping_rows=stopping
    )
    report = forecaster.fit(examples, seed=seed, on_epoch=on_epoch)
    started = time.perf_counter()
    rows = [
        _end_of_train(panel, window, trainer, seed),
        *(panel.predictable_rows(part) for part in (window.calibration, window.test)),
    ]
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
        models=(
            FittedModel(symbols=panel.symbols, weights=forecaster.weights(), scaler=scaler, calibrator=calibrator),
        ),
        train=forecasts[0],
        calibration=forecasts[1],
        test=forecasts[2],
        base_rate=float(panel.label_N[train].mean()),
        history=report.history,
        n_train=len(train),
        n_validation=len(stopping) + int(labelled.sum()),
        samples=report.samples,
        fit_s=report.seconds,
        steps_s=report.steps_s,
        predict_s=time.perf_counter() - started,
        device=device,
    )


def learnt_rows(panel: Panel, window: Window, trainer: TrainerSettings, seed: int) -> Int64:
    """Labelled rows of the training range, or of the days drawn from it.

    Raises:
        UserError: the range has fewer whole days.
    """
    return _of_drawn_days(panel, panel.labelled_rows(window.train), window, trainer, seed)


def _of_drawn_days(panel: Panel, rows: Int64, window: Window, trainer: TrainerSettings, seed: int) -> Int64:
    if trainer.days is None:
        return rows
    return rows[np.isin(panel.open_time_ns[rows] // DAY_NS, drawn_days(window.train, trainer.days, seed))]


def _alone(panel: Panel, position: int) -> Panel:
    """One symbol's rows, as views; features look at one symbol alone, so nothing is computed again."""
    first, end = panel.first_row[position : position + 2]
    return replace(
        panel,
        bars=(panel.bars[position],),
        first_row=np.array([0, end - first]),
        open_time_ns=panel.open_time_ns[first:end],
        x_NF=panel.x_NF[first:end],
        label_N=panel.label_N[first:end],
        predictable_N=panel.predictable_N[first:end],
        timeline=Timeline(
            number_N=panel.timeline.number_N[first:end], stretch_N=panel.timeline.stretch_N[first:end] - first
        ),
    )


def _joined(fits: Sequence[FittedWindow]) -> FittedWindow:
    """The window of models that were fitted a symbol each, in the symbols' order."""
    n_train = [fit.n_train for fit in fits]
    return FittedWindow(
        models=tuple(model for fit in fits for model in fit.models),
        train=_one_after_another([fit.train for fit in fits]),
        calibration=_one_after_another([fit.calibration for fit in fits]),
        test=_one_after_another([fit.test for fit in fits]),
        base_rate=float(np.average([fit.base_rate for fit in fits], weights=n_train)),
        history=[epoch for fit in fits for epoch in fit.history],
        n_train=sum(n_train),
        n_validation=sum(fit.n_validation for fit in fits),
        samples=sum(fit.samples for fit in fits),
        fit_s=sum(fit.fit_s for fit in fits),
        steps_s=sum(fit.steps_s for fit in fits),
        predict_s=sum(fit.predict_s for fit in fits),
        device=fits[0].device,
    )


def _one_after_another(forecasts: Sequence[Forecast]) -> Forecast:
    """Of symbols by their position."""
    return Forecast(
        open_time_ns=np.concatenate([one.open_time_ns for one in forecasts]),
        symbol=np.repeat(np.arange(len(forecasts)), [len(one.p) for one in forecasts]),
        p_raw=np.concatenate([one.p_raw for one in forecasts]),
        p=np.concatenate([one.p for one in forecasts]),
    )


def _share(on_epoch: OnEpoch, number: int, *, of: int, epochs: int) -> OnEpoch:
    """Count the epochs of one of several models as so much of the window's."""
    return lambda epoch, metrics: on_epoch((number * epochs + epoch) // of, metrics)


def _end_of_train(panel: Panel, window: Window, trainer: TrainerSettings, seed: int) -> Int64:
    """As much as is tested: enough to compare with, and over the windows each bar comes about once. All of the drawn days."""
    if trainer.days is not None:
        return _of_drawn_days(panel, panel.predictable_rows(window.train), window, trainer, seed)
    length_ns = window.test.end_ns - window.test.start_ns
    start_ns = max(window.train.start_ns, window.train.end_ns - length_ns)
    return panel.predictable_rows(Range(start_ns, window.train.end_ns))
