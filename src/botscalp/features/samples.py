"""Which bars can be predicted from."""

import numpy as np

from botscalp.types import Bars, Bool


def predictable(bars: Bars, lags: int, lookback_bars: int) -> Bool:
    """Whether row t has its `lags` bars t - lags + 1 .. t, consecutive in time and each past the features' lookback.

    Shape (T,). Row t is decided by rows up to t alone: what follows, a gap or the end of the data, changes nothing.
    """
    complete = np.zeros(len(bars), dtype=np.bool_)
    first = lookback_bars + lags - 1
    last_of_lags = bars.number[first:]
    first_of_lags = bars.number[lookback_bars : lookback_bars + len(last_of_lags)]
    complete[first:] = last_of_lags - first_of_lags == lags - 1
    return complete
