"""What a step of training asks of the device: nothing that it would have to wait for; and torch.compile changes no result."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from runs import bits, quiet_libraries
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

from botscalp.features.samples import Timeline
from botscalp.models import Model
from botscalp.models.gru import GRU
from botscalp.models.mlp import MLP
from botscalp.models.tcn import TCN
from botscalp.models.transformer import Transformer
from botscalp.training.chunks import StoppingBatches, TrainingBatches
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, fit_head, predict_head, prediction_chunks
from botscalp.training.module import DirectionModule
from botscalp.training.settings import BASELINE, TrainerSettings

SETTINGS = replace(BASELINE, chunk=16, chunks=16, warmup_bars=16, epochs=2, lr=0.01, device="cpu")
LAGS, FEATURES, ROWS = 4, 3, 2_000
TIMELINE = Timeline(number_N=np.arange(ROWS) + 1_000, stretch_N=np.zeros(ROWS, np.int64))
TRAIN, STOPPING = np.arange(LAGS - 1, 1_500), np.arange(1_500, ROWS)
RANDOM = np.random.default_rng(0)
X_NF = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
LABEL_N = (RANDOM.uniform(size=ROWS) < 1 / (1 + np.exp(-2 * X_NF[:, 0]))).astype(np.float32)
WAITED_FOR = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique")
"""what reads a value, or a shape that depends on values, and so waits until the device has computed it"""


class Waits(TorchDispatchMode):
    """Counts the operations that would wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITED_FOR:
            self.counted[name] += 1
        return func(*args, **(kwargs or {}))


def fit(model: Model, settings: TrainerSettings) -> tuple[torch.nn.Module, FitReport]:
    torch.manual_seed(0)
    head = model.head(n_features=FEATURES, lags=LAGS)
    with quiet_libraries():
        report = fit_head(
            head,
            Examples(x_NF=X_NF, label_N=LABEL_N, timeline=TIMELINE, train_rows=TRAIN, stopping_rows=STOPPING),
            lags=LAGS,
            settings=settings,
            device="cpu",
            seed=0,
        )
    return head, report


def predicted(head: torch.nn.Module, settings: TrainerSettings) -> np.ndarray:
    kept = {"timeline": TIMELINE, "rows": STOPPING, "lags": LAGS, "settings": settings}
    return predict_head(head, x_NF=X_NF, device="cpu", **kept)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", ["samples", "sequences"])
