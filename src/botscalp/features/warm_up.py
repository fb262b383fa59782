"""How much features remember beyond what they declare."""

from collections.abc import Callable

import numpy as np

from botscalp.types import Bars, Float32, Float64, Int64

MULTIPLES = (1, 2, 4)
"""of the declared lookback, in bars from which a row is computed again"""


def memory_drift(
    compute: Callable[[Bars], Float32], bars: Bars, features_TF: Float32, *, lookback_bars: int, rows: Int64
) -> Float64:
    """The largest change of each feature where rows are computed again from the bars that they declare to need.

    Args:
        features_TF: compute(bars), already at hand.
        lookback_bars: row t is declared to depend on rows t - lookback_bars .. t alone.
        rows: which rows are computed again, from each of MULTIPLES lookbacks and themselves.

    Returns:
        Changes in standard deviations of each column, shape (len(MULTIPLES), F); infinite where a value came or went.
    """
    sd_F = np.nanstd(features_TF, axis=0, dtype=np.float64)
    scale_F = np.where(sd_F > 0.0, sd_F, 1.0)
    drift = np.zeros((len(MULTIPLES), features_TF.shape[1]))
    for row in rows:
        for k, multiple in enumerate(MULTIPLES):
            again_F = compute(bars[max(0, row - multiple * lookback_bars) : row + 1])[-1]
            change_F = np.abs(again_F.astype(np.float64) - features_TF[row]) / scale_F
            change_F[np.isnan(again_F) & np.isnan(features_TF[row])] = 0.0
            drift[k] = np.maximum(drift[k], np.where(np.isnan(change_F), np.inf, change_F))
    return drift
