"""Trees and mixtures: they learn, they come back from their weights, and a mixture is as good as its best member."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import bits, quiet_libraries
from threadpoolctl import threadpool_limits

from botscalp.errors import UserError
from botscalp.features.samples import Timeline
from botscalp.models import Model
from botscalp.models.boosting import Boosting
from botscalp.models.ensemble import Ensemble
from botscalp.models.linear import Linear
from botscalp.options import described
from botscalp.training.by_model import forecaster_of
from botscalp.training.ensemble import mixture_weights
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport
from botscalp.training.forecaster import Forecaster
from botscalp.training.settings import BASELINE
from botscalp.types import Float32, Float64

TRAINER = replace(BASELINE, chunk=16, warmup_bars=16, epochs=3, batch=256, lr=0.02, patience=3, device="cpu")
TREES = Boosting(trees=60, leaves=7, lr=0.1, min_leaf_rows=50, dropped_features=0.0, patience=10)
LAGS, ROWS = 4, 4_000
TRAIN, STOPPING, TEST = np.arange(LAGS, 2_500), np.arange(2_500, 3_200), np.arange(3_200, ROWS)
TIMELINE = Timeline(number_N=np.arange(ROWS), stretch_N=np.zeros(ROWS, np.int64))
X_NF = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)


def ensemble(members: Mapping[str, Model], *, seeds: int = 1, combine: Any = "average") -> Ensemble:
    return Ensemble(members={name: described(one) for name, one in members.items()}, seeds=seeds, combine=combine)


def labels(p_N: Float64) -> Float32:
    return (np.random.default_rng(1).random(ROWS) < p_N).astype(np.float32)


WHERE_BOTH_AGREE = labels(np.where(X_NF[:, 0] * X_NF[:, 1] > 0, 0.85, 0.15))
"""no line sees it, trees do"""


def new(model: Model, seed: int = 0) -> Forecaster:
    return forecaster_of(model, n_features=3, lags=LAGS, settings=TRAINER, device="cpu", seed=seed)


def fitted(model: Model, label_N: Float32, seed: int = 0) -> tuple[Forecaster, FitReport]:
    forecaster = new(model, seed)
    with quiet_libraries():
        report = forecaster.fit(
            Examples(x_NF=X_NF, label_N=label_N, timeline=TIMELINE, train_rows=TRAIN, stopping_rows=STOPPING),
            seed=seed,
            on_epoch=lambda epoch, metrics: None,
        )
    return forecaster, report


def predicted(forecaster: Forecaster) -> Float64:
    return forecaster.predict(x_NF=X_NF, timeline=TIMELINE, rows=TEST)


def log_loss(p: Float64, label: Float32) -> float:
    return float(-np.mean(np.where(label == 1, np.log(p), np.log(1 - p))))


def test_trees_see_what_no_line_does_and_stop_in_time() -> None:
    forecaster, report = fitted(TREES, WHERE_BOTH_AGREE)
    assert log_loss(predicted(forecaster), WHERE_BOTH_AGREE[TEST]) < 0.5 < np.log(2)
    assert log_loss(predicted(fitted(Linear(), WHERE_BOTH_AGREE)[0]), WHERE_BOTH_AGREE[TEST]) > 0.68
    losses = [entry["val/loss"] for entry in report.history]
    assert report.best_epoch == int(np.argmin(losses)) and len(losses) <= report.best_epoch + 1 + TREES.patience
    assert report.samples == len(TRAIN) * len(losses)


MODELS: dict[str, Callable[[], Model]] = {
    "trees": lambda: TREES,
    "average": lambda: ensemble({"linear": Linear(), "trees": TREES}),
    "stack": lambda: ensemble({"linear": Linear(), "trees": TREES}, seeds=2, combine="stack"),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_and_the_weights_are_all_there_is(name: str) -> None:
    model = MODELS[name]()
    first, again = (fitted(model, WHERE_BOTH_AGREE, seed=3)[0] for _ in range(2))
    assert bits(predicted(first)) == bits(predicted(again))
    loaded = new(model, seed=9)
    loaded.load({name: tensor.clone() for name, tensor in first.weights().items()})
    assert bits(predicted(loaded)) == bits(predicted(first))
    one_by_one = [first.predict(x_NF=X_NF, timeline=TIMELINE, rows=TEST[at : at + 1])[0] for at in (0, 7, 500)]
    assert bits(np.array(one_by_one)) == bits(predicted(first)[[0, 7, 500]])


@pytest.mark.parametrize("name", MODELS)
def test_weights_of_something_else_are_refused(name: str) -> None:
    with pytest.raises(RuntimeError):
        new(MODELS[name]()).load({"booster": torch.zeros(3, dtype=torch.uint8)})


def test_labels_beyond_the_given_rows_are_never_asked_for() -> None:
    hidden = WHERE_BOTH_AGREE.copy()
    hidden[TEST] = np.nan
    model = MODELS["stack"]()
    assert bits(predicted(fitted(model, hidden)[0])) == bits(predicted(fitted(model, WHERE_BOTH_AGREE)[0]))


def test_an_average_is_the_mean_of_its_members() -> None:
    members = new(MODELS["average"]())
    fitted_one = fitted(MODELS["average"](), WHERE_BOTH_AGREE)[0]
    members.load(fitted_one.weights())
    each = [member.predict(x_NF=X_NF, timeline=TIMELINE, rows=TEST) for member in members.members]  # type: ignore[attr-defined]
    assert np.allclose(predicted(members), np.mean(each, axis=0), atol=1e-12)


def test_a_stack_gives_the_member_that_knows_nothing_no_weight() -> None:
    forecaster, _ = fitted(MODELS["stack"](), WHERE_BOTH_AGREE)
    mixture = forecaster.weights()["mixture"].numpy()
    assert mixture.sum() == pytest.approx(1) and (mixture >= 0).all()
    assert mixture[2:].sum() > 0.95, "the trees"


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 4))
def test_no_other_mixture_of_a_fine_grid_is_better(seed: int, members: int) -> None:
    rng = np.random.default_rng(seed)
    label_R = (rng.random(200) < 0.5).astype(np.float32)
    p_MR = np.clip(
        0.5 + rng.normal(0, 0.15, (members, 200)) + 0.1 * (label_R - 0.5) * rng.random((members, 1)), 0.02, 0.98
    )
    weight_M = mixture_weights(p_MR, label_R)
    assert weight_M.sum() == pytest.approx(1) and (weight_M >= 0).all()
    others = rng.dirichlet(np.ones(members) * 0.7, 300)
    best = min(log_loss(other @ p_MR, label_R) for other in others)
    assert log_loss(weight_M @ p_MR, label_R) <= best + 1e-5


def test_an_ensemble_of_nothing_or_of_nonsense_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.members"):
        Ensemble(members={}, seeds=1, combine="average")
    with pytest.raises(UserError, match=r"model\.members\.gru\.hidden"):
        Ensemble(
            members={"gru": {"_target_": "botscalp.models.gru.GRU", "hidden": 0, "layers": 1, "dropout": 0.0}},
            seeds=1,
            combine="average",
        )


def test_threads_change_no_bit_of_a_mixture() -> None:
    """Not only where there are many rows: what solves for three weights has threads too."""
    rng = np.random.default_rng(300)
    p_MR = rng.uniform(0.4, 0.6, (3, 300))
    label_R = (rng.uniform(size=300) < p_MR[0]).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(mixture_weights(p_MR, label_R).tobytes())
    assert found[0] == found[1]
