"""Recursions of the synthetic markets, compiled."""

import numpy as np

from botscalp.compiled import njit
from botscalp.types import Float64


@njit(cache=True)
def autoregression_nb(noise: Float64, persistence: float, before: float) -> Float64:
    """Stationary AR(1) of unit variance from independent standard normal noise. Shapes (T,).

    `before` is the value that precedes the first one; NaN where the path begins.
    """
    path = np.empty_like(noise)
    scale = np.sqrt(1.0 - persistence * persistence)
    level = before
    for t in range(len(noise)):
        level = noise[t] if np.isnan(level) else persistence * level + scale * noise[t]
        path[t] = level
    return path
