"""The mean net trade over thresholds and costs, and over a grid of settings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from botscalp.report import numbers
from botscalp.report.drawing import Picture
from botscalp.report.figures.cells import Cells, heat_map
from botscalp.report.material import Material
from botscalp.types import Bool, Float64, Int64

if TYPE_CHECKING:
    import pandas as pd

MIN_TRADES = 30
"""of which a mean is shown"""
GREY = f"fewer than {MIN_TRADES} trades"


def threshold_costs(material: Material) -> Picture | None:
    """The mean net trade over thresholds and multiples of the costs; None where no cell has a trade."""
    import pandas as pd

    if not (material.threshold_costs.trades > 0).any():
        return None
    found = _Found.of(material.threshold_costs)
    multiples = ["as set" if multiple == 1.0 else f"{multiple:g} x" for multiple in found.multiples]
    thresholds = aligned(found.thresholds)
    trades = [f"{count:,}" for count in found.trades[:, found.set_column]]
    own_row = np.flatnonzero(np.isclose(found.thresholds, material.threshold))
    own = (int(own_row[0]), found.set_column) if len(own_row) else None
    cells = Cells(
        rows=[f"{threshold} ({count})" for threshold, count in zip(thresholds, trades, strict=True)],
        columns=multiples,
        values=np.where(found.known, found.mean_net_bps, np.nan),
        unsure=found.known & ~((found.low > 0) | (found.high < 0)),
        own=own,
    )
    figures = {
        f"net bps, costs {name}": [found.text((row, column)) for row in range(len(thresholds))]
        for column, name in enumerate(multiples)
    }
    return Picture(
        name="threshold-costs",
        title="Where does the edge die?",
        reading=found.reading(own),
        figure=heat_map(
            cells, x_label="costs", y_label="threshold of p (trades)", value_label="mean net trade, bps", grey=GREY
        ),
        table=pd.DataFrame({"threshold": thresholds, "trades": trades} | figures),
    )


def grid(table: "pd.DataFrame", grid: Mapping[str, Sequence[float]]) -> Picture:
    """A grid's mean net trade over its two longest keys, the median over the others: a good cell in bad company is luck.

    Args:
        table: a row for every combination of settings: their values, trades and mean_net_bps.
        grid: the values by setting.
    """
    column, *rest = sorted(grid, key=lambda name: len(grid[name]), reverse=True)
    row, others = (rest[0], rest[1:]) if rest else (None, [])
    medians = table.groupby(column if row is None else [row, column])[["mean_net_bps", "trades"]].median()
    shown = medians.mean_net_bps.where(medians.trades >= MIN_TRADES)
    values = shown.to_frame().T if row is None else shown.unstack()
    cells = Cells(
        rows=[""] if row is None else aligned(values.index.to_numpy(float)),
        columns=aligned(values.columns.to_numpy(float)),
        values=values.to_numpy(float),
    )
    median = f", median over {', '.join(others)}" if others else ""
    texts = values.map(lambda value: numbers.number(None if np.isnan(value) else value, "+.2f"))
    texts.columns = [f"{column} {name}" for name in cells.columns]
    if row is not None:
        texts.insert(0, row, cells.rows)
    return Picture(
        name="grid",
        title="Which settings would have earned?",
        reading=_grid_reading(table, cells, row, column, median),
        figure=heat_map(
            cells,
            x_label=column,
            y_label=row or "",
            value_label=f"{'median of the ' if others else ''}mean net trade, bps",
            grey=GREY,
        ),
        table=texts.reset_index(drop=True),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Mean net trades, 95 % intervals and counts by threshold and multiple of the costs, shape (thresholds, multiples)."""

    thresholds: Float64
    multiples: Float64
    trades: Int64
    mean_net_bps: Float64
    low: Float64
    high: Float64

    @classmethod
    def of(cls, table: "pd.DataFrame") -> "_Found":
        """Combinations that the table lacks have no trades."""
        by_name = table.pivot(index="threshold", columns="multiple")
        trades = by_name["trades"]
        return cls(
            thresholds=trades.index.to_numpy(float),
            multiples=trades.columns.to_numpy(float),
            trades=trades.fillna(0).to_numpy(np.int64),
            **{name: by_name[name].to_numpy(float) for name in ("mean_net_bps", "low", "high")},
        )

    @property
    def known(self) -> Bool:
        """Which means rest on enough trades."""
        return (self.trades >= MIN_TRADES) & np.isfinite(self.mean_net_bps)

    @property
    def set_column(self) -> int:
        """Of the costs as they are set."""
        return int(np.argmin(np.abs(self.multiples - 1.0)))

    def text(self, at: tuple[int, int]) -> str:
        """A mean with its interval, or how few trades there are."""
        if not self.known[at]:
            return f"n/a ({self.trades[at]:,} trades)"
        ends = (float(self.low[at]), float(self.high[at]))
        return numbers.figure(float(self.mean_net_bps[at]), ends if np.isfinite(ends).all() else None, "+.2f")

    def reading(self, own: tuple[int, int] | None) -> str:
        """The run's own cell, how far it could pay, the best cell at the set costs, and what choosing that one would be."""
        words = [] if own is None else list(self._own_words(own))
        at_set_costs = np.where(self.known, self.mean_net_bps, -np.inf)[:, self.set_column]
        best = (int(np.argmax(at_set_costs)), self.set_column)
        if not self.known[best]:
            return " ".join([*words, f"No threshold has {MIN_TRADES} trades at the costs as set."])
        words += [
            f"The best threshold at the costs as set is {self.thresholds[best[0]]:g} with {self.text(best)} bps.",
            "To choose a cell here would be to choose on the test bars: one more search, whose luck no interval includes.",
        ]
        return " ".join(words)

    def _own_words(self, own: tuple[int, int]) -> Iterator[str]:
        where = f"At the run's threshold, {self.thresholds[own[0]]:g}, and the costs as set"
        if not self.known[own]:
            yield f"{where} there are {self.trades[own]:,} trades, too few to tell."
            return
        yield f"{where} the mean net trade is {self.text(own)} bps over {self.trades[own]:,} trades."
        above, sure = (
            self.multiples[self.known[own[0]] & (bound[own[0]] > 0)] for bound in (self.mean_net_bps, self.low)
        )
        if not len(above):
            yield "At this threshold it is above 0 at none of the costs drawn."
        else:
            surely = _up_to(sure.max()) if len(sure) else "at none"
            yield f"At this threshold it is above 0 {_up_to(above.max())}, with its whole 95 % interval {surely}."


