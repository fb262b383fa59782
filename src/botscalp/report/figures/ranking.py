"""The runs of a comparison by rank, each figure with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from botscalp.report.compared import Found, earning, names, short, standings
from botscalp.report.drawing import BLUE, INK, MUTED, ORANGE, SURFACE, VERMILLION, Picture, new_figure, style
from botscalp.report.numbers import ends_of, estimate, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
"""runs that are drawn: the best"""
LOOKS = {
    "best": ("the best", "D", BLUE, BLUE),
    "may be as good": ("may be as good", "o", BLUE, BLUE),
    "worse": ("worse by more than chance explains", "o", VERMILLION, SURFACE),
    "cannot be told": ("cannot be told", "s", MUTED, SURFACE),
}
"""what a standing is called, its marker, the marker's edge and its filling"""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A figure of every run on an axis of its own."""

    title: str
    estimates: Sequence[Mapping[str, float | None]]
    references: Mapping[str, float]
    """lines across all runs, by name"""
    linear: Sequence[float | None]
    """what the linear baseline of each run comes to"""


def ranking(found: Found) -> Picture:
    """Net PnL a day less the best's, the mean net trade and AUC of the best runs, as dots with whiskers."""
    runs = found["runs"][:MOST]
    labels = names(found)[:MOST]
    panels = _panels(found, runs)
    with style():
        figure = new_figure(1.7 + 0.19 * max(len(runs), 3))
        left, *others = figure.subplots(1, 3, sharey=True, width_ratios=(1.2, 1, 1))
        left.axvline(0.0, color=BLUE, linewidth=0.8)
        for axes, panel in zip((left, *others), panels, strict=True):
            _draw(axes, panel, [run["standing"] for run in runs])
        left.set_yticks(range(len(runs)), [short(label, 24) for label in labels])
        left.set_ylim(len(runs) - 0.5, -0.5)
        _legend(figure, {run["standing"] for run in runs}, panels)
    return Picture(
        name="ranking",
        title="Which runs may be the best?",
        reading=_reading(found, panels[0]),
        figure=figure,
        table=pd.DataFrame(
            {
                "run": labels,
                "beside the best": [run["standing"] for run in runs],
                "net PnL a day": [number(run["daily_pnl"], "+,.3f") for run in runs],
                "less the best's": [
                    "" if run["standing"] == "best" else estimate(run["daily_pnl_less_best"], "+,.3f") for run in runs
                ],
                "net bps a trade": [estimate(run["mean_net_bps"], "+.3f") for run in runs],
                "AUC": [estimate(run["auc"], ".5f") for run in runs],
                "linear's AUC": [number(value, ".5f") for value in panels[2].linear],
            }
        ),
    )


def _panels(found: Found, runs: Sequence[Mapping[str, Any]]) -> tuple[Panel, Panel, Panel]:
    best = runs[0]
    zero = {"value": 0.0, "low": None, "high": None}
    hold = best["baselines"].get("buy_and_hold", {}).get("daily_pnl")
    earned = {"staying flat": 0.0} | ({} if hold is None else {"buying and holding": hold})

    def linear(name: str) -> list[float | None]:
        return [run["baselines"].get("linear", {}).get(name) for run in runs]

    return (
        Panel(
            title="net PnL a day\nless the best's",
            estimates=[zero if run is best else run["daily_pnl_less_best"] for run in runs],
            references={name: pnl - best["daily_pnl"] for name, pnl in earned.items()},
            linear=[None if pnl is None else pnl - best["daily_pnl"] for pnl in linear("daily_pnl")],
        ),
        Panel(
            title="net bps a trade",
            estimates=[run["mean_net_bps"] for run in runs],
            references={"staying flat": 0.0},
            linear=linear("mean_net_bps"),
        ),
        Panel(
            title="AUC",
            estimates=[run["auc"] for run in runs],
            references={"staying flat": 0.5},
            linear=linear("auc"),
        ),
    )


def _draw(axes: "Axes", panel: Panel, standings_: Sequence[str]) -> None:
    for name, line in panel.references.items():
        dash = "--" if name == "staying flat" else ":"
        axes.axvline(line, color=MUTED, linestyle=dash, linewidth=1.0)
    for rank, (estimate_, baseline, standing) in enumerate(zip(panel.estimates, panel.linear, standings_, strict=True)):
        _, marker, edge, filling = LOOKS[standing]
        if ends := ends_of(estimate_):
            axes.plot(ends, [rank, rank], color=edge, linewidth=1.2)
        if baseline is not None:
            axes.plot([baseline], [rank], marker="|", color=ORANGE, markersize=7, markeredgewidth=1.6, linestyle="none")
        if (value := estimate_["value"]) is not None:
            axes.plot(
                [value],
                [rank],
                marker=marker,
                color=edge,
                markerfacecolor=filling,
                markersize=5,
                linestyle="none",
                gid=f"{panel.title.split()[0]}-{rank}",
            )
    axes.set_title(panel.title)
    axes.set_xlim(*limits(panel))
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def limits(panel: Panel) -> tuple[float, float]:
    """The axis holds lines, values with an interval, and whiskers up to four times as long as half of them are."""
    sure = [(one["value"], *ends) for one in panel.estimates if one["value"] is not None and (ends := ends_of(one))]
    longest = 4 * float(np.median([(value - low, high - value) for value, low, high in sure])) if sure else 0.0
    shown = [*panel.references.values(), *(value for value in panel.linear if value is not None)]
    for middle, low, high in sure:
        shown += [max(low, middle - longest), min(high, middle + longest)]
    if not sure:
        shown += [value for one in panel.estimates if (value := one["value"]) is not None]
    margin = 0.06 * (max(shown) - min(shown)) or 1.0
    return min(shown) - margin, max(shown) + margin


def _legend(figure: Any, shown: set[str], panels: Sequence[Panel]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker, color=edge, markerfacecolor=filling, markersize=5, linewidth=1.2, label=words)
        for standing, (words, marker, edge, filling) in LOOKS.items()
        if standing in shown
    ]
    handles.append(Line2D([], [], color=MUTED, linestyle="--", linewidth=1.0, label="staying flat; an AUC of 0.5"))
    if "buying and holding" in panels[0].references:
        handles.append(Line2D([], [], color=MUTED, linestyle=":", linewidth=1.0, label="buying and holding"))
    if any(value is not None for panel in panels for value in panel.linear):
        handles.append(
            Line2D(
                [],
                [],
                marker="|",
                color=ORANGE,
                markersize=7,
                markeredgewidth=1.6,
                linestyle="none",
                label="the linear baseline on the run's windows",
            )
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=2, labelcolor=INK)


def _reading(found: Found, pnl: Panel) -> str:
    runs, best = found["runs"], found["runs"][0]
    sentences = [f"{standings(found)} {earning(found)} The best nets {best['daily_pnl']:+,.2f} a day"]
    if (hold := pnl.references.get("buying and holding")) is not None:
        sentences.append(f"; buying and holding {hold + best['daily_pnl']:+,.2f}")
    sentences.append(
        ". A whisker is a 95 % interval of one run, or of one pair of runs. Who may be as good counts besides that the best "
        f"was picked from {len(runs):,}: a whisker that just misses the best's line proves nothing. "
        "What leaves an axis stands in the table."
    )
    if len(runs) > MOST:
        sentences.append(f" The {MOST} best are drawn, all {len(runs):,} stand in the table of runs.")
    return "".join(sentences)
