"""Bars whose future is another one: what is known at a bar must not change with it."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from botscalp.types import Bars, Float64

Corruption = Literal["dearer", "cheaper", "noise", "missing"]
CORRUPTIONS: tuple[Corruption, ...] = ("dearer", "cheaper", "noise", "missing")
"""ten times the price and volume; a tenth of them; each bar at a price and volume of its own; every other bar absent"""

FACTOR = 10.0
NOISE = 0.5
"""standard deviation of the log price and of the log volume"""


def corrupted(bars: Bars, first: int, kind: Corruption, rng: np.random.Generator) -> Bars:
    """The bars with rows `first` and later corrupted; they keep the contract of `Bars`, and rows before are the same.

    Of missing bars the first one is row `first` itself; the last bar stays, so that ranges of time keep their ends.
    """
    if kind == "missing":
        kept = np.ones(len(bars), bool)
        kept[first:-1:2] = False
        rest: dict[str, Any] = {name: column[kept] for name, column in bars.columns()}
        return replace(bars, **rest)
    late = len(bars) - first
    price, volume = np.ones(len(bars)), np.ones(len(bars))
    if kind == "noise":
        price[first:], volume[first:] = np.exp(NOISE * rng.standard_normal((2, late)))
    else:
        price[first:] = volume[first:] = FACTOR if kind == "dearer" else 1 / FACTOR
    return scaled(bars, price, volume)


def scaled(bars: Bars, price: Float64, volume: Float64) -> Bars:
    """Every bar's prices and volumes times a factor of its own, both of shape (T,).

    The takers' purchases are mirrored besides wherever the volume changes: a share of it would stay as it was.
    """
    columns = {name: getattr(bars, name) * price for name in ("open", "high", "low", "close")}
    columns["volume"] = bars.volume * volume
    if bars.quote_volume is not None:
        columns["quote_volume"] = bars.quote_volume * price * volume
    if bars.trades is not None:
        columns["trades"] = np.ceil(bars.trades * volume)
    if bars.taker_buy_volume is not None:
        bought = np.where(volume == 1.0, bars.taker_buy_volume, np.maximum(bars.volume - bars.taker_buy_volume, 0.0))
        columns["taker_buy_volume"] = bought * volume
    return replace(bars, **columns)


@dataclass(frozen=True)
class Fork:
    """A stretch of bars in two versions that agree up to row `last`, which is the last common one."""

    bars: Bars
    other: Bars
    last: int


def fork(bars: Bars, row: int, *, before: int, after: int, kind: Corruption, rng: np.random.Generator) -> Fork:
    """The bars from `before` rows before `row` to `after` rows after it, and the same with all after `row` corrupted."""
    first = max(0, row - before)
    stretch = bars[first : row + after + 1]
    last = row - first
    return Fork(stretch, corrupted(stretch, last + 1, kind, rng), last)
