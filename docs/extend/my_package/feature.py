"""A feature of your own: how much of a bar's range lies above its body, averaged over some bars."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from botscalp.features.families import Family, Feature
from botscalp.features.feature_set import FeatureSet
from botscalp.types import Bars, Count, Float64


@dataclass(frozen=True, kw_only=True)
class WithWicks(FeatureSet):
    """All features of botscalp, and upper wicks."""

    wick: tuple[Count, ...]

    @property
    def families(self) -> tuple[Family, ...]:
        def columns(bars: Bars) -> Iterator[Float64]:
            span = np.maximum(bars.high - bars.low, 1e-12 * bars.close)
            share = np.r_[0.0, np.cumsum((bars.high - np.maximum(bars.open, bars.close)) / span)]
            for n in self.wick:
                yield np.r_[np.full(n - 1, np.nan), (share[n:] - share[:-n]) / n]

        return (*super().families, Family(tuple(Feature(f"wick_{n}", n - 1) for n in self.wick), columns))
