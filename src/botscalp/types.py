"""The words of the data's way: array aliases, constrained numbers, and Bars.

Units: times are int64 nanoseconds since 1970 UTC (`_ns`), lengths in bars end in `_bars`,
rates in hundredths of a percent end in `_bps`, money in the quote currency ends in `_quote`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Lt, MinLen
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

Count = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0), Lt(inf)]
NonNegative = Annotated[float, Ge(0), Lt(inf)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Name = Annotated[str, MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Consecutive klines of one symbol, T rows, sorted by time; missing bars are absent rows.

    The contract (`botscalp.data.bars.checked` enforces it): times strictly increase on the grid of
    `interval_ns`, prices are finite and positive, low <= open, close <= high, volumes are finite and
    not negative. The bar of row t is known at `close_time_ns[t]` and not before.
    """

    symbol: str
    interval_ns: int
    open_time_ns: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    volume: Float64
    """base asset, like taker_buy_volume"""
    quote_volume: Float64 | None = None
    trades: Float64 | None = None
    taker_buy_volume: Float64 | None = None

    def __len__(self) -> int:
        return len(self.open_time_ns)

    def __getitem__(self, rows: slice) -> "Bars":
        """The bars of those rows, as views."""
        views: dict[str, Any] = {name: column[rows] for name, column in self.columns()}
        return replace(self, **views)

    def columns(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """(name, array of shape (T,)) of each column present, in the order of the fields."""
        for field in fields(self):
            column = getattr(self, field.name)
            if isinstance(column, np.ndarray):
                yield field.name, column

    @property
    def close_time_ns(self) -> Int64:
        """When each bar is known: the open time of the bar that would follow it. Shape (T,)."""
        return self.open_time_ns + self.interval_ns

    @property
    def number(self) -> Int64:
        """Bars since 1970, shape (T,): two rows are neighbours in time iff their numbers differ by one."""
        return self.open_time_ns // self.interval_ns
