"""The walk-forward windows along one timeline: what each learned from, and what it was worth on its test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.report.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SKY,
    VERMILLION,
    Picture,
    new_figure,
    style,
    utc_dates,
)
from botscalp.report.numbers import figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGES = (("train", SKY, "////", 0.25), ("validation", ORANGE, "xxx", 0.35), ("test", BLUE, "", 1.0))
"""each range, its colour, hatch (of lines: dots make 250 kB of SVG) and opacity"""
SIDES = (
    ("above", "^", GREEN, "interval above no skill"),
    ("undecided", "o", MUTED, "interval spans it, or none"),
    ("below", "v", VERMILLION, "interval below"),
)
"""where an interval lies to the null, the marker and colour that show it, and what they are called"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure of every window, and of all windows at once."""

    name: str
    null: float
    """what it is without skill"""
    form: str
    values: Sequence[float | None]
    ends: Sequence[Sequence[float] | None]
    pooled: float | None
    pooled_ends: Sequence[float] | None

    def side(self, window: int) -> str:
        """ "above" or "below" the null with its whole interval, else "undecided"."""
        ends = self.ends[window]
        if ends is None or ends[0] <= self.null <= ends[1]:
            return "undecided"
        return "above" if ends[0] > self.null else "below"


def windows(summary: Mapping[str, Any]) -> Picture | None:
    """Whether it is steady; None without windows."""
    found = summary["windows"]
    if not found:
        return None
    rows = rows_of(summary)
    ranges_in = float(np.clip(0.4 + 0.16 * len(found), 0.6, 2.4))
    with style():
        drawn = new_figure(ranges_in + 4.2)
        top, *below = drawn.subplots(4, sharex=True, height_ratios=(ranges_in, 1.2, 1.2, 1.2))
        _draw_ranges(top, found)
        for axes, row in zip(below, rows, strict=True):
            _draw_row(axes, row, found)
        utc_dates(below[-1])
        drawn.align_ylabels()
        _explain(drawn)
    return Picture(
        name="windows",
        title="Is it steady?",
        reading=_reading(rows),
        figure=drawn,
        table=_table(rows, found),
    )


def rows_of(summary: Mapping[str, Any]) -> tuple[Row, Row, Row]:
    """AUC, Brier skill and the mean net trade."""
    found, metrics, backtest = summary["windows"], summary["metrics"], summary["backtest"]
    intervals = summary["intervals"]

    def row(name: str, key: str, null: float, form: str, values: Sequence[float | None], *pooled: Any) -> Row:
        ends = [window["intervals"][key] for window in found]
        return Row(name=name, null=null, form=form, values=values, ends=ends, pooled=pooled[0], pooled_ends=pooled[1])

    def of_metrics(name: str, key: str, null: float, form: str) -> Row:
        values = [window["metrics"][key] for window in found]
        return row(name, key, null, form, values, metrics[key], intervals["test"][key])

    net = [window["mean_net_bps"] for window in found]
    return (
        of_metrics("AUC", "auc", 0.5, ".4f"),
        of_metrics("Brier skill", "brier_skill", 0.0, "+.4f"),
        row(
            "net bps a trade",
            "mean_net_bps",
            0.0,
            "+.2f",
            net,
            backtest["mean_net_bps"],
            intervals["backtest"]["mean_net_bps"],
        ),
    )


