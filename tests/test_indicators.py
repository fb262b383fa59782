"""Indicators against TA-Lib, against slow sums in numpy, and on markets that stand still or jump."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from botscalp import indicators
from botscalp.types import Float64

Columns = dict[str, Float64]
"""high, low, close and volume, shape (T,)"""


def walk(rows: int, seed: int = 0, level: float = 60_000.0) -> Columns:
    rng = np.random.default_rng(seed)
    close = level * np.exp(np.cumsum(rng.normal(0, 0.0015, rows)))
    high = close * np.exp(rng.exponential(0.001, rows))
    low = close * np.exp(-rng.exponential(0.001, rows))
    return {"high": high, "low": low, "close": close, "volume": rng.exponential(50.0, rows)}


@pytest.fixture(scope="module", params=["walk", "btc"])
def columns(request: pytest.FixtureRequest) -> Columns:
    if request.param == "walk":
        return walk(20_000)
    folder = request.getfixturevalue("real_data")
    table = pd.read_parquet(folder / "binance-spot-BTCUSDT-5m.parquet", columns=["high", "low", "close", "volume"])
    return {str(name): column.to_numpy(np.float64, copy=True) for name, column in table.items()}


def assert_same(ours: Float64, theirs: Float64, tolerance: float) -> None:
    """Same warm-up, and errors below `tolerance` times the size of the values."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * float(np.nanmean(np.abs(theirs))))


# TA-Lib sums squares of prices, E[x^2] - E[x]^2, which costs it digits where little moves: the tolerances of the two
# deviations are its own error, and test_rolling_windows_against_sums holds ours to 1e-9.
@pytest.mark.parametrize("span", [2, 5, 14, 48])
def test_talib_agrees_on_every_single_span_indicator(columns: Columns, span: int) -> None:
    high, low, close, volume = columns["high"], columns["low"], columns["close"], columns["volume"]
    assert_same(indicators.rsi(close, span), talib.RSI(close, span), 1e-9)
    assert_same(indicators.ema(close, span), talib.EMA(close, span), 1e-12)
    assert_same(indicators.average_true_range(high, low, close, span), talib.ATR(high, low, close, span), 1e-9)
    assert_same(indicators.rolling_mean(close, span), talib.SMA(close, span), 1e-9)
    assert_same(indicators.rolling_sum(volume, span), talib.SUM(volume, span), 1e-6)
    assert_same(indicators.rolling_sd(close, span), talib.STDDEV(close, span), 1e-6)
    for ours, theirs in zip(indicators.bollinger(close, span), talib.BBANDS(close, span), strict=True):
        assert_same(ours, theirs, 1e-9)


@pytest.mark.parametrize("spans", [(12, 26, 9), (6, 13, 5), (2, 30, 2), (24, 52, 18), (3, 7, 1)])
def test_talib_agrees_on_macd(columns: Columns, spans: tuple[int, int, int]) -> None:
    # The histogram is a small difference of EMAs near 60,000: its error is measured against its own size.
    for ours, theirs in zip(
        indicators.macd(columns["close"], *spans), talib.MACD(columns["close"], *spans), strict=True
    ):
        assert_same(ours, theirs, 1e-8)


def test_seeds_by_hand() -> None:
    close = np.array([10.0, 11.0, 13.0, 12.0, 16.0])
    np.testing.assert_allclose(indicators.ema(close, 3)[2:], [34 / 3, 34 / 6 + 6, 34 / 12 + 3 + 8])
    # changes +1 +2 -1 +4, span 2: gain 3/2 then 3/4 then 19/8, loss 0 then 1/2 then 1/4
    np.testing.assert_allclose(indicators.rsi(close, 2)[2:], [100.0, 100 * 0.75 / 1.25, 100 * 2.375 / 2.625])
    high, low = close + 1, close - 1
    # true ranges 2, 3, 2, 5 (the last from 12 to 17)
    np.testing.assert_allclose(indicators.average_true_range(high, low, close, 2)[2:], [2.5, 2.25, 3.625])


