"""Which points of a long line are drawn: enough for its picture, and always its extremes."""

from itertools import pairwise

import numpy as np

from botscalp.types import Float64, Int64

POINTS = 1_200
"""of a drawn line: about two a pixel of its picture"""


def kept(values: Float64, points: int = POINTS) -> Int64:
    """The rows of a line that show it: the first, the last, and the lowest and highest of each of equally long stretches.

    So no peak and no trough is lost, whatever the screen. Values have shape (T,) and are finite.
    """
    if len(values) <= points:
        return np.arange(len(values))
    starts = np.linspace(0, len(values), points // 2, dtype=np.int64)  # one more than stretches: room for both ends
    stretches = [(start, values[start:end]) for start, end in pairwise(starts)]
    extremes = [start + extreme(part) for start, part in stretches for extreme in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])
