"""label=direction: is the close h bars ahead higher or lower?"""

from dataclasses import dataclass

import numpy as np

from botscalp.types import Bars, Count, Float32


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The sign of close[t + horizon] - close[t]."""

    horizon: Count
    """distance h of the two closes, in bars"""

    @property
    def span_bars(self) -> int:
        """The horizon: the label of bar t looks at bars up to t + horizon."""
        return self.horizon

    def labels(self, bars: Bars) -> Float32:
        """1 if close[t + h] > close[t], 0 if lower, else NaN. Shape (T,).

        NaN where the closes are equal, where fewer than h bars follow, and where a bar of t .. t + h is missing.
        """
        h = self.horizon
        label = np.full(len(bars), np.nan, np.float32)
        if h < len(bars):
            now, then = bars.close[:-h], bars.close[h:]
            without_gap = bars.number[h:] - bars.number[:-h] == h
            label[:-h] = np.where(without_gap & (then != now), then > now, np.nan)
        return label
