"""The feature families: what each column is, how far back it looks, and how it is computed.

Every column is scale-free: prices enter as ratios or in units of the ATR, volumes as shares of other volumes, so
nothing depends on the price level or on the lot. And every column is finite on a market that stands still: a distance
measured in a spread of zero is zero.

To add a family, write one function from its spans to a `Family` here, list it in `FAMILIES`, and give `FeatureSet` the
field of the same name. Those here are computed in one compiled pass; their averages are seeded as TA-Lib's
(https://ta-lib.org), but for an RSI where nothing has moved.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botscalp.features.average_kernel import GAIN, LOSS, PRICE, TRUE_RANGE
from botscalp.features.fill_kernel import (
    BAND,
    BAND_WIDTH,
    BURST,
    DISTANCE,
    MACD,
    MACD_HISTOGRAM,
    RANGE,
    RETURN,
    STRENGTH,
    TAKER_FLOW,
    VOLATILITY,
    VWAP,
)
from botscalp.features.table import ATR_SPAN, Table
from botscalp.features.window_kernel import FLOW, SQUARE, VALUE, VOLUME
from botscalp.types import Bars, Float64

Spans = tuple[int, ...]

SEED_WEIGHT = 1e-6
"""an average with infinite memory counts as warm once its seed weighs less than this"""


@dataclass(frozen=True)
class Feature:
    """One column: row t depends on rows t - lookback_bars .. t alone, and is valid from t = lookback_bars on."""

    name: str
    lookback_bars: int


@dataclass(frozen=True)
class Family:
    """Columns that are computed together, in one of two ways.

    `columns` gives one array of shape (T,) per feature, in the order of `features`: row t from bars up to t, finite
    from the feature's lookback on. `compiled` names the same to the compiled pass instead. `needs` names the optional
    columns of Bars that are read.
    """

    features: tuple[Feature, ...]
    columns: Callable[[Bars], Iterator[Float64]] | None = None
    needs: tuple[str, ...] = ()
    compiled: Callable[[Table], None] | None = None

    def __post_init__(self) -> None:
        assert (self.columns is None) != (self.compiled is None)


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

    def fill(table: Table) -> None:
        for span in spans:
            table.add(RETURN, span)

    return Family(tuple(Feature(f"return_{span}", span) for span in spans), compiled=fill)


def rsi(spans: Spans) -> Family:
    """RSI, brought from 0 .. 100 to -1 .. 1; 0 where nothing has moved."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(STRENGTH, table.wilder(GAIN, span), table.wilder(LOSS, span))

    return Family(tuple(Feature(f"rsi_{span}", wilder_lookback(span)) for span in spans), compiled=fill)


def ema(spans: Spans) -> Family:
    """The close's distance above its EMA, in ATRs; the EMA is seeded with the mean of its first `span` rows."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add_in_atr(DISTANCE, table.average(PRICE, 0, span, 2 / (span + 1)))

    lookback = wilder_lookback(ATR_SPAN)
    features = tuple(Feature(f"ema_{span}", max(ema_lookback(span), lookback)) for span in spans)
    return Family(features, compiled=fill)


def macd(spans: tuple[tuple[int, int, int], ...]) -> Family:
    """MACD line and histogram, in ATRs, of each (fast, slow, signal); both seeds end at row slow - 1, as TA-Lib's do."""

    def fill(table: Table) -> None:
        for fast, slow, signal in spans:
            fast_ema = table.average(PRICE, slow - fast, slow, 2 / (fast + 1))
            slow_ema = table.average(PRICE, 0, slow, 2 / (slow + 1))
            line = table.line(fast_ema, slow_ema, slow - 1, signal)
            table.add_in_atr(MACD, line)
            table.add_in_atr(MACD_HISTOGRAM, line)

    features = []
    for fast, slow, signal in spans:
        lookback = max(ema_lookback(slow) + ema_lookback(signal), wilder_lookback(ATR_SPAN))
        features += [Feature(f"{name}_{fast}_{slow}_{signal}", lookback) for name in ("macd", "macd_histogram")]
    return Family(tuple(features), compiled=fill)


def atr(spans: Spans) -> Family:
    """ATR as a fraction of the close."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(RANGE, table.wilder(TRUE_RANGE, span))

    return Family(tuple(Feature(f"atr_{span}", wilder_lookback(span)) for span in spans), compiled=fill)


def bollinger(spans: Spans) -> Family:
    """The close's distance above the middle band in standard deviations, and one deviation as a share of the mean."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(BAND, table.moment(span))
            table.add(BAND_WIDTH, table.moment(span))

    names = [name for span in spans for name in (f"bollinger_{span}", f"bollinger_width_{span}")]
    lookbacks = [span - 1 for span in spans for _ in range(2)]
    return Family(tuple(map(Feature, names, lookbacks)), compiled=fill)


def vwap(spans: Spans) -> Family:
    """The close's distance above the VWAP of typical prices, in ATRs; 0 where nothing was traded."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add_in_atr(VWAP, table.window(VALUE, span), table.window(VOLUME, span))

    lookback = wilder_lookback(ATR_SPAN)
    return Family(tuple(Feature(f"vwap_{span}", max(span - 1, lookback)) for span in spans), compiled=fill)


def volume(spans: Spans) -> Family:
    """Volume v against its rolling mean m, as v / (v + m): 0 for none, 1/2 for the mean, towards 1 for a burst."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(BURST, table.window(VOLUME, span))

    return Family(tuple(Feature(f"volume_{span}", span - 1) for span in spans), compiled=fill)


def volatility(spans: Spans) -> Family:
    """Realised volatility: root mean square of one-bar log returns, per bar."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(VOLATILITY, table.window(SQUARE, span))

    return Family(tuple(Feature(f"volatility_{span}", span) for span in spans), compiled=fill)


def taker_flow(spans: Spans) -> Family:
    """What takers bought minus what they sold, as a share of the volume: -1 to 1."""

    def fill(table: Table) -> None:
        for span in spans:
            table.add(TAKER_FLOW, table.window(FLOW, span), table.window(VOLUME, span))

    features = tuple(Feature(f"taker_flow_{span}", span - 1) for span in spans)
    return Family(features, compiled=fill, needs=("taker_buy_volume",))


FAMILIES: Mapping[str, Callable[[Any], Family]] = {
    family.__name__: family
    for family in (returns, rsi, ema, macd, atr, bollinger, vwap, volume, volatility, taker_flow)
}
"""by the name of the field of FeatureSet that holds its spans; columns stand in this order"""
