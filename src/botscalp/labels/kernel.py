"""The compiled loop of the triple-barrier label."""

import numpy as np

from botscalp.compiled import njit
from botscalp.types import Float32, Float64, Int64


@njit(cache=True)
def first_touch_nb(
    number: Int64, open_: Float64, high: Float64, low: Float64, distance: Float64, max_hold: int
) -> Float32:
    """1, 0 or NaN for each bar, by the rules of `TripleBarrier.labels`.

    Every array has shape (T,); `number` counts bars since 1970, `distance` is from open[t + 1] to either barrier.
    """
    label = np.full(len(open_), np.nan, np.float32)
    span = max_hold + 1
    for t in range(len(open_) - span):
        if number[t + span] - number[t] != span or not (np.isfinite(distance[t]) and distance[t] > 0.0):
            continue
        reference = open_[t + 1]
        upper, lower = reference + distance[t], reference - distance[t]
        final = open_[t + span]
        if final != reference:
            label[t] = 1.0 if final > reference else 0.0
        for i in range(t + 1, t + span):
            if open_[i] >= upper:
                label[t] = 1.0
                break
            if open_[i] <= lower:
                label[t] = 0.0
                break
            up, down = high[i] >= upper, low[i] <= lower
            if up or down:
                label[t] = np.nan if up and down else (1.0 if up else 0.0)
                break
    return label
