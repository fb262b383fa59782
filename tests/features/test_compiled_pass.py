"""The compiled pass: the formulas that its columns are named by, whatever the columns, the spans and the blocks."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from botscalp.features.families import FAMILIES
from botscalp.features.feature_set import FeatureSet
from botscalp.features.fill_kernel import BLOCK
from botscalp.features.table import ATR_SPAN, LEAST_ATR
from botscalp.types import Bars, Float32, Float64

SETS: dict[str, dict[str, tuple[int, ...]]] = {
    "default": {},
    "short": dict.fromkeys(("returns", "bollinger", "vwap", "volume", "volatility", "taker_flow"), (1, 2, 7)),
    "longer than a block": dict.fromkeys(("returns", "bollinger", "vwap", "volume", "taker_flow"), (BLOCK + 5, 3)),
    "averages over half a block": {"rsi": (150, 3), "ema": (1, 2, 77, 150), "atr": (1, 14, 150)},
}


def share(part: Float64, whole: Float64) -> Float64:
    return part / np.where(whole > 0, whole, 1.0)


def written_out(features: FeatureSet, bars: Bars) -> dict[str, Float64]:
    """Every column by its name, an array at a time, of TA-Lib's averages and sums that are added up anew at each bar."""
    high, low, close, volume = bars.high, bars.low, bars.close, bars.volume
    assert bars.taker_buy_volume is not None

    def last(x: Float64, span: int) -> Float64:
        return sliding_window_view(np.r_[np.full(span - 1, np.nan), x], span)

    def total(x: Float64, span: int) -> Float64:
        return last(x, span).sum(axis=1)

    unit = np.maximum(talib.ATR(high, low, close, ATR_SPAN), LEAST_ATR * close)
    logs = np.log(close)
    x: dict[str, Float64] = {}
    x |= {f"return_{n}": logs - last(logs, n + 1)[:, 0] for n in features.returns}
    x |= {f"rsi_{n}": talib.RSI(close, n) / 50 - 1 for n in features.rsi}
    x |= {f"ema_{n}": (close - (talib.EMA(close, n) if n > 1 else close)) / unit for n in features.ema}
    for spans in features.macd:
        line, _, histogram = talib.MACD(close, *spans)
        name = "_".join(map(str, spans))
        x |= {f"macd_{name}": line / unit, f"macd_histogram_{name}": histogram / unit}
    x |= {f"atr_{n}": talib.ATR(high, low, close, n) / close for n in features.atr}
    for n in features.bollinger:
        mean, sd = np.array([(window.mean(), window.std()) for window in last(close, n)]).T
        x |= {f"bollinger_{n}": share(close - mean, sd), f"bollinger_width_{n}": sd / mean}
    value = (high + low + close) / 3 * volume
    x |= {f"vwap_{n}": (close - total(value, n) / total(volume, n)) / unit for n in features.vwap}
    x |= {f"volume_{n}": share(volume, volume + total(volume, n) / n) for n in features.volume}
    squares = np.diff(logs, prepend=np.nan) ** 2
    x |= {f"volatility_{n}": np.sqrt(total(squares, n) / n) for n in features.volatility}
    flow = 2 * bars.taker_buy_volume - volume
    return x | {f"taker_flow_{n}": share(total(flow, n), total(volume, n)) for n in features.taker_flow}


@pytest.mark.parametrize("spans", SETS)
@pytest.mark.parametrize("market", ["walk", "btc"])
def test_every_column_is_what_its_formula_says(
    technical: FeatureSet, make_bars: Callable[..., Bars], request: pytest.FixtureRequest, market: str, spans: str
) -> None:
    bars = make_bars(3 * BLOCK + 9) if market == "walk" else request.getfixturevalue("btc")[: 20 * BLOCK]
    features = replace(technical, **SETS[spans])  # type: ignore[arg-type]
    x_TF, expected = features.compute(bars), written_out(features, bars)
    assert [feature.name for feature in features.columns] == list(expected)
    for f, feature in enumerate(features.columns):
        ours, theirs = x_TF[feature.lookback_bars :, f], expected[feature.name][feature.lookback_bars :]
        assert len(ours) and np.isfinite(theirs).all()
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-7 * theirs.std() + 1e-12, err_msg=feature.name)


