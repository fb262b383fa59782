"""What is left of the best run of a comparison once its search is counted."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from botscalp.report.compared import GROUND, Found, listed, names
from botscalp.report.drawing import BLUE, GREEN, INK, MUTED, ORANGE, VERMILLION, Picture, new_figure, style
from botscalp.report.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR = {"pass": GREEN, "fail": VERMILLION, "undecided": ORANGE}


def search_luck(found: Found) -> Picture | None:
    """The runs' Sharpe ratios beside what luck would show, and the three measures beside their lines; None on few days."""
    measures = found["luck"]["measures"]
    if all(one["value"] is None for one in measures):
        return None
    with style():
        figure = new_figure(3.3)
        top, below = figure.subplots(2, 1, height_ratios=(1, 2.2))
        _sharpes(top, found)
        _gauges(below, found)
    deflated = found["luck"]["deflated"]
    rows = [
        (one["name"], number(one["value"], ".4f"), f"{one['good']} {one['line']}", one["result"], one["words"])
        for one in measures
    ]
    best = found["runs"][0]["daily_sharpe"]
    rows.append(("Sharpe ratio of the best", number(best, "+.3f"), "", "", "annualised, of the common days"))
    if deflated is not None:
        expected = number(deflated["expected_best_sharpe"], "+.3f")
        rows.append(
            ("Sharpe ratio by luck", expected, "", "", "expected of the best of all that was tried, without skill")
        )
    return Picture(
        name="search_luck",
        title="Is the best more than the luck of having tried many?",
        reading=_reading(found),
        figure=figure,
        table=pd.DataFrame(rows, columns=["measure", "value", "good", "result", "what it says"]),
    )


def _sharpes(axes: "Axes", found: Found) -> None:
    """Every run a tick, the best a diamond, and the Sharpe ratio to beat."""
    sharpes = [run["daily_sharpe"] for run in found["runs"] if run["daily_sharpe"] is not None]
    axes.plot(sharpes, np.zeros(len(sharpes)), marker="|", markersize=14, color=MUTED, linestyle="none")
    best, deflated = found["runs"][0]["daily_sharpe"], found["luck"]["deflated"]
    if best is not None:
        axes.plot([best], [0.0], marker="D", markersize=7, color=BLUE, linestyle="none")
        axes.annotate(f"the best {best:+.2f}", (best, 0.0), (0, 9), textcoords="offset points", ha="center", color=BLUE)
    if deflated is not None:
        line = deflated["expected_best_sharpe"]
        axes.axvline(line, color=ORANGE, linestyle="--")
        left = line > (best or 0.0)
        axes.annotate(
            f"luck's best {line:+.2f}",
            (line, 0.0),
            (-5 if left else 5, -15),
            textcoords="offset points",
            ha="right" if left else "left",
            color=ORANGE,
            bbox=GROUND,
        )
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(-1, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title("annualised Sharpe ratio of the common days, a tick a run")
    axes.margins(x=0.15)


def _gauges(axes: "Axes", found: Found) -> None:
    """A probability on its scale from 0 to 1, the good side hatched."""
    measures = found["luck"]["measures"]
    for row, one in enumerate(measures):
        left, right = (0.0, one["line"]) if one["good"] == "at most" else (one["line"], 1.0)
        axes.barh(
            row, right - left, left=left, height=0.5, facecolor="none", edgecolor=GREEN, hatch="////", linewidth=0.6
        )
        axes.plot([0, 1], [row, row], color=MUTED, linewidth=0.8, zorder=0)
        if one["value"] is not None:
            colour = _COLOUR[one["result"]]
            axes.plot([one["value"]], [row], marker="o", markersize=7, color=colour, linestyle="none", clip_on=False)
        text = f"{number(one['value'], '.3f')} {one['result']}"
        axes.annotate(text, (1.0, row), (10, 0), textcoords="offset points", va="center", annotation_clip=False)
    axes.set_yticks(range(len(measures)), [f"{one['name']}\n{one['good']} {one['line']}" for one in measures])
    axes.set_xlim(0, 1)
    axes.set_ylim(len(measures) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("probability; hatched: the good side")


def _reading(found: Found) -> str:
    luck, best = found["luck"], names(found)[0]
    measures = luck["measures"]
    sides = {"at most": ("above", "not above"), "at least": ("below", "not below")}
    said = [
        f"{one['name']} is {one['value']:.3f} ({sides[one['good']][one['result'] == 'pass']} {one['line']})"
        for one in measures
        if one["value"] is not None
    ]
    sentence = f"Of {best}: {listed(said)}. All three have to be on the good side."
    if luck["deflated"] is not None:
        sharpe = found["runs"][0]["daily_sharpe"]
        sentence += (
            f" The ledger counts {luck['search']['count']:,} settings tried on these days; the best of so many without skill "
            f"would show a Sharpe ratio of {luck['deflated']['expected_best_sharpe']:+.2f}, and this one shows {number(sharpe, '+.2f')}."
        )
    return sentence
