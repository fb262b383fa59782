"""Where a run's time went."""

from collections.abc import Mapping
from typing import Any

from botscalp.report.drawing import BLUE, MUTED, Picture, new_figure, style

STAGES = {
    "startup_s": "start-up",
    "features_s": "features and labels",
    "fit_s": "fitting",
    "predict_s": "prediction",
    "backtest_s": "backtests",
    "sentinels_s": "sentinels",
    "report_s": "figures and report",
}
"""what `summary["time"]` holds, in the order of a run, and its names"""
OTHER = "all else"


def stages(summary: Mapping[str, Any]) -> Picture:
    """The seconds of each stage, and those of none."""
    import pandas as pd

    time = summary["time"]
    total_s = time["total_s"]
    seconds = {name: time[key] for key, name in STAGES.items()}
    counted_s = sum(seconds.values())
    if counted_s < total_s:
        seconds[OTHER] = total_s - counted_s
    share = {name: f"{value / total_s:.0%}" if total_s else "n/a" for name, value in seconds.items()}
    with style():
        figure = new_figure(0.6 + 0.24 * len(seconds))
        axes = figure.subplots()
        colours = [MUTED if name == OTHER else BLUE for name in seconds]
        axes.barh(range(len(seconds)), list(seconds.values()), height=0.6, color=colours)
        for place, (name, value) in enumerate(seconds.items()):
            axes.annotate(
                f"{value:,.1f} ({share[name]})",
                (value, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set(xlabel="seconds", xlim=(0, 1.2 * max(seconds.values()) or 1))
        axes.set_yticks(range(len(seconds)), list(seconds))
        axes.grid(axis="y", visible=False)
        axes.invert_yaxis()
    return Picture(
        name="stages",
        title="Where did the time go?",
        reading=_reading(seconds, total_s, counted_s, time["samples_per_s"]),
        figure=figure,
        table=pd.DataFrame(
            {
                "stage": [*seconds, "in all"],
                "seconds": [f"{value:,.2f}" for value in (*seconds.values(), total_s)],
                "share": [*share.values(), ""],
            }
        ),
    )


def _reading(seconds: Mapping[str, float], total_s: float, counted_s: float, samples_per_s: float) -> str:
    longest = max(seconds, key=lambda name: seconds[name])
    words = (
        f"The run took {total_s:,.0f} s; {longest} took longest, {seconds[longest]:,.1f} s. Fitting went through "
        f"{samples_per_s:,.0f} samples a second."
    )
    if counted_s > 1.01 * total_s:
        words += (
            " The stages add up to more than that: windows that were reused count with what they took when they were fitted, "
            "and of fits that ran at once each counts."
        )
    return words
