"""The values of a search's trials in the order in which they were asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from botscalp.report.drawing import BLUE, GREEN, MUTED, ORANGE, SURFACE, VERMILLION, Picture, new_figure, style
from botscalp.report.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def trial_history(found: Mapping[str, Any]) -> Picture | None:
    """Each trial's value, the best so far, and what luck alone would show; None where no trial has a value."""
    valued = [one for one in found["trials"] if one["value"] is not None]
    if not valued:
        return None
    best_so_far = _best_so_far(found)
    with style():
        figure = new_figure(2.8)
        axes = figure.subplots()
        _draw(axes, found, valued, best_so_far)
        figure.legend(loc="outside lower center", ncols=3)
    complete = [one for one in valued if one["state"] == "complete"]
    luck = found["luck"]["expected_best_value"]
    name = found["objective"].replace("_", " ")
    reading = f"{len(complete):,} of {len(found['trials']):,} trials ran to their end"
    if complete:
        top = max(one["value"] for one in complete)
        first = next(one["number"] for one in complete if one["value"] == top)
        reading += f"; the best {name} is {top:+.5f}, of trial {first}"
    if luck is not None:
        reading += f". The best of {found['luck']['trials']:,} settings without skill is expected to show {luck:+.5f}"
    return Picture(
        name="history",
        title="Did searching longer find better settings?",
        reading=f"{reading}. A pruned trial's value is an estimate.",
        figure=figure,
        table=pd.DataFrame(
            {
                "trial": [str(one["number"]) for one in found["trials"]],
                "state": [one["state"] for one in found["trials"]],
                name: [number(one["value"], "+.5f") for one in found["trials"]],
                "best so far": [number(best_so_far.get(one["number"]), "+.5f") for one in found["trials"]],
                "windows": [str(len(one["scores"])) for one in found["trials"]],
            }
        ),
    )


def _draw(axes: "Axes", found: Mapping[str, Any], valued: list[Any], best_so_far: Mapping[int, float]) -> None:
    looks = {"complete": ("complete", "o", BLUE, BLUE), "pruned": ("pruned: an estimate", "v", ORANGE, SURFACE)}
    for state, (label, marker, edge, filling) in looks.items():
        some = [one for one in valued if one["state"] == state]
        if some:
            axes.plot(
                [one["number"] for one in some],
                [one["value"] for one in some],
                marker=marker,
                color=edge,
                markerfacecolor=filling,
                markersize=4,
                linestyle="none",
                label=label,
            )
    failed = [one["number"] for one in found["trials"] if one["state"] == "failed"]
    if failed:
        low = min(one["value"] for one in valued)
        axes.plot(failed, [low] * len(failed), marker="x", color=VERMILLION, linestyle="none", label="failed")
    if best_so_far:
        axes.step(list(best_so_far), list(best_so_far.values()), where="post", color=GREEN, label="best so far")
    if (luck := found["luck"]["expected_best_value"]) is not None:
        axes.axhline(luck, color=MUTED, linestyle="--", linewidth=1.0, label="what luck alone would show")
    axes.set_xlabel("trial")
    axes.set_ylabel(found["objective"].replace("_", " "))
    axes.locator_params(axis="x", integer=True)


def _best_so_far(found: Mapping[str, Any]) -> dict[int, float]:
    """By trial, from the first complete one on."""
    best: dict[int, float] = {}
    top: float | None = None
    for one in found["trials"]:
        if one["state"] == "complete" and one["value"] is not None:
            top = one["value"] if top is None else max(top, one["value"])
        if top is not None:
            best[one["number"]] = top
    return best
