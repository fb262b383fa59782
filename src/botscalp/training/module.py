"""The LightningModule around a head, and the batches it is fed.

The features of all rows stay on the device as one matrix; a batch is a vector of row numbers, and a
sample is gathered there. No sample is ever built in Python.

Shapes: N rows of all symbols, B batch, L lags (oldest bar first), F features.
"""

from collections.abc import Iterator

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import BinaryAUROC


class RowBatches:
    """Row numbers in batches of `batch`, in a new order each time where `shuffle` is set (a seed)."""

    def __init__(self, rows_N: Tensor, *, batch: int, shuffle: int | None = None) -> None:
        self.rows_N = rows_N
        self.batch = batch
        self.generator = None if shuffle is None else torch.Generator().manual_seed(shuffle)

    def __len__(self) -> int:
        return -(-len(self.rows_N) // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        rows_N = self.rows_N
        if self.generator is not None:
            rows_N = rows_N[torch.randperm(len(rows_N), generator=self.generator)]
        yield from torch.split(rows_N, self.batch)


class DirectionModule(LightningModule):
    """Binary cross-entropy on the direction of labelled rows.

    Args:
        head: maps [B, L, F] to logits [B].
        x_NF: scaled features, float32.
        label_N: 0 or 1 where labelled, float32; other rows are never asked for.
        lags: L; a sample ends at its row and begins L - 1 rows before.
        lr: learning rate of Adam.
    """

    x_NF: Tensor
    label_N: Tensor
    offsets_L: Tensor

    def __init__(self, head: nn.Module, *, x_NF: Tensor, label_N: Tensor, lags: int, lr: float) -> None:
        super().__init__()
        self.head = head
        self.lr = lr
        self.register_buffer("x_NF", x_NF, persistent=False)
        self.register_buffer("label_N", label_N, persistent=False)
        self.register_buffer("offsets_L", torch.arange(1 - lags, 1), persistent=False)
        self.loss = nn.BCEWithLogitsLoss()
        self.val_auc = BinaryAUROC()

    def forward(self, rows_B: Tensor) -> Tensor:
        """Logits [B] of the samples that end at these rows."""
        logit_B: Tensor = self.head(self.x_NF[rows_B[:, None] + self.offsets_L])
        return logit_B

    def training_step(self, rows_B: Tensor, _: int) -> Tensor:
        loss: Tensor = self.loss(self(rows_B), self.label_N[rows_B])
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(rows_B))
        return loss

    def validation_step(self, rows_B: Tensor, _: int) -> None:
        logit_B = self(rows_B).float()
        self.val_auc.update(logit_B.sigmoid(), self.label_N[rows_B].long())
        self.log("val/loss", self.loss(logit_B, self.label_N[rows_B]), batch_size=len(rows_B))

    def on_validation_epoch_end(self) -> None:
        self.log("val/auc", self.val_auc.compute())
        self.val_auc.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)
