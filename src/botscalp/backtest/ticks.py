"""The price step of a market, read off its prices."""

from collections.abc import Sequence

import numpy as np

from botscalp.types import Bars, Float64

EXPONENTS = range(3, -9, -1)
"""of the powers of ten that are tried, the largest first"""
NOISE = 4 * np.finfo(np.float64).eps
"""of a number of steps: what parsing, storing and dividing may leave of a whole one"""
MOST_NOISE = 0.01
"""of a step: where the noise may be more than that, any number would pass for a whole one"""
FEW = 250
"""rows of each column that are asked first: nearly every power that does not fit fails there"""


def inferred_tick(bars: Bars) -> float | None:
    """The largest power of ten from 1e3 to 1e-8 of which every price is a multiple, but for rounding; None without one.

    A tick of 0.5 is found as 0.1, and of ticks that held one after the other the finest. Simulated prices have none.
    """
    prices = (bars.open, bars.high, bars.low, bars.close)
    few = np.concatenate([column[:: len(column) // FEW + 1] for column in prices])
    for exponent in EXPONENTS:
        if all(_are_multiples(some, exponent) for some in (few, *prices)):
            return float(f"1e{exponent}")
    return None


def shared_tick(market: Sequence[Bars]) -> float | None:
    """The tick that all symbols show; None where they differ in it, or have none."""
    ticks = {inferred_tick(bars) for bars in market}
    return ticks.pop() if len(ticks) == 1 else None


def _are_multiples(prices: Float64, exponent: int) -> bool:
    # Powers of ten are whole numbers either way: 10.0**-2 is not 0.01, and would add noise of its own.
    steps = prices / 10.0**exponent if exponent >= 0 else prices * 10.0**-exponent
    noise = NOISE * steps
    return bool((noise <= MOST_NOISE).all() and (np.abs(steps - np.rint(steps)) <= noise).all())
