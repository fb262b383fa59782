"""Fit every window with the model and with the baseline, or take finished ones from the store."""

import logging
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from botscalp.calibration import Calibration
from botscalp.data.bars import prefix_digests
from botscalp.errors import UserError
from botscalp.models import Model
from botscalp.options import described
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.progress import FitProgress, place
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.window import FittedWindow, fit_window, learnt_rows, window_seed
from botscalp.pipeline.window_store import WindowStore, window_key
from botscalp.pipeline.workers import Say, Start, done_in_order
from botscalp.training.settings import Device, TrainerSettings
from botscalp.windows import Window

logger = logging.getLogger(__name__)


def fit_windows(
    experiment: Experiment,
    panel: Panel,
    windows: Sequence[Window],
    *,
    models: Mapping[str, tuple[Model, TrainerSettings]],
    device: Device,
    keep: Path | None,
    watch: Stopwatch,
    shown: bool = True,
    at_epoch: Callable[[], None] = lambda: None,
) -> Generator[dict[str, FittedWindow], None, None]:
    """Yield the fits of each window by the models' names, oldest window first, however many are fitted at once.

    Each fit goes to the store as soon as it is done, and is taken from there; the first model's are copied to `keep`, where
    there is one, a folder a window. What was fitted now, and not found, adds its optimiser steps to the watch's stage
    "steps", and their share of the time to "steps side by side".

    Args:
        shown: whether bars tell how far it has come, where somebody watches.
        at_epoch: called after each; what it raises ends the fits.
    """
    store, workers = WindowStore(experiment.job.store / "windows"), experiment.trainer.window_workers
    fits = _fits(experiment, panel, windows, models=models, device=device)
    missing = [fit for fit in fits if not (experiment.job.resume and store.holds(fit.key))]
    at_once = min(workers, max(len(missing), 1))
    fitting = Fitting(
        panel=panel,
        fits=missing,
        lags=experiment.features.lags,
        calibration=experiment.calibration,
        device=device,
        share=1 / at_once,
        store=store,
    )
    titles, to_make = [fit.title for fit in missing], {fit.key for fit in missing}
    progress = FitProgress(epochs=sum(fit.trainer.epochs for fit in fits), shown=shown)
    listener = _Shown(fitting, progress, at_once=at_once, at_epoch=at_epoch)
    # Workers start before the bars do: those have a thread, and a lock that no copy of it would ever give back.
    with done_in_order(fitting, titles, listener, workers=workers, start=_start()) as done, progress:
        for index, of_window in groupby(fits, key=lambda fit: fit.window.index):
            fitted: dict[str, FittedWindow] = {}
            for fit in of_window:
                made = fit.key in to_make
                if made:
                    next(done)
                found = store.load(fit.key)
                assert found is not None, "it was made, or seen there"
                if made:
                    watch.add("steps", found.steps_s)
                    watch.add("steps side by side", found.steps_s / at_once)
                else:
                    logger.info("window %d: finished %s fit found in %s", index, fit.name, store.folder(fit.key))
                    progress.fit_finished(fit.trainer.epochs, found=True)
                if not fitted and keep is not None:
                    store.copy_model(fit.key, keep / str(index))
                fitted[fit.name] = found
            yield fitted


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model that is to be fitted on a window, unless the store has it under its key."""

    window: Window
    name: str
    model: Model
    trainer: TrainerSettings
    seed: int
    inputs: Mapping[str, Any]
    key: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The work of one process or of several: fit number so and so, and put it into the store."""

    panel: Panel
    fits: Sequence[Fit]
    lags: int
    calibration: Calibration
    device: Device
    share: float
    """of a GPU's memory that one process may take"""
    store: WindowStore

    def __call__(self, number: int, say: Say) -> None:
        fit = self.fits[number]
        with _share_of_gpu(self.share if self.device == "cuda" else 1.0):
            fitted = fit_window(
                self.panel,
                fit.window,
                model=fit.model,
                lags=self.lags,
                trainer=fit.trainer,
                device=self.device,
                calibration=self.calibration,
                seed=fit.seed,
                on_epoch=say,
            )
        self.store.save(fit.key, fitted, fit.inputs)