def _draw_ranges(axes: "Axes", found: Sequence[Mapping[str, Any]]) -> None:
    """A bar a window, the oldest on top."""
    for name, colour, hatch, opacity in RANGES:
        starts = np.array([_time(window[name][0]) for window in found])
        ends = np.array([_time(window[name][1]) for window in found])
        axes.barh(
            [window["window"] for window in found],
            ends - starts,
            left=starts,
            height=0.8,
            facecolor=(colour, opacity),
            edgecolor=colour,
            linewidth=0.5,
            hatch=hatch,
            label=name,
        )
    axes.set_ylabel("window")
    axes.set_yticks(range(0, len(found), -(-len(found) // 8)))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)


def _draw_row(axes: "Axes", row: Row, found: Sequence[Mapping[str, Any]]) -> None:
    if row.pooled_ends is not None:
        axes.axhspan(*row.pooled_ends, color=BLUE, alpha=0.15, linewidth=0)
    if row.pooled is not None:
        axes.axhline(row.pooled, color=BLUE, linewidth=1.0, linestyle="--")
        axes.annotate(
            f"all {row.pooled:{row.form}}",
            (1.01, row.pooled),
            xycoords=("axes fraction", "data"),
            color=BLUE,
            fontsize=8,
            va="center",
        )
    axes.axhline(row.null, color=INK, linewidth=0.9)
    middles = np.array([_middle(window) for window in found])
    size = float(np.clip(60 / len(found), 3, 6))
    for side, marker, colour, _ in SIDES:
        chosen = [number for number, value in enumerate(row.values) if value is not None and row.side(number) == side]
        ends = np.array([row.ends[number] or (np.nan, np.nan) for number in chosen]).reshape(-1, 2)
        axes.vlines(middles[chosen], *ends.T, color=colour, linewidth=1.1)
        values = np.array([row.values[number] for number in chosen], dtype=np.float64)
        axes.plot(middles[chosen], values, linestyle="none", marker=marker, markersize=size, color=colour, label=side)
    axes.set_ylabel(row.name)
    if all(value is None for value in row.values):
        axes.text(0.5, 0.75, "undefined", transform=axes.transAxes, color=MUTED, horizontalalignment="center")


def _explain(drawn: "Figure") -> None:
    """The legend of the three rows."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, label=words) for _, marker, colour, words in SIDES
    ]
    lines = [
        Line2D([], [], color=INK, linewidth=0.9, label="no skill"),
        Patch(color=(BLUE, 0.15), label="all windows, 95 %"),
    ]
    drawn.legend(handles=[*marks, *lines], loc="outside lower left", ncols=3)


def _reading(rows: Sequence[Row]) -> str:
    return f"{'; '.join(_steadiness(row) for row in rows)}."


def _steadiness(row: Row) -> str:
    """In how many windows the figure is above its null, and in how many that is more than luck."""
    values = [value for value in row.values if value is not None]
    if not values:
        return f"{row.name} is undefined in every window"
    number = f"{len(values)} {'window' if len(values) == 1 else 'windows'}"
    missing = f", undefined in {len(row.values) - len(values)}" if len(values) < len(row.values) else ""
    ends = {format(extreme(values), row.form): None for extreme in (min, max)}
    sides = [row.side(number) for number, value in enumerate(row.values) if value is not None]
    clear = [f"{side} in {sides.count(side)}" for side in ("above", "below") if side in sides]
    whole = f"the whole interval is {' and '.join(clear)}" if clear else f"no interval leaves {row.null:g} out"
    above = sum(value > row.null for value in values)
    return f"{row.name} is above {row.null:g} in {above} of {number}{missing} ({' to '.join(ends)}; {whole})"


def _table(rows: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    counts = [window["trades"] for window in found]
    ranges = {f"{name} from": [window[name][0][:10] for window in found] + [""] for name, *_ in RANGES}
    figures = {
        row.name: [figure(value, ends, row.form) for value, ends in zip(row.values, row.ends, strict=True)]
        + [figure(row.pooled, row.pooled_ends, row.form)]
        for row in rows
    }
    return pd.DataFrame(
        {"window": [*(str(window["window"]) for window in found), "all"]}
        | ranges
        | {"test until": [window["test"][1][:10] for window in found] + [""]}
        | figures
        | {"trades": [f"{trades:,}" for trades in (*counts, sum(counts))]}
    )


def _time(text: str) -> np.datetime64:
    return np.datetime64(text.removesuffix("Z"), "ns")


def _middle(window: Mapping[str, Any]) -> np.datetime64:
    start, end = (_time(text) for text in window["test"])
    return start + (end - start) // 2
