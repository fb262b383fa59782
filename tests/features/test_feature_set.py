"""FeatureSet: its columns, their scale, their lookback, and hostile markets."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.errors import UserError
from botscalp.features.families import FAMILIES, Family, Feature
from botscalp.features.feature_set import FeatureSet
from botscalp.features.table import Table
from botscalp.types import Bars, Count, Float64

PRICES = ("open", "high", "low", "close")
VOLUMES = ("volume", "taker_buy_volume")


def rescaled(bars: Bars, price: float, volume: float) -> Bars:
    columns = {name: getattr(bars, name) * price for name in PRICES}
    return replace(bars, **columns, **{name: getattr(bars, name) * volume for name in VOLUMES})


def without(features: FeatureSet, families: Iterable[str]) -> FeatureSet:
    empty: dict[str, Any] = dict.fromkeys(families, ())
    return replace(features, **empty)


def float64_columns(features: FeatureSet, bars: Bars) -> Float64:
    """The columns before they are rounded to float32, from the set's first complete row on."""
    return _unmasked(features, bars)[features.lookback_bars :]


def _unmasked(features: FeatureSet, bars: Bars) -> Float64:
    """As `compute`, but unrounded and with whatever stands before a column's lookback."""
    table = Table()
    for family in features.families:
        assert family.compiled is not None
        family.compiled(table)
    x_TF = np.empty((len(bars), len(features.columns)))
    table.fill(bars, x_TF)
    return x_TF


# --- columns ---------------------------------------------------------------------------------------------------------


def test_every_span_field_is_a_family_and_the_other_way_round() -> None:
    assert {field.name for field in fields(FeatureSet)} - {"lags"} == set(FAMILIES)


def test_the_default_columns(technical: FeatureSet, ohlcv: FeatureSet) -> None:
    assert technical.lags == 20
    lookback = {feature.name: feature.lookback_bars for feature in technical.columns}
    assert len(lookback) == len(technical.columns) == 21
    assert lookback["return_12"] == 12
    assert lookback["bollinger_20"] == 19
    assert lookback["taker_flow_1"] == 0
    # (1 - 2/49)^k < 1e-6 from k = 332 on, (1 - 1/14)^k from 187 on
    assert lookback["ema_48"] == 47 + 332
    assert lookback["rsi_14"] == 14 + 187
    assert technical.lookback_bars == max(lookback.values())
    assert replace(technical, taker_flow=()) == ohlcv
    assert all(getattr(technical, family) for family in FAMILIES)
    assert pickle.loads(pickle.dumps(technical)) == technical


def test_impossible_sets_are_refused(technical: FeatureSet) -> None:
    with pytest.raises(UserError, match=r"features\.macd=\[26, 12, 9\]"):
        replace(technical, macd=((26, 12, 9),))
    with pytest.raises(UserError, match=r"features\.rsi=\[14, 14\]"):
        replace(technical, rsi=(14, 14))
    with pytest.raises(UserError, match="every family is empty"):
        without(technical, FAMILIES)