def test_no_step_waits_for_the_device(sampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are read once an epoch, however many steps it has; Adam as on a GPU, where it counts without reading."""
    adam = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda weights, **settings: adam(weights, **settings | {"fused": True}))
    waits = []
    for chunks, batch in ((4, 50), (32, 400)):
        with Waits() as seen:
            fit(GRU(hidden=4, layers=1, dropout=0.0), replace(SETTINGS, sampling=sampling, chunks=chunks, batch=batch))
        waits.append(seen.counted)
    assert waits[0] == waits[1] and 0 < waits[0].total() < 100


@pytest.mark.parametrize(
    "model",
    [
        GRU(hidden=8, layers=1, dropout=0.0),
        MLP(hidden=8, layers=1, dropout=0.0),
        TCN(hidden=4, kernel=2, dropout=0.0),
        Transformer(hidden=8, layers=1, heads=2, dropout=0.0),
    ],
    ids=["gru", "mlp", "tcn", "transformer"],
)
def test_rows_behind_those_that_are_asked_for_are_never_read(model: Model) -> None:
    """Another symbol's, or bars after the window: NaN there changes no weight and no probability."""
    train, stopping = TRAIN[:-100], STOPPING[300:-100]
    behind = np.r_[train[-1] + 1 : TRAIN[-1] + 1, stopping[-1] + 1 : ROWS]
    told = []
    for value in (0.0, np.nan):
        x_NF = X_NF.copy()
        x_NF[behind] = value
        torch.manual_seed(0)
        head = model.head(n_features=FEATURES, lags=LAGS)
        settings = replace(SETTINGS, warmup_bars=1)
        with quiet_libraries():
            fit_head(
                head,
                Examples(x_NF=x_NF, label_N=LABEL_N, timeline=TIMELINE, train_rows=train, stopping_rows=stopping),
                lags=LAGS,
                settings=settings,
                device="cpu",
                seed=0,
            )
        kept = {"timeline": TIMELINE, "rows": stopping, "lags": LAGS, "settings": settings}
        told.append(predict_head(head, x_NF=x_NF, device="cpu", **kept))  # type: ignore[arg-type]
    assert np.isfinite(told[1]).all() and bits(told[0]) == bits(told[1])


def test_the_batches_of_an_epoch_move_at_once() -> None:
    class Moves(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func.overloadpacket.__name__ == "_to_copy"
            return func(*args, **(kwargs or {}))

    batches = TrainingBatches(TRAIN, lags=LAGS, length=16, batch=4, seed=0, device="meta")
    with Moves() as moves:
        epoch = list(batches)
    assert len(epoch) > 20
    assert all(span_B2.is_meta and asked_BK.is_meta for span_B2, asked_BK in epoch)
    assert moves.count == 2, "spans, and which steps are asked for"
    stopping = StoppingBatches(torch.zeros(100, 2, device="meta"), 16)
    assert all(span_B2.is_meta for span_B2 in stopping) and len(list(stopping)) == len(stopping) == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [MLP(hidden=8, layers=1, dropout=0.0), TCN(hidden=4, kernel=2, dropout=0.0)], ids=["mlp", "tcn"]
)
def test_compiled_training_comes_to_the_same(model: Model) -> None:
    """To rounding: it is another order of the same sums. The head itself stays what it is."""
    with quiet_libraries():
        (eager, report), (made, again) = (fit(model, replace(SETTINGS, compile=one)) for one in (False, True))
    for mine, its in zip(report.history, again.history, strict=True):
        assert its == pytest.approx(mine, rel=1e-3)
    assert list(made.state_dict()) == list(eager.state_dict())
    assert np.abs(predicted(made, SETTINGS) - predicted(eager, SETTINGS)).max() < 1e-3
    graphs = counters["stats"]["unique_graphs"]
    fit(model, replace(SETTINGS, compile=True))
    assert counters["stats"]["unique_graphs"] == graphs > 0, "the next window compiles nothing"
    copy = model.head(n_features=FEATURES, lags=LAGS)
    copy.load_state_dict(made.state_dict())
    assert bits(predicted(copy, SETTINGS)) == bits(predicted(made, SETTINGS)), "to the last bit by who never compiled"


def test_compile_is_handed_to_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(torch, "compile", lambda function: made.append(function) or function)
    head, _ = fit(MLP(hidden=8, layers=1, dropout=0.0), replace(SETTINGS, compile=True))
    assert made == [head.forward]
    predicted(head, SETTINGS)
    fit(MLP(hidden=8, layers=1, dropout=0.0), SETTINGS)
    assert len(made) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("fused", [None, True])
def test_a_step_on_a_gpu_synchronises_nothing(fused: bool | None) -> None:
    torch.manual_seed(0)
    head = GRU(hidden=8, layers=1, dropout=0.0).head(n_features=FEATURES, lags=LAGS)
    module = DirectionModule(
        head,
        x_NF=torch.from_numpy(X_NF),
        label_N=torch.from_numpy(LABEL_N),
        steps=LAGS - 1 + 16,
        stopping=prediction_chunks(STOPPING, TIMELINE, lags=LAGS, settings=SETTINGS),
        label_R=torch.from_numpy(LABEL_N[STOPPING]),
        lr=0.01,
    ).cuda()
    optimiser = torch.optim.Adam(module.parameters(), fused=fused)
    batches = list(TrainingBatches(TRAIN, lags=LAGS, length=16, batch=16, seed=0, device="cuda"))
    for step, batch in enumerate(batches):
        torch.cuda.set_sync_debug_mode("error" if step else "default")  # the first one prepares
        try:
            optimiser.zero_grad()
            module.training_step(batch, step).backward()
            optimiser.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
