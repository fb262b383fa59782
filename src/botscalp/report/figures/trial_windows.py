"""The best trials window by window, and which windows nobody saw."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from botscalp.report.drawing import BLUE, GRID, MUTED, VERMILLION, Picture, new_figure, style
from botscalp.report.numbers import number


def trial_windows(found: Mapping[str, Any]) -> Picture | None:
    """Scores of the best, the runner-up and the median complete trial; None where no trial is complete."""
    trials = {one["number"]: one for one in found["trials"]}
    if found["best"] is None:
        return None
    complete = [one["scores"] for one in found["trials"] if one["state"] == "complete"]
    series: dict[str, Sequence[float]] = {f"best: trial {found['best']}": trials[found["best"]]["scores"]}
    if found["runner_up"] is not None:
        series[f"runner-up: trial {found['runner_up']}"] = trials[found["runner_up"]]["scores"]
    series[f"median of {len(complete)}"] = [median(scores) for scores in zip(*complete, strict=True)]
    searched, unseen = ([window["test"][0][:10] for window in found[part]["windows"]] for part in ("search", "holdout"))
    places = range(len(searched))
    looks = ((BLUE, "-", "D"), (VERMILLION, "--", "o"), (MUTED, ":", "s"))
    with style():
        figure = new_figure(2.8)
        axes = figure.subplots()
        for (label, scores), (colour, dash, marker) in zip(
            series.items(), looks[-len(series) :] if len(series) < 3 else looks, strict=True
        ):
            axes.plot(places, scores, color=colour, linestyle=dash, marker=marker, markersize=3.5, label=label)
        axes.axvspan(len(searched) - 0.5, len(searched) + len(unseen) - 0.5, color=GRID, label="unseen by every trial")
        unseen_run = found["holdout_run"]
        if unseen_run is not None and unseen_run["objective"]["value"] is not None:
            ends = (len(searched) - 0.5, len(searched) + len(unseen) - 0.5)
            axes.plot(
                ends,
                [unseen_run["objective"]["value"]] * 2,
                color=BLUE,
                label=f"trial {unseen_run['trial']} there, all together",
            )
        labels = [*searched, *unseen]
        axes.set_xticks(
            range(len(labels)), [label[:7] if label.endswith("-01") else label for label in labels], rotation=45
        )
        axes.set_ylabel(found["objective"].replace("_", " "))
        figure.legend(loc="outside lower center", ncols=2)
    return Picture(
        name="windows",
        title="Is the best good in every window?",
        reading=_reading(found, series),
        figure=figure,
        table=pd.DataFrame(
            {"test from": searched}
            | {label: [number(score, "+.5f") for score in scores] for label, scores in series.items()}
        ),
    )


def _reading(found: Mapping[str, Any], series: Mapping[str, Sequence[float]]) -> str:
    best, *others = series.values()
    ahead = sum(one > two for one, two in zip(best, others[0], strict=True))
    beside = "the runner-up" if found["runner_up"] is not None else "the median trial"
    sentence = f"The best is ahead of {beside} in {ahead} of {len(best)} search windows"
    unseen = found["holdout_run"]
    if unseen is None or unseen["objective"]["value"] is None:
        return f"{sentence}. The {len(found['holdout']['windows'])} shaded windows were seen by no trial."
    return (
        f"{sentence}; over the {len(found['holdout']['windows'])} shaded windows, which no trial saw, it comes to "
        f"{unseen['objective']['value']:+.5f}."
    )
