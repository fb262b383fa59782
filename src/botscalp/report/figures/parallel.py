"""What differs between the runs of a comparison, and what came of it, as one line a run across parallel axes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from botscalp.report.compared import GROUND, VERDICTS, Found, listed, names, short
from botscalp.report.drawing import INK, MUTED, Picture, new_figure, style
from botscalp.report.figures.line_ends import End, write_ends
from botscalp.report.numbers import number
from botscalp.types import Float64

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = {
    "AUC": ("auc", ".4f"),
    "Brier\nskill": ("brier_skill", "+.5f"),
    "net bps\na trade": ("mean_net_bps", "+.2f"),
    "net PnL\na day": ("daily_pnl", "+,.2f"),
}
"""axes after those of the keys: where the figure stands in a run, and its format"""
KEYS = 5
"""axes of keys, at most; those beyond stand in the table"""
NAMED = 12
"""runs, at most, whose lines are named"""
FEW = 30
"""runs up to which every line has its markers and its full colour"""
WORDS = 12
"""that an axis names, at most"""
ROOM = 0.12
"""between two ticks' texts"""
MISSING = -0.14
"""where a run stands that has no such value"""
LOGARITHMIC = 100.0
"""from this ratio of the highest to the lowest on, positive numbers of a key lie on a logarithmic axis"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """One figure or key of all runs, from 0 at the bottom to 1 at the top."""

    name: str
    position: Float64
    """shape (runs,); MISSING where a run has none"""
    ticks: Sequence[tuple[float, str]]


def parallel(found: Found) -> Picture:
    """The keys that differ and the headline figures; colour, dash and marker say the verdict."""
    runs, labels = found["runs"], names(found)
    keys = list(dict.fromkeys(key for run in runs for key in run["differs"]))
    axes_ = [key_axis(key, [run["differs"].get(key) for run in runs]) for key in keys[:KEYS]]
    axes_ += [figure_axis(title, [_value(run[name]) for run in runs], form) for title, (name, form) in FIGURES.items()]
    verdicts = [run["verdict"] for run in runs]
    with style():
        figure = new_figure(3.6)
        plot = figure.subplots()
        positions = np.column_stack([axis.position for axis in axes_])
        for rank in reversed(range(len(runs))):
            colour, dash, marker = VERDICTS[verdicts[rank]]
            best, many = rank == 0, len(runs) > FEW
            plot.plot(
                positions[rank],
                color=colour,
                linestyle=dash,
                linewidth=2.4 if best else 1.0,
                alpha=1.0 if best or not many else 0.25 if runs[rank]["standing"] == "worse" else 0.7,
                marker=None if many and not best else marker,
                markersize=6 if best else 3.5,
                gid=f"run-{rank + 1}",
            )
        _axes(plot, axes_)
        if len(runs) <= NAMED:
            last = len(axes_) - 1
            ends = [
                End(text=short(label, 16), colour=VERDICTS[verdict][0], x=last, y=float(height))
                for label, verdict, height in zip(labels, verdicts, positions[:, -1], strict=True)
            ]
            write_ends(plot, ends, height_pt=170)
        _legend(figure, verdicts)
    return Picture(
        name="parallel",
        title="Which settings go with which figures?",
        reading=_reading(found, keys),
        figure=figure,
        table=pd.DataFrame(
            [
                {
                    "run": label,
                    **{key: run["differs"].get(key, "none") for key in keys},
                    **{
                        title.replace("\n", " "): number(_value(run[name]), form)
                        for title, (name, form) in FIGURES.items()
                    },
                    "verdict": run["verdict"],
                }
                for label, run in zip(labels, runs, strict=True)
            ]
        ),
    )


def key_axis(name: str, values: Sequence[str | None]) -> Axis:
    """An axis of a config's key: to scale where all values are numbers, else the words at equal distances."""
    known = {value for value in values if value is not None}
    numbers = {value: parsed for value in known if (parsed := _parsed(value)) is not None}
    if len(numbers) < len(known):
        words = sorted(known)
        places = dict(zip(words, np.linspace(0, 1, len(words)) if len(words) > 1 else [0.5], strict=True))
        step = -(-len(words) // WORDS)
        ticks = [(places[word], word) for word in words[::step]]
    else:
        low, high = min(numbers.values()), max(numbers.values())
        stretched = low > 0 and high / low >= LOGARITHMIC
        places = {value: _scaled(parsed, low, high, logarithmic=stretched) for value, parsed in numbers.items()}
        name = f"{name} (log)" if stretched else name
        ticks = _apart(sorted((places[value], value) for value in known))
    return _axis(name, [None if value is None else places[value] for value in values], ticks)


def figure_axis(name: str, values: Sequence[float | None], form: str) -> Axis:
    """An axis of a figure, to scale from the lowest to the highest."""
    known = [value for value in values if value is not None]
    if not known:
        return _axis(name, list(values), [])
    low, high = min(known), max(known)
    places = [None if value is None else _scaled(value, low, high, logarithmic=False) for value in values]
    marks = [low, high] if low < high else [low]
    if low < 0.0 < high:
        marks.insert(1, 0.0)
    ticks = [
        (_scaled(mark, low, high, logarithmic=False), "0" if mark == 0.0 else format(mark, form)) for mark in marks
    ]
    return _axis(name, places, _apart(ticks))


def _axis(name: str, places: Sequence[float | None], ticks: Sequence[tuple[float, str]]) -> Axis:
    if any(place is None for place in places):
        ticks = [(MISSING, "none"), *ticks]
    return Axis(name=name, position=np.array([MISSING if place is None else place for place in places]), ticks=ticks)


def _scaled(value: float, low: float, high: float, *, logarithmic: bool) -> float:
    if low == high:
        return 0.5
    if logarithmic:
        return (log10(value) - log10(low)) / (log10(high) - log10(low))
    return (value - low) / (high - low)


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks from bottom to top that have room for their text; the last always."""
    shown: list[tuple[float, str]] = []
    for tick in ticks:
        if not shown or tick[0] - shown[-1][0] >= ROOM:
            shown.append(tick)
    if shown and shown[-1] != ticks[-1]:
        shown[-1] = ticks[-1]
    return shown


def _parsed(value: str) -> float | None:
    try:
        parsed = float(value)
    except ValueError:
        return None
    return parsed if isfinite(parsed) else None


def _value(figure: object) -> float | None:
    value = figure["value"] if isinstance(figure, dict) else figure
    return None if value is None else float(value)  # type: ignore[arg-type]


def _axes(plot: "Axes", axes_: Sequence[Axis]) -> None:
    """The axes with their ticks, on the right of each, and their names; there is room for the last one's ticks."""
    plot.set_axis_off()
    last = len(axes_) - 1
    for x, axis in enumerate(axes_):
        plot.plot([x, x], [0, 1], color=MUTED, linewidth=0.8, zorder=1)
        for place, text in axis.ticks:
            plot.annotate(
                short(text, 9 if last > 6 else 14),
                (x, place),
                (7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                bbox=GROUND,
                zorder=5,
            )
        plot.annotate(
            _wrapped(axis.name), (x, 1.0), (0, 8), textcoords="offset points", ha="center", va="bottom", fontsize=8
        )
    missing = any((axis.position == MISSING).any() for axis in axes_)
    plot.set_xlim(-0.1, last + 0.7)
    plot.set_ylim((MISSING if missing else 0.0) - 0.04, 1.04)


def _wrapped(name: str) -> str:
    """A key over several lines, cut at its dots and underscores."""
    return re.sub(r"(?<=[._])", "\n", name) if len(name) > 9 else name


def _legend(figure: "Figure", verdicts: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=dash, marker=marker, markersize=4, label=f"{verdict} ({count})")
        for verdict, (colour, dash, marker) in VERDICTS.items()
        if (count := verdicts.count(verdict))
    ]
    handles.append(Line2D([], [], color=INK, linewidth=2.4, label="thick: the best"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=3.2)


def _reading(found: Found, keys: Sequence[str]) -> str:
    best = found["runs"][0]
    chosen = ", ".join(f"{key} {value}" for key, value in best["differs"].items())
    sentence = (
        f"One line a run, across {len(keys[:KEYS])} keys that differ and four figures. The best, {names(found)[0]},"
    )
    sentence += f" has {chosen}." if chosen else " differs in no key."
    counts = [f"{sum(run['verdict'] == one for run in found['runs']):,} {one}" for one in VERDICTS]
    sentence += f" Verdicts: {', '.join(count for count in counts if not count.startswith('0 '))}."
    if len(found["runs"]) > FEW:
        sentence += " Faint lines are runs that are worse than the best by more than chance explains."
    return sentence + (f" Not drawn, but in the table: {listed(keys[KEYS:])}." if len(keys) > KEYS else "")
