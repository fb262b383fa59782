"""The probabilities of the rows that rose beside those of the rows that fell: the further apart, the more is known."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.report.drawing import BLUE, INK, VERMILLION, Picture, new_figure, style
from botscalp.report.material import Material
from botscalp.report.numbers import figure
from botscalp.types import Bool, Float64, Int64

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BINS = 40
LEAST_RANGE = 0.01
"""of probability that is drawn"""
OUTCOMES = (("rose", 1, BLUE, "-"), ("fell", 0, VERMILLION, "--"))
"""what each outcome is called, its label, colour and dash"""


def histogram(summary: Mapping[str, Any], material: Material) -> Picture | None:
    """Whether the forecast separates what rose from what fell; None where no row is labelled."""
    p, label = (material.predictions[name].to_numpy(np.float64) for name in ("p", "label"))
    if not len(p):
        return None
    edges = _edges(p)
    counts = {name: np.histogram(p[label == value], edges)[0] for name, value, *_ in OUTCOMES}
    with style():
        drawn = new_figure(3.2)
        axes = drawn.subplots()
        _draw(axes, edges, counts)
        _mark_threshold(axes, material.threshold)
        drawn.legend(loc="outside lower center", ncols=2)
    return Picture(
        name="histogram",
        title="Does it separate?",
        reading=_reading(summary, p, label, material.threshold),
        figure=drawn,
        table=_table(edges, counts),
    )


def _edges(p: Float64) -> Float64:
    low, high = float(p.min()), float(p.max())
    missing = max(0.0, LEAST_RANGE - (high - low)) / 2
    return np.linspace(low - missing, high + missing, BINS + 1)


def _draw(axes: "Axes", edges: Float64, counts: Mapping[str, Int64]) -> None:
    """Each outcome's density, so that the more frequent one does not stand above the other."""
    for name, _, colour, dash in OUTCOMES:
        rows = int(counts[name].sum())
        density = counts[name] / max(rows, 1) / np.diff(edges)
        axes.stairs(density, edges, color=colour, linestyle=dash, linewidth=1.4, label=f"{name} ({rows:,} rows)")
    axes.set_xlabel("probability of up, p")
    axes.set_ylabel("density")
    axes.margins(x=0.02)


def _mark_threshold(axes: "Axes", threshold: float) -> None:
    """Where trades begin; at the edge in words alone where that lies off the scale."""
    low, high = axes.get_xlim()
    for words, p, side in (("short below", 1 - threshold, "right"), ("long above", threshold, "left")):
        inside = low <= p <= high
        if inside:
            axes.axvline(p, color=INK, linewidth=1.0, linestyle=":")
        axes.text(
            p if inside else (low if p < low else high),
            1.01,
            f"{words} {p:.4g}" + ("" if inside else ", off the scale"),
            transform=axes.get_xaxis_transform(),
            fontsize=8.0,
            horizontalalignment=side if inside else ("left" if p < low else "right"),
            verticalalignment="bottom",
        )


def _reading(summary: Mapping[str, Any], p: Float64, label: Float64, threshold: float) -> str:
    rose, fell = (p[label == value] for _, value, *_ in OUTCOMES)
    if len(rose) and len(fell):
        auc = figure(summary["metrics"]["auc"], summary["intervals"]["test"]["auc"], ".4f")
        apart = (
            f"The mean p is {rose.mean():.4f} where it rose and {fell.mean():.4f} where it fell, "
            f"{rose.mean() - fell.mean():+.4f} apart (AUC {auc}; 0.5 is no separation)."
        )
    else:
        apart = f"All rows {'rose' if len(rose) else 'fell'}: there is nothing to separate."
    longs, shorts = p > threshold, p < 1 - threshold
    beyond = longs | shorts
    went = f"; {np.mean(label[beyond] == longs[beyond]):.1%} of these went that way" if beyond.any() else ""
    chosen = {window["bracket"]["threshold"] for window in summary["windows"]} or {threshold}
    ends = " to ".join(f"{end:.4g}" for end in sorted({min(chosen), max(chosen)}))
    others = "" if chosen == {threshold} else f" (windows chose {ends})"
    return (
        f"{apart} {beyond.mean():.1%} of the rows lie above {threshold:.4g} or below {1 - threshold:.4g}{others}{went}. "
        f"{_amount(np.isin(p, (0.0, 1.0)))} exactly 0 or 1."
    )


def _amount(chosen: Bool) -> str:
    return f"{chosen.mean():.2%} are" if chosen.any() else "None is"


def _table(edges: Float64, counts: Mapping[str, Int64]) -> "pd.DataFrame":
    import pandas as pd

    ranges = {"p from": [f"{edge:.4f}" for edge in edges[:-1]], "p to": [f"{edge:.4f}" for edge in edges[1:]]}
    rows = {f"rows that {name}": [f"{count:,}" for count in of_one] for name, of_one in counts.items()}
    return pd.DataFrame(ranges | rows)
