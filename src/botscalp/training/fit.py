"""Fit a head on one window, and predict with it.

On a CPU one thread does the work: a second one adds nothing to networks of this size, and the same
number of threads everywhere is what makes predictions identical to the last bit.
"""

import copy
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from botscalp.errors import UserError
from botscalp.features.samples import Timeline
from botscalp.last_words import answer_kept
from botscalp.training.chunks import Chunks, StoppingBatches, TrainingBatches, with_lags, with_warm_up
from botscalp.training.examples import Examples
from botscalp.training.module import DirectionModule, steps_of
from botscalp.training.settings import Device, TrainerSettings
from botscalp.types import Float32, Float64, Int64

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # row numbers need no workers
warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of a deprecated torch name

STRETCH_BARS = 256
"""bars asked for in a stretch, in prediction"""

OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass
class FitReport:
    """What a fit did: one entry of `history` an epoch, of train/loss, val/loss and val/auc."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    samples: int = 0
    """labelled rows times epochs"""
    seconds: float = 0.0
    """validation passes included"""
    steps_s: float = 0.0
    """of them, up to the validation of each epoch: batches, passes forward and back, optimiser steps"""


class BestEpoch(Callback):
    """Remembers the weights of the epoch with the lowest stopping loss, and reports each epoch."""

    def __init__(self, report: FitReport, on_epoch: OnEpoch) -> None:
        self.report = report
        self.on_epoch = on_epoch
        self.weights: dict[str, torch.Tensor] | None = None
        self.lowest = float("inf")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.report.history.append(metrics)
        if metrics["val/loss"] < self.lowest:
            self.lowest = metrics["val/loss"]
            self.report.best_epoch = trainer.current_epoch
            self.weights = copy.deepcopy(module.head.state_dict())  # type: ignore[union-attr]
        self.on_epoch(trainer.current_epoch + 1, metrics)


class StepsClock(Callback):
    """Measures what epochs take up to their validation."""

    def __init__(self, report: FitReport) -> None:
        self.report = report
        self.started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)  # the steps were handed over, and may not have run yet
        self.report.steps_s += time.perf_counter() - self.started


def fit_head(
    head: nn.Module,
    examples: Examples,
    *,
    lags: int,
    settings: TrainerSettings,
    device: Device,
    seed: int,
    on_epoch: OnEpoch = lambda epoch, metrics: None,
) -> FitReport:
    """Train `head` in place; it ends with the weights of its best epoch on the stopping rows.

    Args:
        lags: bars that a sample holds.
        seed: of chunks, their order, and dropout.
        on_epoch: called with the number of finished epochs and their metrics.

    Raises:
        UserError: the stopping loss was never finite.
    """
    report = FitReport()
    best = BestEpoch(report, on_epoch)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    length, batch = (1, settings.batch) if settings.sampling == "samples" else (settings.chunk, settings.chunks)
    stopping = prediction_chunks(examples.stopping_rows, examples.timeline, lags=lags, settings=settings)
    module = DirectionModule(
        head,
        x_NF=torch.from_numpy(examples.x_NF),
        label_N=torch.from_numpy(examples.label_N),
        steps=lags - 1 + length,
        stopping=stopping,
        label_R=torch.from_numpy(examples.label_N[examples.stopping_rows]),
        lr=settings.lr,
        compiled=settings.compile,
    )
    trainer = Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision=settings.precision,
        max_epochs=settings.epochs,
        callbacks=[StepsClock(report), best, EarlyStopping("val/loss", patience=settings.patience, mode="min")],
        deterministic="warn" if device == "cuda" else True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    started = time.perf_counter()
    with answer_kept():
        trainer.fit(
            module,
            train_dataloaders=TrainingBatches(
                examples.train_rows, lags=lags, length=length, batch=batch, seed=seed, device=device
            ),
            val_dataloaders=StoppingBatches(
                torch.from_numpy(stopping.span_C2).to(device), _predicted_at_once(settings)
            ),
        )
    report.seconds = time.perf_counter() - started
    report.samples = len(examples.train_rows) * len(report.history)
    if best.weights is None:
        raise UserError(
            "trainer.lr",
            settings.lr,
            "the loss on the stopping rows was never a finite number",
            "use a smaller learning rate, e.g. trainer.lr=1e-4",
        )
    head.load_state_dict(best.weights)
    head.to("cpu")
    return report


def run_up_bars(lags: int, settings: TrainerSettings) -> int:
    """How many bars before a row its logit may be read from, in training and in prediction."""
    return STRETCH_BARS + max(lags, settings.warmup_bars)


def prediction_chunks(rows_R: Int64, timeline: Timeline, *, lags: int, settings: TrainerSettings) -> Chunks:
    """The chunks in which rows are predicted: as the head was trained, sample by sample or in stretches."""
    if settings.sampling == "samples":
        return with_lags(rows_R, lags=lags, length=1, first=1)
    return with_warm_up(rows_R, timeline, warm_up=max(lags - 1, settings.warmup_bars), length=STRETCH_BARS)


@torch.inference_mode()
def predict_head(
    head: nn.Module,
    *,
    x_NF: Float32,
    timeline: Timeline,
    rows: Int64,
    lags: int,
    settings: TrainerSettings,
    device: Device,
) -> Float64:
    """Probability of "up" at `rows`, increasing; float64 of shape (len(rows),).

    Every batch is full, the last one by repeating a chunk: with one shape of arithmetic, a row's probability does not
    depend, to the last bit, on which other rows are predicted with it.
    """
    if not len(rows):
        return np.empty(0)
    torch.set_num_threads(1)
    chunks = prediction_chunks(rows, timeline, lags=lags, settings=settings)
    batch = _predicted_at_once(settings)
    span_C2 = chunks.span_C2
    filling = np.repeat(span_C2[-1:], -len(span_C2) % batch, axis=0)
    span_there_C2 = torch.from_numpy(np.concatenate([span_C2, filling])).to(device)
    head.eval().to(device)
    x_NF_there = torch.from_numpy(x_NF).to(device)
    logits = [
        head(x_NF_there[steps_of(span_B2, chunks.steps)], last=chunks.last)
        for span_B2 in torch.split(span_there_C2, batch)
    ]
    head.to("cpu")
    # Of the whole array: the last few values of a shorter one go another way, to other last bits.
    p_CK = torch.cat(logits).double().cpu().sigmoid()
    return p_CK[chunks.chunk_R, chunks.step_R].numpy()


def _predicted_at_once(settings: TrainerSettings) -> int:
    """Chunks of a batch."""
    return 1024 if settings.sampling == "samples" else 16
