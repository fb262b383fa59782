"""The feature families: what each column is, how far back it looks, and how it is computed.

Every column is scale-free: prices enter as ratios or in units of the ATR, volumes as shares of other volumes, so
nothing depends on the price level or on the lot. And every column is finite on a market that stands still: a distance
measured in a spread of zero is zero.

To add a family, write one function from its spans to a `Family` here, list it in `FAMILIES`, and give `FeatureSet` the
field of the same name.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from botscalp import indicators
from botscalp.types import Bars, Float64

Spans = tuple[int, ...]

SEED_WEIGHT = 1e-6
"""an average with infinite memory counts as warm once its seed weighs less than this"""

ATR_SPAN = 14
"""the ATR in whose units distances are measured, which is also the backtest's"""

LEAST_ATR = 1e-6
"""of the close (0.01 bp): the unit shrinks no further on a market that stands still"""


@dataclass(frozen=True)
class Feature:
    """One column: row t depends on rows t - lookback_bars .. t alone, and is valid from t = lookback_bars on."""

    name: str
    lookback_bars: int


@dataclass(frozen=True)
class Family:
    """Columns that are computed together.

    `columns` gives one array of shape (T,) per feature, in the order of `features`: row t from bars up to t, finite
    from the feature's lookback on. `needs` names the optional columns of Bars that it reads.
    """

    features: tuple[Feature, ...]
    columns: Callable[[Bars], Iterator[Float64]]
    needs: tuple[str, ...] = ()


def ema_lookback(span: int) -> int:
    """Bars until an EMA's seed, the mean of `span` rows, weighs less than SEED_WEIGHT."""
    return span - 1 + _seed_bars(2 / (span + 1))


def wilder_lookback(span: int) -> int:
    """Bars until the seed of a Wilder average, the mean of `span` changes, weighs less than SEED_WEIGHT."""
    return span + _seed_bars(1 / span)


def _seed_bars(weight: float) -> int:
    return 1 if weight >= 1 else math.ceil(math.log(SEED_WEIGHT) / math.log1p(-weight))


def returns(spans: Spans) -> Family:
    """Log returns over the last `span` bars."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            yield indicators.log_return(bars.close, span)

    return Family(tuple(Feature(f"return_{span}", span) for span in spans), columns)


def rsi(spans: Spans) -> Family:
    """RSI, brought from 0 .. 100 to -1 .. 1."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            yield indicators.rsi(bars.close, span) / 50 - 1

    return Family(tuple(Feature(f"rsi_{span}", wilder_lookback(span)) for span in spans), columns)


def ema(spans: Spans) -> Family:
    """The close's distance above its EMA, in ATRs."""

    def columns(bars: Bars) -> Iterator[Float64]:
        unit = _atr_unit(bars)
        for span in spans:
            yield (bars.close - indicators.ema(bars.close, span)) / unit

    lookback = wilder_lookback(ATR_SPAN)
    return Family(tuple(Feature(f"ema_{span}", max(ema_lookback(span), lookback)) for span in spans), columns)


def macd(spans: tuple[tuple[int, int, int], ...]) -> Family:
    """MACD line and histogram, in ATRs, of each (fast, slow, signal)."""

    def columns(bars: Bars) -> Iterator[Float64]:
        unit = _atr_unit(bars)
        for fast, slow, signal in spans:
            line, _, histogram = indicators.macd(bars.close, fast, slow, signal)
            yield line / unit
            yield histogram / unit

    features = []
    for fast, slow, signal in spans:
        lookback = max(ema_lookback(slow) + ema_lookback(signal), wilder_lookback(ATR_SPAN))
        features += [Feature(f"{name}_{fast}_{slow}_{signal}", lookback) for name in ("macd", "macd_histogram")]
    return Family(tuple(features), columns)


def atr(spans: Spans) -> Family:
    """ATR as a fraction of the close."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            yield indicators.atr(bars, span) / bars.close

    return Family(tuple(Feature(f"atr_{span}", wilder_lookback(span)) for span in spans), columns)


def bollinger(spans: Spans) -> Family:
    """The close's distance above the middle band in standard deviations, and one deviation as a share of the mean."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            mean, sd = indicators.rolling_mean_sd(bars.close, span)
            yield _share(bars.close - mean, sd)
            yield sd / mean

    names = [name for span in spans for name in (f"bollinger_{span}", f"bollinger_width_{span}")]
    lookbacks = [span - 1 for span in spans for _ in range(2)]
    return Family(tuple(map(Feature, names, lookbacks)), columns)


def vwap(spans: Spans) -> Family:
    """The close's distance above the VWAP, in ATRs."""

    def columns(bars: Bars) -> Iterator[Float64]:
        unit = _atr_unit(bars)
        for span in spans:
            yield (bars.close - indicators.vwap(bars.high, bars.low, bars.close, bars.volume, span)) / unit

    lookback = wilder_lookback(ATR_SPAN)
    return Family(tuple(Feature(f"vwap_{span}", max(span - 1, lookback)) for span in spans), columns)


def volume(spans: Spans) -> Family:
    """Volume v against its rolling mean m, as v / (v + m): 0 for none, 1/2 for the mean, towards 1 for a burst."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            yield _share(bars.volume, bars.volume + indicators.rolling_sum(bars.volume, span) / span)

    return Family(tuple(Feature(f"volume_{span}", span - 1) for span in spans), columns)


def volatility(spans: Spans) -> Family:
    """Realised volatility of one-bar log returns, per bar."""

    def columns(bars: Bars) -> Iterator[Float64]:
        for span in spans:
            yield indicators.realised_volatility(bars.close, span)

    return Family(tuple(Feature(f"volatility_{span}", span) for span in spans), columns)


def taker_flow(spans: Spans) -> Family:
    """What takers bought minus what they sold, as a share of the volume: -1 to 1."""

    def columns(bars: Bars) -> Iterator[Float64]:
        assert bars.taker_buy_volume is not None
        bought_less_sold = 2 * bars.taker_buy_volume - bars.volume
        for span in spans:
            yield _share(indicators.rolling_sum(bought_less_sold, span), indicators.rolling_sum(bars.volume, span))

    features = tuple(Feature(f"taker_flow_{span}", span - 1) for span in spans)
    return Family(features, columns, needs=("taker_buy_volume",))


FAMILIES: Mapping[str, Callable[[Any], Family]] = {
    family.__name__: family
    for family in (returns, rsi, ema, macd, atr, bollinger, vwap, volume, volatility, taker_flow)
}
"""by the name of the field of FeatureSet that holds its spans; columns stand in this order"""


def _atr_unit(bars: Bars) -> Float64:
    return np.maximum(indicators.atr(bars, ATR_SPAN), LEAST_ATR * bars.close)


def _share(part: Float64, whole: Float64) -> Float64:
    """part / whole, and 0 where the whole is 0 (then so is the part)."""
    return part / np.where(whole > 0, whole, 1.0)
