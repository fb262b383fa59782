"""Fitting a head: it learns, it keeps its best epoch, it stops in time; predicting with it, to the last bit."""

import ctypes
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import bits, quiet_libraries
from torch import nn

from botscalp.errors import UserError
from botscalp.features.samples import Timeline
from botscalp.models.gru import GRU
from botscalp.models.linear import Linear
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, fit_head, predict_head
from botscalp.training.module import DirectionModule
from botscalp.training.settings import BASELINE, TrainerSettings
from botscalp.types import Float32, Int64

SEQUENCES = replace(BASELINE, chunk=16, warmup_bars=32, epochs=8, batch=128, lr=0.02, device="cpu")
SAMPLES = replace(SEQUENCES, sampling="samples")
BOTH = pytest.mark.parametrize("settings", [SAMPLES, SEQUENCES], ids=["samples", "sequences"])
LAGS, FEATURES, ROWS = 5, 3, 4_000
TIMELINE = Timeline(number_N=np.arange(ROWS) + 1_000, stretch_N=np.zeros(ROWS, np.int64))
TRAIN, STOPPING = np.arange(LAGS - 1, 3_000), np.arange(3_000, ROWS)


@pytest.fixture(name="x_NF")
def features() -> Float32:
    return np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)


def gru(hidden: int = 8, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return GRU(hidden=hidden, layers=1, dropout=dropout).head(n_features=FEATURES, lags=LAGS)


def linear() -> nn.Module:
    return Linear().head(n_features=FEATURES, lags=LAGS)


def rises_with(signal_N: Float32) -> Float32:
    """Labels that a logistic draw of 3 x signal gives."""
    rng = np.random.default_rng(1)
    return (rng.uniform(size=len(signal_N)) < 1 / (1 + np.exp(-3 * signal_N))).astype(np.float32)


def fit(
    head: nn.Module, x_NF: Float32, label_N: Float32, settings: TrainerSettings = SEQUENCES, seed: int = 0
) -> FitReport:
    with quiet_libraries():
        return fit_head(
            head,
            Examples(x_NF=x_NF, label_N=label_N, timeline=TIMELINE, train_rows=TRAIN, stopping_rows=STOPPING),
            lags=LAGS,
            settings=settings,
            device="cpu",
            seed=seed,
        )


def predicted(head: nn.Module, x_NF: Float32, rows: Int64, settings: TrainerSettings = SEQUENCES) -> np.ndarray:
    return predict_head(head, x_NF=x_NF, timeline=TIMELINE, rows=rows, lags=LAGS, settings=settings, device="cpu")


def cross_entropy(head: nn.Module, x_NF: Float32, label_N: Float32) -> float:
    """On the stopping rows, in float64."""
    p, label = predicted(head, x_NF, STOPPING), label_N[STOPPING]
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))


def test_the_answer_to_an_abort_is_the_same_after_a_fit(x_NF: Float32) -> None:
    """Lightning sets all signals anew, and knows nothing of what C has set; getpid stands for any function of C."""
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    answer = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    before = libc.signal(signal.SIGABRT, ctypes.c_void_p(answer))
    fit(linear(), x_NF, rises_with(x_NF[:, 0]), replace(SEQUENCES, epochs=1))
    assert libc.signal(signal.SIGABRT, ctypes.c_void_p(before)) == answer


@BOTH
@pytest.mark.parametrize("make", [gru, linear])
def test_the_loss_falls_on_what_can_be_learnt(make: type, settings: TrainerSettings, x_NF: Float32) -> None:
    label_N = rises_with(x_NF[:, 0])
    report = fit(make(), x_NF, label_N, settings)
    train = [epoch["train/loss"] for epoch in report.history]
    assert train[-1] < 0.9 * train[0] and train[0] < np.log(2)
    # The best possible AUC of this law is 0.88.
    assert report.history[report.best_epoch]["val/auc"] > 0.85


def test_nothing_is_learnt_where_there_is_nothing(x_NF: Float32) -> None:
    label_N = np.random.default_rng(2).integers(0, 2, ROWS).astype(np.float32)
    report = fit(gru(), x_NF, label_N)
    assert abs(report.history[report.best_epoch]["val/auc"] - 0.5) < 0.07


