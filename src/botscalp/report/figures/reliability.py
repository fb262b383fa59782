"""The reliability diagram: what the probabilities said against how often it came, and how they are spread."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.report.blocks.forecast import brier_parts, calibration_error
from botscalp.report.drawing import BLUE, INK, MUTED, VERMILLION, Picture, new_figure, style
from botscalp.report.numbers import interval
from botscalp.types import Float64

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FORECASTS = (("calibrated", "reliability", BLUE, "o", "-"), ("raw", "reliability_raw", VERMILLION, "s", "--"))
"""what each forecast is called, its key in the summary, colour, marker and dash; the first decides"""
LEAST_RANGE = 0.02
"""of probability that is drawn"""

Bins = Sequence[Mapping[str, Any]]


def reliability(summary: Mapping[str, Any]) -> Picture | None:
    """Whether the probabilities can be believed; None where no row is labelled."""
    calibration = summary["calibration"]
    bins = {name: calibration[key] for name, key, *_ in FORECASTS}
    if not any(bins.values()):
        return None
    with style():
        figure = new_figure(4.8)
        above, below = figure.subplots(2, sharex=True, height_ratios=(4, 1))
        _draw_diagram(above, bins)
        _draw_density(below, summary["histogram"])
    return Picture(
        name="reliability",
        title="Can the probabilities be believed?",
        reading=_reading(summary),
        figure=figure,
        table=_table(bins),
    )


def _draw_diagram(axes: "Axes", bins: Mapping[str, Bins]) -> None:
    low, high = _shown(bins)
    for position, (name, _, colour, marker, dash) in enumerate(FORECASTS):
        axes.plot(
            [one["mean_p"] for one in bins[name]],
            [one["share_up"] for one in bins[name]],
            color=colour,
            marker=marker,
            markerfacecolor="none" if position else colour,
            linestyle=dash,
            zorder=3 - 0.1 * position,
            linewidth=1.0,
            label=name,
        )
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9, label="perfectly calibrated")
    grid, least, most = _null_band(bins)
    axes.fill_between(grid, least, most, color=MUTED, alpha=0.2, linewidth=0, label="95 % of points, were it so")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_ylabel("share that rose")
    axes.legend(loc="upper left")


def _draw_density(axes: "Axes", histogram: Mapping[str, Any]) -> None:
    edges, counts = np.array(histogram["edges"]), np.array(histogram["counts"], dtype=np.float64)
    density = counts / np.diff(edges) / max(counts.sum(), 1.0)
    axes.stairs(density, edges, fill=True, color=BLUE, alpha=0.3)
    axes.stairs(density, edges, color=BLUE, linewidth=1.0)
    axes.set_ylabel("density")
    axes.set_xlabel("probability of up, p")


def _shown(bins: Mapping[str, Bins]) -> tuple[float, float]:
    """The range of probability that holds everything drawn."""
    ends = [one[key] for of_one in bins.values() for one in of_one for key in ("mean_p", "share_up", "low", "high")]
    low, high = min(ends), max(ends)
    margin = max(0.04 * (high - low), (LEAST_RANGE - (high - low)) / 2)
    return low - margin, high + margin


def _null_band(bins: Mapping[str, Bins]) -> tuple[Float64, Float64, Float64]:
    """p, and where the share that rose would lie: from the calibrated bins, and beyond these from the raw ones."""
    points: list[tuple[float, float, float]] = []
    for name, *_ in FORECASTS:
        ends = (points[0][0], points[-1][0]) if points else (1.0, 0.0)
        beyond = [(b["mean_p"], b["low"], b["high"]) for b in bins[name] if not ends[0] <= b["mean_p"] <= ends[1]]
        points = sorted([*points, *beyond])
    p, low, high = np.array(points).T
    return p, low, high


def _reading(summary: Mapping[str, Any]) -> str:
    calibration = summary["calibration"]
    inside = " and ".join(
        f"{_inside(calibration[key])} of {len(calibration[key])} {name}"
        for name, key, *_ in FORECASTS
        if calibration[key]
    )
    points = f"{inside} points lie in the band that holds 95 % of a calibrated forecast's."
    return f"{calibration_error(summary)} {points} {brier_parts(summary)}".strip()


def _inside(bins: Bins) -> int:
    return sum(one["low"] <= one["share_up"] <= one["high"] for one in bins)


def _table(bins: Mapping[str, Bins]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "forecast": name,
                "rows": f"{one['rows']:,}",
                "mean p": f"{one['mean_p']:.4f}",
                "share that rose": f"{one['share_up']:.4f}",
                "95 % if calibrated": interval((one["low"], one["high"]), ".4f"),
            }
            for name, of_one in bins.items()
            for one in of_one
        ]
    )
