"""Labels: what a bar is asked to predict, and how far ahead the answer lies."""

from typing import Protocol

from botscalp.types import Bars, Float32


class Label(Protocol):
    """An option of the label group."""

    @property
    def span_bars(self) -> int:
        """The label of bar t is known by the end of bar t + span_bars and uses nothing after it."""
        ...

    def labels(self, bars: Bars) -> Float32:
        """1 (up), 0 (down) or NaN (undefined) for each bar. Shape (T,)."""
        ...
