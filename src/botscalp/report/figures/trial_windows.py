"""The best trials window by window, and which windows nobody saw."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from botscalp.report.drawing import (
    BLUE,
    GRID,
    MUTED,
    VERMILLION,
    Picture,
    new_figure,
    style,
    utc_dates,
)
from botscalp.report.numbers import ends_of, estimate, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = Sequence[float]
LOOKS = {"best": (BLUE, "-", "D"), "runner-up": (VERMILLION, "--", "o"), "median": (MUTED, ":", "s")}
"""colour, dash and marker of each series, by the first word of its name"""


def trial_windows(found: Mapping[str, Any]) -> Picture | None:
    """Scores of the best, the runner-up and the median complete trial; None where no trial is complete."""
    if found["best"] is None:
        return None
    trials = {one["number"]: one for one in found["trials"]}
    complete = [one["scores"] for one in found["trials"] if one["state"] == "complete"]
    series: dict[str, Scores] = {f"best: trial {found['best']}": trials[found["best"]]["scores"]}
    if found["runner_up"] is not None:
        series[f"runner-up: trial {found['runner_up']}"] = trials[found["runner_up"]]["scores"]
    series[f"median of {len(complete)}"] = [median(scores) for scores in zip(*complete, strict=True)]
    with style():
        figure = new_figure(2.8)
        _draw(figure.subplots(), found, series)
        figure.legend(loc="outside lower center", ncols=2)
    return Picture(
        name="windows",
        title="Is the best good in every window?",
        reading=_reading(found, series),
        figure=figure,
        table=pd.DataFrame(
            {"test from": [window["test"][0][:10] for window in found["search"]["windows"]]}
            | {label: [number(score, "+.5f") for score in scores] for label, scores in series.items()}
        ),
    )


def _draw(axes: "Axes", found: Mapping[str, Any], series: Mapping[str, Scores]) -> None:
    """Each score at the start of its test range; the unseen ranges shaded, with what the winner came to there."""
    starts = [_day(window["test"][0]) for window in found["search"]["windows"]]
    for label, scores in series.items():
        colour, dash, marker = LOOKS[label.split(maxsplit=1)[0].rstrip(":")]
        axes.plot(starts, scores, color=colour, linestyle=dash, marker=marker, markersize=3.5, label=label)
    unseen, holdout = found["holdout_run"], found["holdout"]["windows"]
    ends = [_day(holdout[0]["test"][0]), _day(holdout[-1]["test"][1])]
    axes.axvspan(*ends, color=GRID, label="unseen by every trial")
    if unseen is not None and unseen["objective"]["value"] is not None:
        value, span = unseen["objective"]["value"], ends_of(unseen["objective"])
        axes.plot(ends, [value, value], color=BLUE, label=f"trial {unseen['trial']} there, all together")
        if span is not None:
            axes.fill_between(ends, *span, color=BLUE, alpha=0.25, linewidth=0, label="its 95 % interval")
    utc_dates(axes)
    axes.set_ylabel(found["objective"].replace("_", " "))


def _reading(found: Mapping[str, Any], series: Mapping[str, Scores]) -> str:
    best, *others = series.values()
    ahead = sum(one > two for one, two in zip(best, others[0], strict=True))
    beside = "the runner-up" if found["runner_up"] is not None else "the median trial"
    sentence = f"The best is ahead of {beside} in {ahead} of {len(best)} search windows"
    unseen, shaded = found["holdout_run"], f"the {len(found['holdout']['windows'])} shaded windows"
    if unseen is None or unseen["objective"]["value"] is None:
        return f"{sentence}. No trial saw {shaded}."
    return f"{sentence}; over {shaded}, which no trial saw, it comes to {estimate(unseen['objective'], '+.5f')}."


def _day(text: str) -> float:
    """The place of a time on an axis of dates."""
    from matplotlib.dates import date2num

    return float(date2num(datetime.fromisoformat(text)))  # type: ignore[no-untyped-call]
