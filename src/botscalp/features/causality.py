"""The causality check of every run: bars after t must not change a feature at t."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from botscalp.errors import CausalityError
from botscalp.types import Bars, Float32

CUTS = 16
"""prefixes a run recomputes; their lengths grow geometrically, so together they cost two or three full computations"""


def check_causality(
    compute: Callable[[Bars], Float32],
    bars: Bars,
    features_TF: Float32,
    *,
    names: Sequence[str],
    seed: int,
    cuts: int = CUTS,
) -> None:
    """Recompute the features on `cuts` prefixes of the bars and compare all rows of each, bit for bit (NaN equals NaN).

    `features_TF` is compute(bars), already at hand. The prefixes end at seeded random rows, one in each of `cuts`
    geometrically growing parts of the rows after the lookback: many cuts, since a leak of the day's high shows only in
    those before the high. Raises CausalityError that names the features that differ and the first bar where one does.
    """
    assert features_TF.shape == (len(bars), len(names)) and features_TF.dtype == np.float32
    complete = np.flatnonzero(~np.isnan(features_TF).any(axis=1))
    edges = np.geomspace(complete[0] + 1 if len(complete) else 1, max(1, len(bars)), cuts + 1).astype(np.int64)
    rng = np.random.default_rng(seed)
    for low, high in pairwise(edges):
        if low >= high:
            continue
        rows = int(rng.integers(low, high))
        prefix_TF = compute(bars[:rows])
        if not np.array_equal(_bits(prefix_TF), _bits(features_TF[:rows])):
            _raise_where_different(prefix_TF, features_TF[:rows], bars, names)


def _bits(x_TF: Float32) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.ascontiguousarray(x_TF).view(np.uint32)


def _raise_where_different(prefix_TF: Float32, full_TF: Float32, bars: Bars, names: Sequence[str]) -> None:
    """Raise for the cells that differ in more than how NaN is written."""
    differs_TF = (_bits(prefix_TF) != _bits(full_TF)) & ~(np.isnan(prefix_TF) & np.isnan(full_TF))
    if not differs_TF.any():
        return
    leaking = [name for name, differs in zip(names, differs_TF.any(axis=0), strict=True) if differs]
    first = np.datetime64(int(bars.open_time_ns[differs_TF.any(axis=1).argmax()]), "ns").astype("datetime64[s]")
    last = np.datetime64(int(bars.open_time_ns[len(prefix_TF) - 1]), "ns").astype("datetime64[s]")
    raise CausalityError(
        f"features={', '.join(leaking)}: {bars.symbol} at the bar of {first}Z changed when the bars after {last}Z "
        "were taken away\n"
        "  remedy: compute row t from bars up to t alone: no negative shift, no centred window, nothing fitted on the "
        "whole sample, no arithmetic whose order depends on the number of rows"
    )
