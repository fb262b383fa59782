"""Stretches of consecutive bars that a head reads in one pass, and the bars in them whose logits are asked for.

A sample is a chunk of which only the last bar is asked for. In longer chunks one pass serves many bars.

Shapes: N rows of all symbols, R rows that are asked for, C chunks, S steps of a chunk, K its last steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from botscalp.features.samples import Timeline
from botscalp.types import Bool, Int64


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """C chunks of S consecutive rows, and where in them the R rows are."""

    first_C: Int64
    """row of the first step"""
    steps: int
    """S"""
    last: int
    """K: rows that are asked for are among the last K steps"""
    chunk_R: Int64
    step_R: Int64
    """of the last K"""

    @property
    def span_C2(self) -> Int64:
        """First row of each chunk, and the last one that is asked for: later steps are read as that row.

        What lies behind it, another symbol or bars after the window, is never touched: a NaN there would poison gradients
        and attention, whoever asks.
        """
        ends = np.flatnonzero(np.diff(self.chunk_R, append=len(self.first_C)))
        return np.stack([self.first_C, self.first_C + self.steps - self.last + self.step_R[ends]], axis=1)

    @property
    def asked(self) -> Bool:
        """Whether a step is asked for, shape (C, K)."""
        asked = np.zeros((len(self.first_C), self.last), np.bool_)
        asked[self.chunk_R, self.step_R] = True
        return asked


def with_lags(rows_R: Int64, *, lags: int, length: int, first: int) -> Chunks:
    """Chunks in which each row has at least its lags before it, `length` rows of a stretch in one chunk.

    Args:
        rows_R: increasing, not empty; `lags` consecutive bars end at each.
        first: rows of a stretch that its first chunk takes, 1 to `length`: another one and other rows share a chunk.
    """
    begins = np.diff(rows_R, prepend=rows_R[0] - lags) >= lags  # else the row's own lags reach back to the row before
    stretch_R = rows_R[begins][np.cumsum(begins) - 1]
    earlier_R = np.maximum((rows_R - stretch_R + length - first) // length * length - (length - first), 0)
    opening_R = stretch_R + earlier_R
    new = np.diff(opening_R, prepend=-1) != 0
    return Chunks(
        first_C=opening_R[new] - (lags - 1),
        steps=lags - 1 + length,
        last=length,
        chunk_R=np.cumsum(new) - 1,
        step_R=rows_R - opening_R,
    )


def with_warm_up(rows_R: Int64, timeline: Timeline, *, warm_up: int, length: int) -> Chunks:
    """Chunks that begin `warm_up` bars before the first row, or where its stretch of bars does if that is later.

    Which rows share a chunk depends on their time alone, so a row's chunk is the same whatever other rows are asked for.
    """
    number_R, stretch_R = timeline.number_N[rows_R], timeline.stretch_N[rows_R]
    block_R = number_R // length
    first_R = np.maximum(rows_R - (number_R - block_R * length) - warm_up, stretch_R)
    new = (np.diff(block_R, prepend=-1) != 0) | (np.diff(stretch_R, prepend=-1) != 0)
    return Chunks(
        first_C=first_R[new],
        steps=warm_up + length,
        last=warm_up + length,
        chunk_R=np.cumsum(new) - 1,
        step_R=rows_R - first_R,
    )


@dataclass(frozen=True)
class StoppingBatches:
    """Chunks in their order, so many at a time, as `Chunks.span_C2` has them; where they are, batches are."""

    span_C2: Tensor
    batch: int

    def __len__(self) -> int:
        return -(-len(self.span_C2) // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        """Spans [B, 2]."""
        yield from torch.split(self.span_C2, self.batch)


class TrainingBatches:
    """Each row once an epoch, in chunks that begin elsewhere and come in another order each time.

    Args:
        batch: chunks an optimiser step.
        seed: of chunks and order.
        device: where batches are; a whole epoch moves there at once, so that no step waits for a copy.
    """

    def __init__(
        self, rows_R: Int64, *, lags: int, length: int, batch: int, seed: int, device: str | torch.device = "cpu"
    ) -> None:
        self.rows_R, self.lags, self.length = rows_R, lags, length
        self.batch, self.device = batch, device
        self.random = np.random.default_rng(seed)
        self._draw()

    def __len__(self) -> int:
        return -(-len(self.chunks.first_C) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Spans [B, 2], and which of the last steps are asked for [B, K]."""
        order = self.random.permutation(len(self.chunks.first_C))
        span_C2 = torch.from_numpy(self.chunks.span_C2[order]).to(self.device)
        asked_CK = torch.from_numpy(self.chunks.asked[order]).to(self.device)
        self._draw()
        yield from zip(torch.split(span_C2, self.batch), torch.split(asked_CK, self.batch), strict=True)

    def _draw(self) -> None:
        first = int(self.random.integers(1, self.length + 1))
        self.chunks = with_lags(self.rows_R, lags=self.lags, length=self.length, first=first)
