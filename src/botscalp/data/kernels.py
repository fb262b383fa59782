"""Recursions of the synthetic markets, compiled."""

import numpy as np

from botscalp.compiled import njit
from botscalp.types import Float64


@njit(cache=True)
def autoregression_nb(noise: Float64, persistence: float) -> Float64:
    """Stationary AR(1) of unit variance from independent standard normal noise. Shapes (T,)."""
    path = np.empty_like(noise)
    scale = np.sqrt(1.0 - persistence * persistence)
    level = noise[0]
    for t in range(len(noise)):
        if t > 0:
            level = persistence * level + scale * noise[t]
        path[t] = level
    return path
