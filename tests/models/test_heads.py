"""Heads: causal, within their reach, and the same bar by bar as in one pass."""

from typing import Any

import pytest
import torch
from torch import Tensor

from botscalp.errors import UserError
from botscalp.models import Model
from botscalp.models.gru import GRU
from botscalp.models.linear import Linear
from botscalp.models.lstm import LSTM
from botscalp.models.mlp import MLP
from botscalp.models.tcn import TCN
from botscalp.models.transformer import Transformer

LAGS, FEATURES, STEPS = 9, 3, 40
FINITE: dict[str, Model] = {
    "tcn": TCN(hidden=6, kernel=3, dropout=0.1),
    "tcn of pairs": TCN(hidden=6, kernel=2, dropout=0.0),
    "transformer": Transformer(hidden=8, layers=1, heads=2, dropout=0.1),
    "two layers": Transformer(hidden=8, layers=2, heads=4, dropout=0.0),
    "more layers than lags": Transformer(hidden=8, layers=12, heads=1, dropout=0.0),
    "mlp": MLP(hidden=6, layers=2, dropout=0.1),
    "linear": Linear(),
}
RECURRENT: dict[str, Model] = {
    "gru": GRU(hidden=5, layers=2, dropout=0.1),
    "lstm": LSTM(hidden=5, layers=1, dropout=0.0),
}
REACH = {
    "tcn": 7,
    "tcn of pairs": 8,
    "transformer": 9,
    "two layers": 9,
    "more layers than lags": 1,
    "mlp": 9,
    "linear": 1,
}
"""bars that a logit depends on, counted by hand"""


def head_of(model: Model) -> torch.nn.Module:
    """With weights that make every connection felt, in exact mode."""
    torch.manual_seed(0)
    head = model.head(n_features=FEATURES, lags=LAGS)
    with torch.no_grad():
        for weight in head.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return head.eval()


def logits(head: torch.nn.Module, x_BSF: Tensor, **last: Any) -> Tensor:
    with torch.inference_mode():
        return head(x_BSF, **last)


@pytest.mark.parametrize("model", (FINITE | RECURRENT).values(), ids=(FINITE | RECURRENT).keys())
def test_a_logit_for_each_sample_or_for_each_of_the_last_bars(model: Model) -> None:
    head, x_BSF = head_of(model), torch.randn(4, STEPS, FEATURES)
    whole = logits(head, x_BSF, last=STEPS)
    assert whole.shape == (4, STEPS) and torch.isfinite(whole).all()
    assert torch.allclose(logits(head, x_BSF, last=7), whole[:, -7:], atol=1e-6)
    assert torch.allclose(logits(head, x_BSF), whole[:, -1:], atol=1e-6)


@pytest.mark.parametrize("model", (FINITE | RECURRENT).values(), ids=(FINITE | RECURRENT).keys())
def test_no_bar_changes_a_logit_before_it(model: Model) -> None:
    head, x_BSF = head_of(model), torch.randn(2, STEPS, FEATURES)
    for step in (0, 1, LAGS, STEPS - 1):
        other = x_BSF.clone()
        other[:, step] = 9.0
        changed = (logits(head, other, last=STEPS) - logits(head, x_BSF, last=STEPS)).abs().amax(0) > 1e-6
        assert not changed[:step].any() and changed[step]


@pytest.mark.parametrize("name", FINITE)
def test_a_finite_reach_is_within_the_lags(name: str) -> None:
    head, x_BSF = head_of(FINITE[name]), torch.randn(16, STEPS, FEATURES)
    felt = []
    for back in range(LAGS + 3):
        other = x_BSF.clone()
        other[:, STEPS - 1 - back] += 3.0
        felt.append(bool(((logits(head, other) - logits(head, x_BSF)).abs() > 1e-7).any()))
    assert felt == [back < REACH[name] for back in range(LAGS + 3)]


@pytest.mark.parametrize("model", FINITE.values(), ids=FINITE.keys())
def test_one_pass_over_a_stretch_gives_what_its_samples_give(model: Model) -> None:
    head, x_BSF = head_of(model), torch.randn(1, STEPS, FEATURES)
    samples_BLF = x_BSF[0].unfold(0, LAGS, 1).transpose(1, 2)
    in_one_pass = logits(head, x_BSF, last=STEPS - LAGS + 1)[0]
    assert torch.allclose(logits(head, samples_BLF)[:, 0], in_one_pass, atol=1e-5)


@pytest.mark.parametrize("model", RECURRENT.values(), ids=RECURRENT.keys())
def test_a_state_reads_every_bar_and_forgets_slowly(model: Model) -> None:
    head, x_BSF = head_of(model), torch.randn(8, STEPS, FEATURES)
    moved = []
    for back in range(LAGS):
        other = x_BSF.clone()
        other[:, STEPS - 1 - back] += 1.0
        moved.append(float((logits(head, other) - logits(head, x_BSF)).abs().mean()))
    assert min(moved) > 0 and moved[-1] < moved[0]


def test_the_baseline_starts_without_an_opinion() -> None:
    assert torch.equal(Linear().head(n_features=FEATURES, lags=LAGS)(torch.randn(5, LAGS, FEATURES)), torch.zeros(5, 1))


def test_a_width_that_attention_heads_cannot_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.heads=3"):
        Transformer(hidden=8, layers=1, heads=3, dropout=0.0)


def test_dropout_acts_in_training_alone() -> None:
    for model in (FINITE["tcn"], FINITE["transformer"], FINITE["mlp"], RECURRENT["gru"]):
        head, x_BSF = head_of(model), torch.randn(64, LAGS, FEATURES)
        assert torch.equal(logits(head, x_BSF), logits(head, x_BSF))
        head.train()
        assert not torch.equal(logits(head, x_BSF), logits(head, x_BSF))