def test_taker_flow_needs_its_column(technical: FeatureSet, ohlcv: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(500)
    plain = replace(bars, taker_buy_volume=None)
    with pytest.raises(UserError, match="features=ohlcv") as error:
        technical.compute(plain)
    assert error.value.key == "features"
    with_flow = technical.compute(bars)
    np.testing.assert_array_equal(ohlcv.compute(plain), with_flow[:, : len(ohlcv.columns)])


def test_columns_mean_what_their_names_say(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    """Columns against sums written out for one bar."""
    bars, t = make_bars(800), 700
    x_F = dict(zip([feature.name for feature in technical.columns], technical.compute(bars)[t], strict=True))
    assert bars.taker_buy_volume is not None

    def last(span: int) -> slice:
        return slice(t - span + 1, t + 1)

    bought, volume = bars.taker_buy_volume[last(6)].sum(), bars.volume[last(6)].sum()
    expected = {
        "return_3": np.log(bars.close[t] / bars.close[t - 3]),
        "taker_flow_6": (bought - (volume - bought)) / volume,
        "volume_24": bars.volume[t] / (bars.volume[t] + bars.volume[last(24)].mean()),
        "bollinger_20": (bars.close[t] - bars.close[last(20)].mean()) / bars.close[last(20)].std(),
        "bollinger_width_20": bars.close[last(20)].std() / bars.close[last(20)].mean(),
        "volatility_12": np.sqrt((np.diff(np.log(bars.close))[t - 12 : t] ** 2).mean()),
    }
    typical = (bars.high + bars.low + bars.close) / 3
    vwap = (typical * bars.volume)[last(12)].sum() / bars.volume[last(12)].sum()
    expected["vwap_12"] = (bars.close[t] - vwap) / (x_F["atr_14"] * bars.close[t])
    for name, value in expected.items():
        assert x_F[name] == pytest.approx(value, rel=1e-5), name


# --- scale -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(price=st.integers(-40, 40), volume=st.integers(-40, 40))
def test_powers_of_two_change_no_bit(
    technical: FeatureSet, make_bars: Callable[..., Bars], price: int, volume: int
) -> None:
    bars = make_bars(600)
    scaled = rescaled(bars, 2.0**price, 2.0**volume)
    np.testing.assert_array_equal(float64_columns(technical, scaled), float64_columns(technical, bars))


@settings(deadline=None, max_examples=25)
@given(price=st.floats(1e-9, 1e6), volume=st.floats(1e-9, 1e9), seed=st.integers(0, 3))
def test_no_column_depends_on_the_scale_of_prices_or_volumes(
    technical: FeatureSet, make_bars: Callable[..., Bars], price: float, volume: float, seed: int
) -> None:
    bars = make_bars(600, seed)
    plain, scaled = (float64_columns(technical, b) for b in (bars, rescaled(bars, price, volume)))
    np.testing.assert_array_less(np.abs(scaled - plain) / plain.std(axis=0), 1e-9)


# --- lookback --------------------------------------------------------------------------------------------------------


def lookback_error(features: FeatureSet, bars: Bars, rows: list[int], share: float = 1.0) -> Float64:
    """Worst error per column, in its sd, of computing a row from `share` of its lookback alone. Shape (F,)."""
    full_TF = features.compute(bars)
    sd_F = np.nanstd(full_TF, axis=0, dtype=np.float64)
    error_F = np.zeros(len(features.columns))
    for t in rows:
        for f, feature in enumerate(features.columns):
            first = t - int(share * feature.lookback_bars)
            alone = _unmasked(features, bars[first : t + 1])[-1, f]
            error_F[f] = max(error_F[f], abs(alone - full_TF[t, f]) / sd_F[f])
    return error_F


@pytest.mark.parametrize("market", ["walk", "btc"])
def test_lookback_bars_suffice(
    technical: FeatureSet, make_bars: Callable[..., Bars], request: pytest.FixtureRequest, market: str
) -> None:
    bars = make_bars(3_000) if market == "walk" else request.getfixturevalue("btc")[:60_000]
    rows = list(np.random.default_rng(0).integers(technical.lookback_bars, len(bars), 40))
    error_F = lookback_error(technical, bars, rows)
    assert error_F.max() < 1e-5, error_F


def test_a_third_of_the_lookback_does_not(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    recursive = without(technical, set(FAMILIES) - {"rsi", "ema", "macd", "atr"})
    error_F = lookback_error(recursive, make_bars(3_000), list(range(600, 3_000, 60)), share=1 / 3)
    assert (error_F > 1e-4).all(), error_F


@pytest.mark.parametrize("market", ["walk", "btc"])
def test_a_column_is_nan_before_its_lookback_and_finite_after(
    technical: FeatureSet, make_bars: Callable[..., Bars], request: pytest.FixtureRequest, market: str
) -> None:
    bars = make_bars(600) if market == "walk" else request.getfixturevalue("btc")
    x_TF = technical.compute(bars)
    assert x_TF.dtype == np.float32 and x_TF.flags.c_contiguous
    row_T = np.arange(len(bars))[:, None]
    lookback_F = np.array([feature.lookback_bars for feature in technical.columns])
    np.testing.assert_array_equal(np.isfinite(x_TF), row_T >= lookback_F)
    assert not np.isinf(x_TF).any()


@pytest.mark.parametrize("rows", [0, 1, 30, 379])
def test_too_few_bars_give_no_complete_row(technical: FeatureSet, make_bars: Callable[..., Bars], rows: int) -> None:
    x_TF = technical.compute(make_bars(rows))
    assert x_TF.shape == (rows, 21) and np.isnan(x_TF).any(axis=1).all()


# --- hostile markets -------------------------------------------------------------------------------------------------


def _edited(bars: Bars, rows: slice, **columns: Any) -> Bars:
    new = {name: getattr(bars, name).copy() for name in (*PRICES, *VOLUMES)}
    for name, values in columns.items():
        new[name][rows] = values
    return replace(bars, **new)


def _held(bars: Bars, rows: slice) -> Bars:
    """Nothing happens in those rows: every price the last close, no volume."""
    price = bars.close[rows][0]
    return _edited(bars, rows, **dict.fromkeys(PRICES, price), **dict.fromkeys(VOLUMES, 0.0))


HOSTILE: dict[str, Callable[[Bars], Bars]] = {
    "a flat hour": lambda bars: _held(bars, slice(1_000, 1_012)),
    "a flat month": lambda bars: _held(bars, slice(1_000, 9_640)),
    "flat from the start": lambda bars: _held(bars, slice(0, 5_000)),
    "no volume at all": lambda bars: _edited(bars, slice(None), volume=0.0, taker_buy_volume=0.0),
    "takers only sell": lambda bars: _edited(bars, slice(None), taker_buy_volume=0.0),
    "50 % wicks": lambda bars: _edited(bars, slice(1_000, 1_010), low=bars.low[1_000:1_010] / 2),
    "a jump by 1000 after a flat week": lambda bars: _edited(
        _held(bars, slice(1_000, 3_000)), slice(3_000, 3_001), high=6e7, close=6e7
    ),
    "price 1e-8": lambda bars: rescaled(bars, 1e-8 / 60_000, 1e12),
    "price 1e8": lambda bars: rescaled(bars, 1e8 / 60_000, 1e-8),
    "a gap": lambda bars: replace(
        bars, open_time_ns=bars.open_time_ns + np.where(np.arange(len(bars)) > 999, 10**15, 0)
    ),
    "a tick back and forth": lambda bars: _edited(
        bars, slice(1_000, 9_000), **dict.fromkeys(PRICES, 60_000 + 0.01 * (np.arange(8_000) % 2))
    ),
}


@pytest.mark.parametrize("market", HOSTILE)
def test_every_column_stays_finite(technical: FeatureSet, make_bars: Callable[..., Bars], market: str) -> None:
    x_TF = technical.compute(HOSTILE[market](make_bars(10_000)))[technical.lookback_bars :]
    assert np.isfinite(x_TF).all()
    assert np.abs(x_TF).max() < 1e5
    bounded = [f for f, feature in enumerate(technical.columns) if feature.name.startswith(("rsi", "taker", "volume_"))]
    assert np.abs(x_TF[:, bounded]).max() <= 1


# --- a user's own family ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WithBody(FeatureSet):
    body: tuple[Count, ...]

    @property
    def families(self) -> tuple[Family, ...]:
        def columns(bars: Bars) -> Iterator[Float64]:
            for span in self.body:
                yield bars.close / bars.open - span

        return (*super().families, Family(tuple(Feature(f"body_{span}", 0) for span in self.body), columns))


def test_a_user_adds_a_family_from_outside(technical: FeatureSet, make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(500)
    own = WithBody(**{field.name: getattr(technical, field.name) for field in fields(technical)}, body=(1,))
    assert own.columns[-1] == Feature("body_1", 0)
    np.testing.assert_array_equal(own.compute(bars)[:, :-1], technical.compute(bars))
    np.testing.assert_array_equal(own.compute(bars)[:, -1], (bars.close / bars.open - 1).astype(np.float32))
