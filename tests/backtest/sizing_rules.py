"""Sizing rules as a user writes them."""

from dataclasses import dataclass

import numpy as np

from botscalp.backtest import PredictedBars
from botscalp.types import Float64


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The same share of equity for each order."""

    share: float

    def stakes(self, predicted: PredictedBars) -> Float64:
        return np.full(len(predicted.bars), self.share)


@dataclass(frozen=True, kw_only=True)
class Kelly:
    """What `kelly_fraction` does."""

    fraction: float

    def stakes(self, predicted: PredictedBars) -> Float64:
        return self.fraction * np.abs(2.0 * np.asarray(predicted.p, np.float64) - 1.0)


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Every other bar of the symbol: nothing, less than nothing, or no number, in turn."""

    share: float

    def stakes(self, predicted: PredictedBars) -> Float64:
        number = np.asarray(predicted.bars.number)
        return np.where(number % 2 == 0, self.share, np.array([0.0, -1.0, np.nan])[number // 2 % 3])


@dataclass(frozen=True, kw_only=True)
class Prophet:
    """Looks at the last bar of all."""

    def stakes(self, predicted: PredictedBars) -> Float64:
        return np.full(len(predicted.bars), predicted.bars.close[-1])
