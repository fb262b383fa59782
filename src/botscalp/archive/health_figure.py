"""The calendar of a series: a cell for each day, a row for each month."""

from typing import TYPE_CHECKING

import numpy as np

from botscalp.archive.health import Day, Health
from botscalp.report.drawing import BLUE, GRID, INK, ORANGE, SURFACE, VERMILLION, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATES = (
    ("outside", SURFACE),
    ("every bar", BLUE),
    ("bars without trades", ORANGE),
    ("bars missing", VERMILLION),
    ("nothing", INK),
)
"""what a day may be, with its colour"""
OUTSIDE, WHOLE, IDLE, MISSING, NOTHING = range(len(STATES))
MOST_NUMBERED = 60
"""months, beyond which rows are too low for numbers"""


def calendar(health: Health) -> "Figure":
    """Days by what is wrong with them; in the cell of one that lacks bars or trades, how many."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    months = sorted({day.day[:7] for day in health.calendar})
    row_of = {month: row for row, month in enumerate(months)}
    state = np.full((len(months), 31), OUTSIDE)
    numbers: list[tuple[int, int, str]] = []
    for day in health.calendar:
        row, column = row_of[day.day[:7]], int(day.day[8:]) - 1
        state[row, column] = state_of(day)
        if state[row, column] in (IDLE, MISSING):
            numbers.append((column, row, f"{day.expected - day.bars or day.zero_volume}"))
    with style():
        figure = new_figure(float(np.clip(0.9 + 0.17 * len(months), 1.6, 14.0)))
        axes = figure.subplots()
        axes.pcolormesh(
            np.arange(32) + 0.5,
            np.arange(len(months) + 1) - 0.5,
            state,
            cmap=ListedColormap([colour for _, colour in STATES]),
            vmin=-0.5,
            vmax=len(STATES) - 0.5,
            edgecolors=SURFACE,
            linewidth=0.8,
        )
        if len(months) <= MOST_NUMBERED:
            for column, row, text in numbers:
                axes.text(column + 1, row, text, ha="center", va="center", color=SURFACE, fontsize=5.5)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        shown = range(0, len(months), 1 + len(months) // 40)
        axes.set_yticks(list(shown), [months[row] for row in shown])
        axes.set_xticks([1, 5, 10, 15, 20, 25, 31])
        axes.set(xlabel="day of the month, UTC; in the cells: bars that are missing or without trades")
        title = f"{health.series}: {health.bars:,} bars, {health.start[:10]} .. {health.end[:10]}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.0)
        figure.legend(
            handles=[
                Patch(facecolor=colour, edgecolor=GRID, label=name)
                for number, (name, colour) in enumerate(STATES)
                if number != OUTSIDE and (state == number).any()
            ],
            loc="outside lower left",
            ncols=len(STATES),
        )
    return figure


def state_of(day: Day) -> int:
    """Which of STATES the day is."""
    if not day.expected:
        return OUTSIDE
    if not day.bars:
        return NOTHING
    if day.bars < day.expected:
        return MISSING
    return IDLE if day.zero_volume else WHOLE
