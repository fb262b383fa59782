"""Scaler: features to zero mean and unit spread, as the training rows have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from botscalp.types import Float32, Float64

CLIP_SD = 10.0
"""scaled values stop here: a fat tail or a new regime must not saturate the model"""

ROWS_AT_ONCE = 8_192
"""that are scaled in float64: they stay in the cache, and need no memory worth mentioning"""

FLOAT32_EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class Scaler:
    """Maps x to (x - mean) / scale, clipped to +-10, column by column."""

    mean_F: Float64
    scale_F: Float64

    @classmethod
    def fitted(cls, x_NF: Float32) -> Self:
        """Mean and population standard deviation of the training rows, in float64; they must be finite.

        A column whose spread is below float32's resolution counts as constant and gets scale 1.
        """
        assert len(x_NF) > 0 and np.isfinite(x_NF).all()
        mean_F = x_NF.mean(axis=0, dtype=np.float64)
        sd_F = x_NF.std(axis=0, dtype=np.float64)
        return cls(mean_F, np.where(sd_F > FLOAT32_EPS * np.abs(mean_F), sd_F, 1.0))

    def scaled(self, x_TF: Float32) -> Float32:
        """The scaled rows, shape (T, F); computed in float64, NaN where x is."""
        scaled_TF = np.empty_like(x_TF)
        for first in range(0, len(x_TF), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            z_TF = (x_TF[rows] - self.mean_F) / self.scale_F
            scaled_TF[rows] = np.clip(z_TF, -CLIP_SD, CLIP_SD, out=z_TF)
        return scaled_TF

    def as_dict(self) -> dict[str, list[float]]:
        """Lists for JSON, which keeps every bit of a float64."""
        return {"mean": self.mean_F.tolist(), "scale": self.scale_F.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[float]]) -> Self:
        """The scaler that `as_dict` wrote."""
        return cls(np.asarray(values["mean"], dtype=np.float64), np.asarray(values["scale"], dtype=np.float64))
