"""The average true range: TA-Lib's, its seed by hand, and markets that are short or stand still."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.indicators import average_true_range_nb
from botscalp.types import Float64

Columns = tuple[Float64, Float64, Float64]
"""high, low and close, shape (T,)"""


def walk(rows: int) -> Columns:
    rng = np.random.default_rng(0)
    close = 60_000.0 * np.exp(np.cumsum(rng.normal(0, 0.0015, rows)))
    return close * np.exp(rng.exponential(0.001, rows)), close * np.exp(-rng.exponential(0.001, rows)), close


@pytest.mark.parametrize("span", [2, 5, 14, 48])
def test_talib_agrees(real_data: Path, span: int) -> None:
    names = ["high", "low", "close"]
    table = pd.read_parquet(real_data / "binance-spot-BTCUSDT-5m.parquet", columns=names)
    for columns in (walk(20_000), [table[name].to_numpy(np.float64, copy=True) for name in names]):
        ours, theirs = average_true_range_nb(*columns, span), talib.ATR(*columns, span)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * float(np.nanmean(theirs)))


def test_the_seed_by_hand() -> None:
    close = np.array([10.0, 11.0, 13.0, 12.0, 16.0])
    # true ranges 2, 3, 2, 5 (the last from 12 to 17)
    average = average_true_range_nb(close + 1, close - 1, close, 2)
    np.testing.assert_allclose(average, [np.nan, np.nan, 2.5, 2.25, 3.625])


def test_a_market_that_stands_still() -> None:
    flat = np.full(400, 0.1)  # 0.1 is no binary fraction
    assert (average_true_range_nb(flat, flat, flat, 14)[14:] == 0).all()


@settings(max_examples=60)
@given(rows=st.integers(0, 300))
def test_a_prefix_has_the_same_bits(rows: int) -> None:
    columns = walk(300)
    part = average_true_range_nb(*(column[:rows] for column in columns), 14)
    full = average_true_range_nb(*columns, 14)
    np.testing.assert_array_equal(part.view(np.int64), full[:rows].view(np.int64))


@pytest.mark.parametrize("rows", [0, 1, 13, 14, 15, 90])
def test_the_kernel_stays_inside_its_arrays(rows: int) -> None:
    """As plain Python, where an index beyond the end raises, it gives the same bits."""
    columns = walk(rows)
    np.testing.assert_array_equal(
        average_true_range_nb(*columns, 14),
        average_true_range_nb.py_func(*columns, 14),  # type: ignore[attr-defined]
    )