def test_a_market_that_stands_still(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    """Every column is 0, and so neutral, to the last bit; TA-Lib calls the RSI of such a market 0 of 100, we 50."""
    flat, none = np.full(1_000, 0.1), np.zeros(1_000)  # 0.1 is no binary fraction
    prices = dict.fromkeys(("open", "high", "low", "close"), flat)
    bars = replace(make_bars(1_000), **prices, volume=none, taker_buy_volume=none)  # type: ignore[arg-type]
    assert (technical.compute(bars)[technical.lookback_bars :] == 0).all()


@settings(deadline=None, max_examples=30)
@given(rows=st.one_of(st.integers(0, 3 * BLOCK), st.sampled_from([k * BLOCK + d for k in (1, 2) for d in (-1, 0, 1)])))
def test_a_prefix_has_the_same_bits(technical: FeatureSet, make_bars: Callable[..., Bars], rows: int) -> None:
    features = replace(technical, **SETS["longer than a block"])  # type: ignore[arg-type]
    bars = make_bars(3 * BLOCK)
    full_TF, part_TF = features.compute(bars), features.compute(bars[:rows])
    assert bits(part_TF) == bits(full_TF[:rows])


@settings(deadline=None, max_examples=30)
@given(chosen=st.sets(st.sampled_from(sorted(FAMILIES)), min_size=1))
def test_a_column_has_the_same_bits_in_any_company(
    technical: FeatureSet, make_bars: Callable[..., Bars], chosen: set[str]
) -> None:
    bars = make_bars(BLOCK + 500)
    empty: dict[str, tuple[int, ...]] = dict.fromkeys(FAMILIES.keys() - chosen, ())
    some = replace(technical, **empty)  # type: ignore[arg-type]
    names = [feature.name for feature in technical.columns]
    columns = [names.index(feature.name) for feature in some.columns]
    assert bits(some.compute(bars)) == bits(technical.compute(bars)[:, columns])


def test_windows_do_not_know_where_the_data_begins(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    """What has a finite memory comes out bit for bit alike from its lookback alone; so no bit can depend on blocks."""
    empty: dict[str, tuple[int, ...]] = dict.fromkeys(("rsi", "ema", "macd", "atr", "vwap"), ())
    features, bars = replace(technical, **empty), make_bars(BLOCK + 700)  # type: ignore[arg-type]
    full_TF = features.compute(bars)
    for first in (1, 500, 1_000):
        later_TF = features.compute(bars[first:])
        rows = slice(features.lookback_bars, None)
        assert bits(later_TF[rows]) == bits(full_TF[first:][rows])


def test_read_only_and_scattered_columns_are_fine(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(600)
    table = np.column_stack([column for name, column in bars.columns() if name != "open_time_ns"])
    table.flags.writeable = False
    names = [name for name, _ in bars.columns() if name != "open_time_ns"]
    views = replace(bars, **{name: table[:, f] for f, name in enumerate(names)})
    assert bits(technical.compute(views)) == bits(technical.compute(bars))


def test_the_pass_stays_inside_its_arrays() -> None:
    """The same kernels as plain Python, where an index beyond the end raises, give the same bits."""
    script = """
from dataclasses import replace
import sys
sys.path.insert(0, "tests/features")
import numpy as np
import conftest
from botscalp.features import fill_kernel

fill_kernel.BLOCK = 64
features = replace(conftest.option("technical"), volume=(24, 70), volatility=(12, 70), vwap=(12, 96), ema=(12, 30))
bars = conftest.make_bars.__wrapped__()(467)
for rows in (0, 1, 63, 64, 65, 467):
    sys.stdout.write(features.compute(bars[:rows]).tobytes().hex() + "\\n")
"""
    plain, compiled = (
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script if off else script.replace("fill_kernel.BLOCK = 64", "")],
            env={**os.environ, "NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in ("1", "")
    )
    assert len(plain) > 467 * 21 * 8 and plain == compiled


def bits(x: Float32) -> bytes:
    """What is compared; NaN is always written the same way."""
    return np.ascontiguousarray(x).tobytes()