@contextmanager
def _share_of_gpu(share: float) -> Iterator[None]:
    """Leave the rest of the GPU's memory to the other workers.

    Raises:
        UserError: the share is too small.
    """
    if share == 1:
        yield
        return
    import torch

    torch.cuda.set_per_process_memory_fraction(share)
    try:
        yield
    except torch.OutOfMemoryError as error:
        problem, remedy = f"a fit needs more than its share of the GPU's memory: {error}", "use fewer of them"
        raise UserError("trainer.window_workers", round(1 / share), problem, remedy) from error


class _Shown:
    """Moves the bars: both where one fit runs at a time, the one over all fits where several do."""

    def __init__(self, fitting: Fitting, progress: FitProgress, *, at_once: int, at_epoch: Callable[[], None]) -> None:
        self.fitting, self.progress, self.at_once, self.at_epoch = fitting, progress, at_once, at_epoch
        self.epochs: dict[int, int] = {}
        """of the fits that run"""

    def started(self, number: int) -> None:
        self.epochs[number] = 0
        if self.at_once == 1:
            fit = self.fitting.fits[number]
            samples = len(learnt_rows(self.fitting.panel, fit.window, fit.trainer, fit.seed))
            self.progress.fit_started(fit.title, epochs=fit.trainer.epochs, samples=samples)

    def said(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epochs[number] = epoch
        self.at_epoch()
        if self.at_once == 1:
            self.progress.epoch_finished(epoch, metrics)
        else:
            self.progress.several_advanced(sum(self.epochs.values()))

    def finished(self, number: int) -> None:
        del self.epochs[number]
        self.progress.fit_finished(self.fitting.fits[number].trainer.epochs)
        if self.at_once > 1:
            self.progress.several_advanced(sum(self.epochs.values()))


def _start() -> Start:
    """How workers begin: where there is a GPU, torch's autograd has threads that no forked process would have."""
    import torch

    return "fork" if sys.platform == "linux" and not torch.cuda.is_available() else "spawn"


def _fits(
    experiment: Experiment,
    panel: Panel,
    windows: Sequence[Window],
    *,
    models: Mapping[str, tuple[Model, TrainerSettings]],
    device: Device,
) -> list[Fit]:
    """The fits of all windows, model after model within each."""
    test_ends_ns = [window.test.end_ns for window in windows]
    digests = zip(*(prefix_digests(bars, test_ends_ns) for bars in panel.bars), strict=True)
    fits = []
    for window, digest in zip(windows, digests, strict=True):
        seed = window_seed(experiment.job.seed, panel.symbols, window)
        for name, (model, trainer) in models.items():
            inputs = _inputs(experiment, panel, window, model=model, trainer=trainer, seed=seed, device=device)
            fits.append(
                Fit(
                    window=window,
                    name=name,
                    model=model,
                    trainer=trainer,
                    seed=seed,
                    inputs=inputs,
                    key=window_key({**inputs, "bars": digest}),
                    title=f"{name} {place(window, of=len(windows))}",
                )
            )
    return fits


def _inputs(
    experiment: Experiment,
    panel: Panel,
    window: Window,
    *,
    model: Model,
    trainer: TrainerSettings,
    seed: int,
    device: Device,
) -> dict[str, Any]:
    """What a fit depends on besides bars and code, as JSON values: its key, and how `predict` builds it again."""
    return {
        "symbols": panel.symbols,
        "interval_ns": panel.interval_ns,
        "window": {name: part.iso() for name, part in vars(window).items() if name != "index"},
        "features": described(experiment.features),
        "label": described(experiment.label),
        "model": described(model),
        "trainer": asdict(replace(trainer, device=device, window_workers=1)),  # however many there are
        "calibration": described(experiment.calibration),
        "seed": seed,
    }
