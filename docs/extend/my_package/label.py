"""A label of your own: up or down where the move pays its costs, and no label in between."""

from dataclasses import dataclass

import numpy as np

from botscalp.types import Bars, Count, Float32, NonNegative


@dataclass(frozen=True, kw_only=True)
class BeyondCosts:
    horizon: Count
    costs_bps: NonNegative

    @property
    def span_bars(self) -> int:
        return self.horizon

    def labels(self, bars: Bars) -> Float32:
        label_T = np.full(len(bars), np.nan, np.float32)
        move_bps = 1e4 * np.log(bars.close[self.horizon :] / bars.close[: -self.horizon])
        whole = bars.number[self.horizon :] - bars.number[: -self.horizon] == self.horizon
        label_T[: -self.horizon][whole & (move_bps > self.costs_bps)] = 1.0
        label_T[: -self.horizon][whole & (move_bps < -self.costs_bps)] = 0.0
        return label_T
