"""Bars, features and labels of all symbols as one table of rows: symbol after symbol, by time within each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from botscalp.data.bars import market_digest
from botscalp.errors import UserError
from botscalp.features.causality import CUTS, check_causality
from botscalp.features.feature_set import FeatureSet
from botscalp.features.samples import Timeline, predictable
from botscalp.labels import Label
from botscalp.types import Bars, Bool, Float32, Int64
from botscalp.windows import Range


@dataclass(frozen=True, kw_only=True)
class Panel:
    """N rows, one a bar. A sample is named by the row of its last bar; it never crosses a symbol or a gap."""

    bars: tuple[Bars, ...]
    first_row: Int64
    """where each symbol starts, and N; shape (symbols + 1,)"""
    open_time_ns: Int64
    x_NF: Float32
    """features, NaN while they warm up"""
    label_N: Float32
    """1 up, 0 down, NaN where there is no label"""
    predictable_N: Bool
    timeline: Timeline

    @property
    def interval_ns(self) -> int:
        return self.bars[0].interval_ns

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(bars.symbol for bars in self.bars)

    @cached_property
    def digest(self) -> str:
        """sha256 of all bars."""
        return market_digest(self.bars)

    @property
    def span_ns(self) -> tuple[int, int]:
        """From the first open to the last close that all symbols share."""
        return (
            max(int(bars.open_time_ns[0]) for bars in self.bars),
            min(int(bars.close_time_ns[-1]) for bars in self.bars),
        )

    @property
    def symbol_N(self) -> Int64:
        """Position of each row's symbol in `bars`."""
        return np.repeat(np.arange(len(self.bars)), np.diff(self.first_row))

    @property
    def features(self) -> list[Float32]:
        """The features of each symbol, (T, F) each, as views."""
        return np.split(self.x_NF, self.first_row[1:-1])

    def slices(self, part: Range) -> list[slice]:
        """Each symbol's rows in the range."""
        return [
            slice(*(first + np.searchsorted(one.open_time_ns, [part.start_ns, part.end_ns])))
            for one, first in zip(self.bars, self.first_row, strict=False)
        ]

    def predictable_rows(self, part: Range) -> Int64:
        """Rows in the range that get a prediction."""
        inside = (self.open_time_ns >= part.start_ns) & (self.open_time_ns < part.end_ns)
        return np.flatnonzero(inside & self.predictable_N)

    def labelled_rows(self, part: Range) -> Int64:
        """Predictable rows in the range that have a label; training and metrics use these alone."""
        rows = self.predictable_rows(part)
        return rows[~np.isnan(self.label_N[rows])]


def build_panel(bars: tuple[Bars, ...], *, features: FeatureSet, label: Label, seed: int) -> Panel:
    """Compute features and labels, and check on random prefixes that no feature looks ahead.

    Raises:
        CausalityError: a feature at t changed when bars after t were taken away.
        UserError: the symbols' intervals differ, or bars are too few for a single sample.
    """
    intervals = {one.interval_ns for one in bars}
    if len(intervals) > 1:
        raise UserError(
            "data.symbols", [one.symbol for one in bars], "their intervals differ", "use files of one interval"
        )
    if max(one.open_time_ns[0] for one in bars) >= min(one.close_time_ns[-1] for one in bars):
        spans = {one.symbol: Range(int(one.open_time_ns[0]), int(one.close_time_ns[-1])) for one in bars}
        raise UserError(
            "data.symbols",
            ", ".join(f"{symbol} {span}" for symbol, span in spans.items()),
            "have no time in common",
            "load symbols whose bars overlap",
        )
    panel = assembled(bars, features=features, label=label)
    check_prefixes(panel, features, seed=seed)
    if not panel.predictable_N.any():
        raise UserError(
            "data.start",
            "all",
            f"{sum(map(len, bars))} bars hold no sample: the features need {features.lookback_bars} bars "
            f"and {features.lags} lags without a gap",
            "load more bars, or use shorter spans in features",
        )
    return panel


def check_prefixes(panel: Panel, features: FeatureSet, *, seed: int, cuts: int = CUTS) -> None:
    """Check on `cuts` random prefixes of each symbol that no feature looks ahead; CausalityError where one does."""
    names = tuple(column.name for column in features.columns)
    for one, x_TF in zip(panel.bars, panel.features, strict=True):
        check_causality(features.compute, one, x_TF, names=names, seed=seed, cuts=cuts)


def assembled(bars: tuple[Bars, ...], *, features: FeatureSet, label: Label) -> Panel:
    """The table of these bars, unchecked."""
    x = [features.compute(one) for one in bars]
    return Panel(
        bars=bars,
        first_row=np.cumsum([0, *map(len, bars)]),
        open_time_ns=np.concatenate([one.open_time_ns for one in bars]),
        x_NF=_joined(x),
        label_N=np.concatenate([label.labels(one) for one in bars]),
        predictable_N=np.concatenate([predictable(one, features.lags, features.lookback_bars) for one in bars]),
        timeline=Timeline.of(bars, features.lookback_bars),
    )


def _joined(x: Sequence[Float32]) -> Float32:
    """Symbol after symbol; one alone is not copied."""
    return x[0] if len(x) == 1 else np.concatenate(x)
