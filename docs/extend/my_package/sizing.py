"""A sizing rule of your own: more at stake the surer the model is, and less where the market moves a lot."""

from dataclasses import dataclass

import numpy as np

from botscalp.backtest import PredictedBars
from botscalp.types import Float64, Fraction, Positive


@dataclass(frozen=True, kw_only=True)
class SurerIsLarger:
    most: Fraction
    """of equity"""
    calm_bps: Positive
    """average true range up to which nothing is taken off"""

    def stakes(self, predicted: PredictedBars) -> Float64:
        sureness = np.abs(2.0 * np.asarray(predicted.p, np.float64) - 1.0)
        range_bps = 1e4 * predicted.atr / predicted.bars.close
        return self.most * np.minimum(1.0, 10.0 * sureness) * np.minimum(1.0, self.calm_bps / range_bps)