@pytest.mark.parametrize("span", [1, 2, 7, 20, 96, 288])
def test_rolling_windows_against_sums(columns: Columns, span: int) -> None:
    high, low, close, volume = (columns[name][:6_000] for name in ("high", "low", "close", "volume"))
    last = slice(span - 1, None)

    def windows(x: Float64) -> Float64:
        return sliding_window_view(x, span)

    np.testing.assert_allclose(indicators.rolling_sum(volume, span)[last], windows(volume).sum(axis=1), rtol=1e-12)
    mean, sd = indicators.rolling_mean_sd(close, span)
    np.testing.assert_allclose(mean[last], windows(close).mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(sd[last], windows(close).std(axis=1), rtol=1e-9, atol=1e-9)
    typical = (high + low + close) / 3
    value = (windows(typical) * windows(volume)).sum(axis=1) / windows(volume).sum(axis=1)
    np.testing.assert_allclose(indicators.vwap(high, low, close, volume, span)[last], value, rtol=1e-12)
    logs = np.log(close)
    np.testing.assert_allclose(indicators.log_return(close, span)[span:], logs[span:] - logs[:-span], atol=1e-13)
    squares = np.diff(logs) ** 2
    volatility = indicators.realised_volatility(close, span)
    np.testing.assert_allclose(volatility[span:], np.sqrt(windows(squares).mean(axis=1)), rtol=1e-9, atol=1e-13)
    assert np.isnan(volatility[:span]).all() and np.isnan(mean[: span - 1]).all()


def test_a_spike_that_has_left_the_window_leaves_no_trace() -> None:
    close = 60_000 + 0.01 * np.sin(np.arange(500.0))
    spiked = close.copy()
    spiked[100] *= 1e4
    sd = indicators.rolling_sd(spiked, 20)
    exact = [math.sqrt(math.fsum((x - math.fsum(w) / 20) ** 2 for x in w) / 20) for w in sliding_window_view(close, 20)]
    np.testing.assert_allclose(sd[120:], exact[101:], rtol=1e-8)
    volume = np.full(500, 1e-3)
    volume[100] = 1e12
    np.testing.assert_allclose(indicators.rolling_sum(volume, 20)[120:], 0.02, rtol=1e-14)


def test_a_market_that_stands_still() -> None:
    flat = np.full(400, 0.1)  # 0.1 is no binary fraction
    zero = np.zeros(400)
    assert (indicators.rsi(flat, 14)[14:] == 50).all()
    assert (talib.RSI(flat, 14)[14:] == 0).all(), "the one convention that differs from TA-Lib's"
    assert (indicators.ema(flat, 14)[13:] == 0.1).all()
    assert (indicators.average_true_range(flat, flat, flat, 14)[14:] == 0).all()
    assert all((band[19:] == 0.1).all() for band in indicators.bollinger(flat, 20))
    assert all((line[33:] == 0).all() for line in indicators.macd(flat, 12, 26, 9))
    assert (indicators.vwap(flat, flat, flat, zero, 20)[19:] == 0.1).all()
    assert (indicators.realised_volatility(flat, 20)[20:] == 0).all()


def test_volume_stops_after_a_burst() -> None:
    close = np.linspace(1.0, 2.0, 100)
    volume = np.where(np.arange(100) < 30, 1 / 3, 0.0)
    assert (indicators.rolling_sum(volume, 20)[49:] == 0).all()
    np.testing.assert_array_equal(indicators.vwap(close, close, close, volume, 20)[49:], close[49:])


SHAPES: list[tuple[str, Callable[[Columns], tuple[Float64, ...]]]] = [
    ("rsi", lambda c: (indicators.rsi(c["close"], 14),)),
    ("ema", lambda c: (indicators.ema(c["close"], 9),)),
    ("atr", lambda c: (indicators.average_true_range(c["high"], c["low"], c["close"], 14),)),
    ("macd", lambda c: indicators.macd(c["close"], 5, 11, 4)),
    ("bollinger", lambda c: indicators.bollinger(c["close"], 20)),
    ("vwap", lambda c: (indicators.vwap(c["high"], c["low"], c["close"], c["volume"], 12),)),
    ("rolling_sum", lambda c: (indicators.rolling_sum(c["volume"], 17),)),
    ("log_return", lambda c: (indicators.log_return(c["close"], 3),)),
    ("realised_volatility", lambda c: (indicators.realised_volatility(c["close"], 13),)),
]


@pytest.mark.parametrize(("name", "indicator"), SHAPES, ids=[name for name, _ in SHAPES])
@settings(deadline=None, max_examples=60)
@given(rows=st.integers(0, 300))
def test_a_prefix_has_the_same_bits(name: str, indicator: Callable[[Columns], tuple[Float64, ...]], rows: int) -> None:
    columns = walk(300, seed=5)
    prefix = {key: column[:rows] for key, column in columns.items()}
    for part, full in zip(indicator(prefix), indicator(columns), strict=True):
        assert part.shape == (rows,)
        np.testing.assert_array_equal(part.view(np.int64), full[:rows].view(np.int64), err_msg=name)


@pytest.mark.parametrize("rows", [0, 1, 12, 13, 14, 15, 27, 28, 29, 90])
def test_kernels_stay_inside_their_arrays(rows: int) -> None:
    """The same kernels as plain Python, where an index beyond the end raises, give the same bits."""
    c = walk(rows)
    high, low, close, volume = c["high"], c["low"], c["close"], c["volume"]
    cases: list[tuple[Any, tuple[Any, ...]]] = [
        (indicators.ema_nb, (close, 14)),
        (indicators.macd_nb, (close, 5, 10, 5)),
        (indicators.rsi_nb, (close, 14)),
        (indicators.average_true_range_nb, (high, low, close, 14)),
        (indicators.rolling_sum_nb, (volume, 14)),
        (indicators.rolling_mean_sd_nb, (close, 14)),
        (indicators.vwap_nb, (high, low, close, volume, 14)),
        (indicators.log_return_nb, (close, 14)),
    ]
    for kernel, arguments in cases:
        np.testing.assert_array_equal(kernel(*arguments), kernel.py_func(*arguments))
