"""Fit every window with the model and with the baseline, or take finished ones from the store."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from botscalp.data.bars import prefix_digests
from botscalp.models import Model
from botscalp.options import described
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.progress import FitProgress, place
from botscalp.pipeline.window import FittedWindow, fit_window, window_seed
from botscalp.pipeline.window_store import WindowStore, window_key
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
    keep: Path,
) -> Iterator[dict[str, FittedWindow]]:
    """Yield the fits of each window by the models' names, oldest window first.

    Each fit goes to the store at once; the first model's are copied to `keep`, a folder a window.
    """
    store = WindowStore(experiment.job.store / "windows")
    test_ends_ns = [window.test.end_ns for window in windows]
    digests = zip(*(prefix_digests(bars, test_ends_ns) for bars in panel.bars), strict=True)
    epochs = sum(trainer.epochs for _, trainer in models.values())
    with FitProgress(epochs=len(windows) * epochs) as progress:
        for window, digest in zip(windows, digests, strict=True):
            fits: dict[str, FittedWindow] = {}
            for name, (model, trainer) in models.items():
                seed = window_seed(experiment.job.seed, panel.symbols, window)
                inputs = _inputs(experiment, panel, window, model=model, trainer=trainer, seed=seed, device=device)
                key = window_key({**inputs, "bars": digest})
                found = store.load(key) if experiment.job.resume else None
                if found is None:
                    title = f"{name} {place(window, of=len(windows))}"
                    samples = len(panel.labelled_rows(window.train))
                    progress.fit_started(title, epochs=trainer.epochs, samples=samples)
                    fitted = fit_window(
                        panel,
                        window,
                        model=model,
                        lags=experiment.features.lags,
                        trainer=trainer,
                        device=device,
                        calibration=experiment.calibration,
                        seed=seed,
                        on_epoch=progress.epoch_finished,
                    )
                    store.save(key, fitted, inputs)
                else:
                    fitted = found
                    logger.info("window %d: finished %s fit found in %s", window.index, name, store.folder(key))
                if not fits:
                    store.copy_model(key, keep / str(window.index))
                fits[name] = fitted
                progress.fit_finished(trainer.epochs, found=found is not None)
            yield fits


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
        "trainer": asdict(trainer) | {"device": device},
        "calibration": described(experiment.calibration),
        "seed": seed,
    }