def _up_to(multiple: float) -> str:
    return f"up to {multiple:g} x the costs" if multiple > 0 else "only without costs"


def aligned(values: Iterable[float]) -> list[str]:
    """The values with as many decimals as the finest of them has: 0.50, 0.55."""
    shortest = [f"{value:g}" for value in values]
    decimals = max((len(text.partition(".")[2]) for text in shortest if "e" not in text), default=0)
    return [text if "e" in text else f"{float(text):.{decimals}f}" for text in shortest]


def _grid_reading(table: "pd.DataFrame", cells: Cells, row: str | None, column: str, median: str) -> str:
    known = cells.values[np.isfinite(cells.values)]
    if not len(known):
        return f"None of {len(table):,} settings can be told anything of: no cell has {MIN_TRADES} trades."
    at_row, at_column = divmod(int(np.nanargmax(cells.values)), len(cells.columns))
    place = f"{column} {cells.columns[at_column]}" + ("" if row is None else f", {row} {cells.rows[at_row]}")
    return (
        f"Of {len(table):,} settings {int((table.mean_net_bps > 0).sum()):,} have a mean net trade above 0 bps. Of "
        f"{len(known):,} cells with at least {MIN_TRADES} trades (mean net trade{median}) {int((known > 0).sum()):,} are above 0, and "
        f"{place} is the best with {known.max():+.2f} bps. The best of so many is no evidence by itself."
    )