def test_memory_tells_the_recurrent_head_what_the_last_bar_does_not(x_NF: Float32) -> None:
    """The label follows the oldest bar of the sample: out of reach for the baseline, which reads the last one."""
    label_N = np.append(np.zeros(LAGS - 1, np.float32), rises_with(x_NF[: -LAGS + 1, 0]))
    assert abs(fit(linear(), x_NF, label_N).history[-1]["val/auc"] - 0.5) < 0.07
    report = fit(gru(16), x_NF, label_N, replace(SEQUENCES, epochs=12, patience=12))
    assert report.history[-1]["val/auc"] > 0.8


def test_seconds_of_optimiser_steps_leave_validation_out(x_NF: Float32, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation that takes a tenth of a second more, in each of three epochs."""
    step = DirectionModule.validation_step

    def slow(module: DirectionModule, first_B: torch.Tensor, number: int) -> None:
        time.sleep(0.1 if number == 0 else 0)
        step(module, first_B, number)

    monkeypatch.setattr(DirectionModule, "validation_step", slow)
    report = fit(linear(), x_NF, rises_with(x_NF[:, 0]), replace(SEQUENCES, epochs=3, patience=3))
    assert 0 < report.steps_s < report.seconds - 0.3


@pytest.mark.parametrize("patience", [1, 3])
def test_it_ends_after_that_many_epochs_without_a_better_loss(patience: int, x_NF: Float32) -> None:
    """Labels reversed on the stopping rows: the first epoch is the best, each later one is worse."""
    label_N = rises_with(x_NF[:, 0])
    label_N[STOPPING] = 1 - label_N[STOPPING]
    report = fit(gru(), x_NF, label_N, replace(SEQUENCES, patience=patience))
    losses = [epoch["val/loss"] for epoch in report.history]
    assert report.best_epoch == 0 and len(losses) == 1 + patience and min(losses) == losses[0]


def test_the_best_epoch_is_kept_not_the_last(x_NF: Float32) -> None:
    label_N = rises_with(x_NF[:, 0])
    label_N[STOPPING] = 1 - label_N[STOPPING]
    head, once = gru(), gru()
    report = fit(head, x_NF, label_N, replace(SEQUENCES, patience=3))
    assert cross_entropy(head, x_NF, label_N) == pytest.approx(report.history[0]["val/loss"], rel=1e-5)
    assert report.history[-1]["val/loss"] > 1.2 * report.history[0]["val/loss"]
    fit(once, x_NF, label_N, replace(SEQUENCES, epochs=1))
    for name, weight in head.state_dict().items():
        assert torch.equal(weight, once.state_dict()[name]), "to the last bit what one epoch alone gives"


def test_the_report_counts_what_was_done(x_NF: Float32) -> None:
    seen: list[tuple[int, float]] = []
    with quiet_libraries():
        report = fit_head(
            gru(),
            Examples(
                x_NF=x_NF, label_N=rises_with(x_NF[:, 0]), timeline=TIMELINE, train_rows=TRAIN, stopping_rows=STOPPING
            ),
            lags=LAGS,
            settings=replace(SEQUENCES, epochs=3),
            device="cpu",
            seed=0,
            on_epoch=lambda epoch, metrics: seen.append((epoch, metrics["val/loss"])),
        )
    assert seen == [(epoch + 1, report.history[epoch]["val/loss"]) for epoch in range(3)]
    assert report.samples == 3 * len(TRAIN) and report.seconds > 0
    assert all(epoch.keys() == {"train/loss", "val/loss", "val/auc"} for epoch in report.history)


class NeverFinite(nn.Module):
    """Logits that turn into NaN after so many optimiser steps."""

    def __init__(self, finite_steps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.steps, self.finite_steps = 0, finite_steps

    def forward(self, x_BSF: torch.Tensor, last: int = 1) -> torch.Tensor:
        self.steps += self.training
        return x_BSF[:, -last:, 0] * self.weight + (0.0 if self.steps <= self.finite_steps else torch.nan)


def test_a_loss_that_is_never_finite_is_the_learning_rate_s_fault(x_NF: Float32) -> None:
    with pytest.raises(UserError, match=r"trainer\.lr=0\.02") as error:
        fit(NeverFinite(0), x_NF, rises_with(x_NF[:, 0]))
    assert "smaller" in error.value.remedy


def test_a_learning_rate_beyond_measure_ends_with_that_message_or_finite_weights(x_NF: Float32) -> None:
    head = gru()
    try:
        fit(head, x_NF, rises_with(x_NF[:, 0]), replace(SEQUENCES, lr=1e30, epochs=2))
    except UserError as error:
        assert error.key == "trainer.lr"
    else:
        assert np.isfinite(predicted(head, x_NF, STOPPING)).all()


def test_a_loss_that_turns_into_nan_ends_the_fit_with_what_was_best(x_NF: Float32) -> None:
    head = NeverFinite(2 * -(-len(TRAIN) // SAMPLES.batch))
    report = fit(head, x_NF, rises_with(x_NF[:, 0]), SAMPLES)
    assert len(report.history) == 3 and report.best_epoch in (0, 1)
    assert torch.isfinite(head.weight).all()


def test_the_fit_follows_from_its_seed_alone(x_NF: Float32) -> None:
    label_N = rises_with(x_NF[:, 0])
    heads = []
    for noise, seed in ((1, 5), (2, 5), (1, 6)):
        heads.append(head := gru(dropout=0.2))
        torch.manual_seed(noise)  # whatever state the caller left
        torch.rand(noise)
        fit(head, x_NF, label_N, replace(SEQUENCES, epochs=2), seed=seed)
    weights = [bits(head.state_dict()["output.weight"].numpy()) for head in heads]
    assert weights[0] == weights[1] != weights[2]


def test_labels_outside_the_given_rows_are_never_asked_for(x_NF: Float32) -> None:
    label_N = rises_with(x_NF[:, 0])
    hidden, open_ = label_N.copy(), label_N.copy()
    unused = np.setdiff1d(np.arange(ROWS), np.concatenate([TRAIN, STOPPING]))
    hidden[unused] = np.nan
    heads = gru(), gru()
    for head, labels in zip(heads, (hidden, open_), strict=True):
        fit(head, x_NF, labels, replace(SEQUENCES, epochs=1))
    assert bits(predicted(heads[0], x_NF, STOPPING)) == bits(predicted(heads[1], x_NF, STOPPING))


def test_half_precision_trains_on_a_cpu(x_NF: Float32) -> None:
    label_N = rises_with(x_NF[:, 0])
    head = gru()
    report = fit(head, x_NF, label_N, replace(SEQUENCES, precision="bf16-mixed"))
    assert report.history[report.best_epoch]["val/auc"] > 0.85
    assert {weight.dtype for weight in head.state_dict().values()} == {torch.float32}
    exact = gru()
    fit(exact, x_NF, label_N)
    assert bits(predicted(head, x_NF, STOPPING)) != bits(predicted(exact, x_NF, STOPPING)), "it was another arithmetic"


@BOTH
@pytest.mark.parametrize("make", [gru, lambda: gru(64), linear], ids=["gru", "gru-64", "linear"])
def test_a_prediction_does_not_depend_on_its_companions(make: type, settings: TrainerSettings, x_NF: Float32) -> None:
    head = make()
    with torch.no_grad():
        for weight in head.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    rows = np.arange(LAGS - 1, ROWS)
    whole = predicted(head, x_NF, rows, settings)
    assert whole.dtype == np.float64 and ((whole > 0) & (whole < 1)).all() and len(np.unique(whole)) > 3_900
    rng = np.random.default_rng(4)
    for size in (1, 2, 7, 31, 1_023, 1_024, 1_025, 3_000):
        some = np.sort(rng.choice(len(rows), size, replace=False))
        assert bits(predicted(head, x_NF, rows[some], settings)) == bits(whole[some]), size
    assert predicted(head, x_NF, rows[:0]).shape == (0,)


def test_prediction_leaves_dropout_out(x_NF: Float32) -> None:
    head = gru(dropout=0.5)
    head.train()
    assert bits(predicted(head, x_NF, STOPPING)) == bits(predicted(head, x_NF, STOPPING))


def test_a_device_that_is_absent_is_refused_and_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"trainer\.device=cuda") as error:
        replace(SEQUENCES, device="cuda").resolved_device()
    assert "trainer.device=auto" in error.value.remedy
    assert replace(SEQUENCES, device="auto").resolved_device() == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [replace(SEQUENCES, device=device).resolved_device() for device in ("auto", "cpu", "cuda")] == [
        *("cuda", "cpu", "cuda"),
    ]
