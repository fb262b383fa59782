"""FeatureSet: which columns the model sees, how far back they look, and their values."""

from dataclasses import dataclass

import numpy as np

from botscalp.errors import UserError
from botscalp.features.families import FAMILIES, Family, Feature
from botscalp.features.table import Table
from botscalp.types import Bars, Count, Float32


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """The options `features=technical` and `features=ohlcv`. Spans are in bars; an empty list leaves a family out."""

    lags: Count
    """consecutive bars that the model sees, the one it predicts from included"""
    returns: tuple[Count, ...]
    """log returns over so many bars"""
    rsi: tuple[Count, ...]
    """relative strength index (Wilder)"""
    ema: tuple[Count, ...]
    """distance to the exponential moving average, in ATRs"""
    macd: tuple[tuple[Count, Count, Count], ...]
    """[fast, slow, signal] of each MACD: line and histogram, in ATRs"""
    atr: tuple[Count, ...]
    """average true range (Wilder) as a fraction of the close"""
    bollinger: tuple[Count, ...]
    """position between the Bollinger bands, in standard deviations, and their width"""
    vwap: tuple[Count, ...]
    """distance to the volume-weighted average price, in ATRs"""
    volume: tuple[Count, ...]
    """volume against its mean over so many bars"""
    volatility: tuple[Count, ...]
    """realised volatility, per bar"""
    taker_flow: tuple[Count, ...]
    """takers' purchases less sales as a share of the volume; needs taker_buy_volume"""

    def __post_init__(self) -> None:
        for spans in self.macd:
            if spans[0] >= spans[1]:
                raise UserError(
                    "features.macd", list(spans), "the fast span is not shorter than the slow one", "[12, 26, 9]"
                )
        names = [feature.name for feature in self.columns]
        if not names:
            raise UserError("features", "no columns", "every family is empty", "give at least one family a span")
        for family in FAMILIES:
            spans = getattr(self, family)
            if len(set(spans)) < len(spans):
                raise UserError(f"features.{family}", list(spans), "a span stands there twice", "name each span once")

    @property
    def families(self) -> tuple[Family, ...]:
        """The families in use."""
        return tuple(family(spans) for name, family in FAMILIES.items() if (spans := getattr(self, name)))

    @property
    def columns(self) -> tuple[Feature, ...]:
        """The features in the order of compute's columns."""
        return tuple(feature for family in self.families for feature in family.features)

    @property
    def lookback_bars(self) -> int:
        """Rows before the first one in which every column is valid."""
        return max(feature.lookback_bars for feature in self.columns)

    def compute(self, bars: Bars) -> Float32:
        """All columns, shape (T, F): NaN before a column's own lookback, finite after it.

        Rows are taken as consecutive, also across a gap: `samples.predictable` keeps gaps out of the lags.
        Raises UserError (features) where the bars lack a column that a family needs.
        """
        self._check_needs(bars)
        x_TF = self._filled(bars)
        for f, feature in enumerate(self.columns):
            x_TF[: feature.lookback_bars, f] = np.nan
        return x_TF

    def _filled(self, bars: Bars) -> Float32:
        """The columns, where those before their lookback hold anything."""
        table = Table()
        in_table: list[bool] = []
        for family in self.families:
            if family.compiled is not None:
                family.compiled(table)
            in_table += [family.compiled is not None] * len(family.features)
        compiled_TF = np.empty((len(bars), len(table.columns)), dtype=np.float32)
        table.fill(bars, compiled_TF)
        if all(in_table):
            return compiled_TF
        x_TF = np.empty((len(bars), len(in_table)), dtype=np.float32)
        x_TF[:, in_table] = compiled_TF
        others = (column for family in self.families if family.columns is not None for column in family.columns(bars))
        for f, column in zip(np.flatnonzero(~np.array(in_table)), others, strict=True):
            x_TF[:, f] = column
        return x_TF

    def _check_needs(self, bars: Bars) -> None:
        for family in self.families:
            if missing := [name for name in family.needs if getattr(bars, name) is None]:
                raise UserError(
                    "features",
                    ", ".join(feature.name for feature in family.features),
                    f"the bars of {bars.symbol} have no column {', '.join(missing)}",
                    "features=ohlcv, which needs open, high, low, close and volume only",
                )
