"""The accounts of a comparison's runs over their common days."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from botscalp.report.compared import Found, names, short
from botscalp.report.drawing import INK, MUTED, SERIES, Picture, new_figure, style, utc_dates
from botscalp.report.figures.line_ends import End, write_ends
from botscalp.report.numbers import number

NAMED, MOST = 12, 60
"""runs with a line of their own, and runs that are drawn at all"""
MARKERS = (None, "o")
"""of the first and of the second half of those with a name, which share colours and dashes"""


def overlay(found: Found, curves: Mapping[str, pd.DataFrame]) -> Picture:
    """What each run has earned since the first common day, the best named, others in grey.

    Args:
        curves: pnl_quote of each common UTC day, by run.
    """
    runs, labels = found["runs"], names(found)
    earned = {run["run"]: _earned(curves[run["run"]]["pnl_quote"]) for run in runs}
    with style():
        figure = new_figure(3.9)
        axes = figure.subplots()
        axes.axhline(0.0, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
        for run in reversed(runs[NAMED:MOST]):
            line = earned[run["run"]]
            axes.plot(line.index, line, color=MUTED, linewidth=0.5, alpha=0.6)
        ends = []
        for rank, (run, label) in reversed([*enumerate(zip(runs[:NAMED], labels, strict=False))]):
            line = earned[run["run"]]
            colour, dash = SERIES[rank % len(SERIES)]
            axes.plot(
                line.index,
                line,
                color=colour,
                linestyle=dash,
                marker=MARKERS[rank // len(SERIES)],
                markersize=3,
                markevery=0.08,
                linewidth=2.0 if rank == 0 else 1.2,
                gid=f"run-{rank + 1}",
            )
            text = f"{short(label, 18)} {round(line.iloc[-1]):+,}"
            ends.append(End(text=text, colour=colour, x=line.index[-1], y=float(line.iloc[-1])))
        axes.set_ylabel("net PnL since the first common day")
        axes.yaxis.set_major_formatter(lambda quote, _: f"{quote:,.10g}")
        utc_dates(axes)
        axes.margins(x=0)
        axes.autoscale_view()
        write_ends(axes, ends, height_pt=230)
    return Picture(
        name="overlay",
        title="What would each run have earned on the same days?",
        reading=_reading(found, labels, {name: float(line.iloc[-1]) for name, line in earned.items()}),
        figure=figure,
        table=pd.DataFrame(
            {
                "run": labels[:MOST],
                "net PnL": [number(float(earned[run["run"]].iloc[-1]), "+,.2f") for run in runs[:MOST]],
                "highest": [number(max(0.0, float(earned[run["run"]].max())), "+,.2f") for run in runs[:MOST]],
                "lowest": [number(min(0.0, float(earned[run["run"]].min())), "+,.2f") for run in runs[:MOST]],
                "last day": [found["last_day"]] * len(runs[:MOST]),
            }
        ),
    )


def _earned(pnl_quote: pd.Series) -> pd.Series:
    """The account less what it held at the start of the first day, by the end of each."""
    starts = pd.DatetimeIndex(pnl_quote.index)
    times = starts.append(starts[-1:] + pd.Timedelta(days=1))
    return pd.Series(np.concatenate([[0.0], pnl_quote.to_numpy().cumsum()]), index=times)


def _reading(found: Found, labels: list[str], last: Mapping[str, float]) -> str:
    runs = found["runs"]
    ends = [last[run["run"]] for run in runs]
    sentence = (
        f"Over {found['days']:,} common days, {found['first_day']} to {found['last_day']} (UTC), the best, {labels[0]}, "
        f"comes to {ends[0]:+,.2f} in the quote currency and the last, {labels[-1]}, to {ends[-1]:+,.2f}; "
    )
    above = sum(end > 0 for end in ends)
    sentence += f"{above:,} of {len(ends):,} end above 0." if above else "none ends above 0."
    if len(runs) > NAMED:
        sentence += f" The {NAMED} best are named, {min(len(runs), MOST) - NAMED:,} more are grey"
        sentence += f", {len(runs) - MOST:,} are not drawn." if len(runs) > MOST else "."
    return sentence
