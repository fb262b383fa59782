"""Batches of row numbers, and the samples that the module gathers at them."""

import numpy as np
import torch
from torch import nn

from botscalp.models.gru import GRU
from botscalp.models.linear import Linear
from botscalp.training.module import DirectionModule, RowBatches


class Recorded(nn.Module):
    """Keeps the samples that it was given."""

    def forward(self, x_BLF: torch.Tensor) -> torch.Tensor:
        self.x_BLF = x_BLF
        return x_BLF.sum(dim=(1, 2))


def test_a_sample_is_its_row_and_the_lags_before_it_oldest_first() -> None:
    x_NF, head = torch.arange(20.0).reshape(10, 2), Recorded()
    module = DirectionModule(head, x_NF=x_NF, label_N=torch.zeros(10), lags=3, lr=0.1)
    module(torch.tensor([2, 7, 9]))
    expected = np.stack([x_NF[row - 2 : row + 1].numpy() for row in (2, 7, 9)])
    assert np.array_equal(head.x_BLF.numpy(), expected)


def test_every_row_comes_once_an_epoch_in_a_new_order_that_the_seed_decides() -> None:
    rows = torch.arange(100, 1100)
    batches, twin, other = (RowBatches(rows, batch=128, shuffle=seed) for seed in (3, 3, 4))
    assert len(batches) == 8
    first, second = [torch.cat(list(batches)) for _ in range(2)]
    assert torch.equal(first.sort().values, rows) and torch.equal(second.sort().values, rows)
    assert not torch.equal(first, second)
    assert torch.equal(first, torch.cat(list(twin))) and torch.equal(second, torch.cat(list(twin)))
    assert not torch.equal(first, torch.cat(list(other)))
    assert [len(batch) for batch in batches] == [128] * 7 + [104]


def test_without_a_seed_rows_keep_their_order() -> None:
    rows = torch.tensor([5, 3, 9, 1, 7])
    assert [batch.tolist() for batch in RowBatches(rows, batch=2)] == [[5, 3], [9, 1], [7]]


def test_heads_map_a_batch_of_samples_to_a_logit_each() -> None:
    x_BLF = torch.randn(6, 4, 3)
    for model in (GRU(hidden=5, layers=2, dropout=0.1), Linear()):
        assert model.head(n_features=3, lags=4)(x_BLF).shape == (6,)


def test_the_baseline_starts_without_an_opinion_and_reads_the_last_bar_alone() -> None:
    head = Linear().head(n_features=3, lags=4)
    x_BLF = torch.randn(6, 4, 3)
    assert torch.equal(head(x_BLF), torch.zeros(6))
    with torch.no_grad():
        for weight in head.parameters():
            weight += 1.0
    other = x_BLF.clone()
    other[:, :-1] = 0.0
    assert torch.equal(head(x_BLF), head(other))


def test_the_recurrent_head_reads_every_bar() -> None:
    torch.manual_seed(0)
    head = GRU(hidden=5, layers=1, dropout=0.0).head(n_features=3, lags=4)
    x_BLF = torch.randn(1, 4, 3)
    for lag in range(4):
        other = x_BLF.clone()
        other[0, lag] += 1.0
        assert not torch.equal(head(x_BLF), head(other)), lag
