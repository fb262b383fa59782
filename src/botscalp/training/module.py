"""The LightningModule around a head.

The features of all rows stay on the device as one matrix; a batch says where its chunks begin, and they are gathered
there. No sample is ever built in Python, an epoch's batches move to the device at once, and within an epoch nothing
waits for it: losses and logits are read when it ends.

Shapes: N rows of all symbols, B batch, S steps (oldest bar first), K last steps, R rows that are asked for, F features.
"""

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torchmetrics.functional.classification import binary_auroc

from botscalp.training.chunks import Chunks


def steps_of(span_B2: Tensor, steps: int) -> Tensor:
    """Row of each step of the chunks, shape (B, steps); past the last one asked for it is that one."""
    return (span_B2[:, :1] + torch.arange(steps, device=span_B2.device)).minimum(span_B2[:, 1:])


class DirectionModule(LightningModule):
    """Binary cross-entropy on the direction of the rows that are asked for.

    Args:
        head: maps [B, S, F] to logits [B, K] of the last K steps.
        x_NF: scaled features, float32.
        label_N: 0 or 1 at rows that are asked for, float32.
        steps: S of the training chunks.
        stopping: chunks whose loss says when to stop.
        label_R: labels of their rows.
        lr: learning rate of Adam.
        compiled: whether torch.compile makes the passes through the head. Its weights keep their names, and whoever calls
            the head itself, as prediction does, calls it as it is.
    """

    x_NF: Tensor
    label_N: Tensor
    place_R: Tensor

    def __init__(
        self,
        head: nn.Module,
        *,
        x_NF: Tensor,
        label_N: Tensor,
        steps: int,
        stopping: Chunks,
        label_R: Tensor,
        lr: float,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.head = head
        self.logits_of = torch.compile(head.forward) if compiled else head.forward
        self.steps, self.stopping, self.label_R, self.lr = steps, stopping, label_R, lr
        place_R = torch.from_numpy(stopping.chunk_R * stopping.last + stopping.step_R)
        for name, tensor in (("x_NF", x_NF), ("label_N", label_N), ("place_R", place_R)):
            self.register_buffer(name, tensor, persistent=False)
        self.losses: list[Tensor] = []
        self.logits: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        span_B2, asked_BK = batch
        row_BS = steps_of(span_B2, self.steps)
        label_BK = self.label_N[row_BS[:, -asked_BK.shape[1] :]].where(asked_BK, 0.0)
        logit_BK = self.logits_of(self.x_NF[row_BS], last=asked_BK.shape[1])
        losses_BK = cross_entropy(logit_BK, label_BK, reduction="none").where(asked_BK, 0.0)
        loss: Tensor = losses_BK.sum() / asked_BK.sum()
        self.losses.append(loss.detach())
        return loss

    def validation_step(self, span_B2: Tensor, _: int) -> None:
        row_BS = steps_of(span_B2, self.stopping.steps)
        self.logits.append(self.logits_of(self.x_NF[row_BS], last=self.stopping.last).float())

    def on_validation_epoch_end(self) -> None:
        logit_R = torch.cat(self.logits).flatten()[self.place_R].cpu()
        self.log("train/loss", torch.stack(self.losses).mean())
        self.losses.clear()
        self.logits.clear()
        self.log("val/loss", cross_entropy(logit_R, self.label_R))
        self.log("val/auc", binary_auroc(logit_R.sigmoid(), self.label_R.long()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        fused = True if self.device.type == "cuda" else None  # one kernel a step, where launches are what a step costs
        return torch.optim.Adam(self.parameters(), lr=self.lr, fused=fused)
