"""A pytest plugin for runs with NUMBA_DISABLE_JIT=1: kernels run as Python then, so that coverage sees their branches.

What `botscalp.backtest.lanes` emits as instructions has no Python form: here is one, a row after the other, as its docstrings
say it. The kernels bind these names as they are imported, so this plugin has to be loaded before them (`-p`).
"""

import numpy as np

from botscalp.backtest import lanes
from botscalp.types import Float64

LANES = np.uint64(lanes.LANES)


def first_signal(p: Float64, below: float, above: float, row: np.uint64) -> np.uint64:
    values = p[row : row + LANES]
    return _first((values < below) | (values > above))


def first_touch(low: Float64, lower: float, high: Float64, upper: float, row: np.uint64) -> np.uint64:
    return _first((low[row : row + LANES] <= lower) | (high[row : row + LANES] >= upper))


def fill(out: Float64, value: float, row: np.uint64) -> None:
    out[row : row + LANES] = value


def mark(out: Float64, held: float, position: float, close: Float64, price: float, row: np.uint64) -> None:
    out[row : row + LANES] = held + position * (close[row : row + LANES] - price)


def lowest(column: Float64, row: np.uint64, count: np.uint64) -> float:
    return float(np.min(column[row : row + count]))


def highest(column: Float64, row: np.uint64, count: np.uint64) -> float:
    return float(np.max(column[row : row + count]))


def _first(hits: np.ndarray) -> np.uint64:
    return np.uint64(np.argmax(hits)) if hits.any() else LANES


for interpreted in (first_signal, first_touch, fill, mark, lowest, highest):
    setattr(lanes, interpreted.__name__, interpreted)
