"""The value of each trial against each setting that was searched."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from botscalp.report.compared import short
from botscalp.report.drawing import BLUE, GREEN, ORANGE, SURFACE, Picture, new_figure, style
from botscalp.report.numbers import number, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
LOGARITHMIC_ABOVE = 20
"""of the largest value over the smallest, from which on an axis is logarithmic"""
STRIPS = 6
"""numbers up to which those of a choice stand side by side, as words do"""
LETTERS = 20
"""of all names of an axis, up to which they fit beside each other"""


def trial_slices(found: Mapping[str, Any]) -> Picture | None:
    """Small multiples, one a setting; None where no trial has a value or nothing was searched."""
    valued = [one for one in found["trials"] if one["value"] is not None]
    settings = list(dict.fromkeys(key for one in valued for key in one["params"]))
    if not settings:
        return None
    rows = -(-len(settings) // COLUMNS)
    with style():
        figure = new_figure(0.3 + 1.9 * rows)
        grid = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).ravel()
        for axes, setting in zip(grid, settings, strict=False):
            _draw(axes, setting, valued, found["best"])
        for axes in grid[len(settings) :]:
            axes.set_visible(False)
        for axes in grid[::COLUMNS]:
            axes.set_ylabel(found["objective"].replace("_", " "))
    best = next((one for one in valued if one["number"] == found["best"]), None)
    chosen = "" if best is None else ", ".join(f"{key} = {written(value)}" for key, value in best["params"].items())
    return Picture(
        name="slices",
        title="Where do the good settings lie?",
        reading=f"{len(valued):,} trials, each setting by itself; filled ones ran to their end, hollow ones were pruned and are "
        f"estimates. The diamond is the best{f': {chosen}' if chosen else ''}. A setting may look good because of what was "
        "tried with it.",
        figure=figure,
        table=pd.DataFrame(
            {"trial": [str(one["number"]) for one in valued]}
            | {setting: [written(one["params"].get(setting, "")) for one in valued] for setting in settings}
            | {found["objective"].replace("_", " "): [number(one["value"], "+.5f") for one in valued]}
        ),
    )


def _draw(axes: "Axes", setting: str, valued: Sequence[Mapping[str, Any]], best: int | None) -> None:
    some = [one for one in valued if setting in one["params"]]
    given = [one["params"][setting] for one in some]
    strips = _strips(given)
    places = given if strips is None else [strips.index(written(value)) for value in given]
    for one, place in zip(some, places, strict=True):
        edge, filling = (BLUE, BLUE) if one["state"] == "complete" else (ORANGE, SURFACE)
        marker, size, order = "o", 3.5, 2
        if one["number"] == best:
            edge, filling, marker, size, order = GREEN, GREEN, "D", 6, 3
        axes.plot(
            place, one["value"], marker=marker, color=edge, markerfacecolor=filling, markersize=size, zorder=order
        )
    if strips is not None:
        names = [short(name, 12) for name in strips]
        turned = sum(map(len, names)) + len(names) > LETTERS
        axes.set_xticks(range(len(names)), names, rotation=90 if turned else 0)
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif min(given) > 0 and max(given) > LOGARITHMIC_ABOVE * min(given):
        axes.set_xscale("log")
    axes.set_title(short(setting, 26))


def _strips(given: Sequence[Any]) -> list[str] | None:
    """The values that stand side by side: words, and the few numbers of a choice by size; None for an axis of numbers."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        return list(dict.fromkeys(map(written, given)))
    numbers = list(dict.fromkeys(map(written, sorted(given))))
    return numbers if len(numbers) <= min(STRIPS, len(given) // 2) else None
