"""A calibrator of your own: the share of ups among as many equally large groups, joined by straight lines."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from botscalp.calibration import Calibration, Calibrator, IsotonicMap
from botscalp.types import Count, Float64


@dataclass(frozen=True, kw_only=True)
class Groups(Calibration):
    groups: Count
    name: ClassVar[str] = "groups"
    minimum_rows: ClassVar[int] = 200

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        order = np.argsort(p)
        x = [float(group.mean()) for group in np.array_split(p[order], self.groups)]
        y = [float(group.mean()) for group in np.array_split(label[order], self.groups)]
        return IsotonicMap(tuple(x), tuple(np.maximum.accumulate(y).tolist()))
