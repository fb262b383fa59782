"""How a heat map is drawn: values in rows and columns, in colours centred at zero and as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.report.drawing import DIVERGING, GRID, INK, SURFACE, new_figure, style
from botscalp.types import Bool, Float64

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

DARK_TEXT, LIGHT_TEXT = "#010101", "#fefefe"
"""on cells: these keep their colours on a dark page, so neither is of the palette"""
MINUS = "\N{MINUS SIGN}"
_TEXT_PT = (8.0, 7.5, 7.0, 6.5, 6.0)
"""sizes of the numbers, the smallest that can be read last"""
_CHARACTER_EM = 0.72
"""width of a digit or a sign, with a little air"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """What a heat map shows; the arrays have shape (rows, columns)."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Float64
    """NaN for a grey cell"""
    unsure: Bool | None = None
    """values of which one cannot tell on which side of zero they are: hatched"""
    own: tuple[int, int] | None = None
    """row and column of the run's own cell: outlined"""


def heat_map(
    cells: Cells, *, x_label: str, y_label: str, value_label: str, grey: str, downwards: bool = False
) -> "Figure":
    """The cells, each with its number where all of them can be read, else beside a scale of the colours.

    Args:
        grey: what it means that a cell is grey.
        downwards: the first row is the top one, as in a table; else the bottom one, as on an axis.
    """
    with style():
        figure = new_figure(float(np.clip(1.05 + 0.29 * len(cells.rows), 1.7, 6.0)))
        axes = figure.subplots()
        mesh = _coloured(axes, cells.values)
        axes.set(xlabel=f"{x_label}; in the cells: {value_label}", ylabel=y_label)
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if downwards:
            axes.invert_yaxis()
        keys = _marked(axes, mesh, cells)
        if np.isnan(cells.values).any():
            keys[grey] = _key(facecolor=GRID, edgecolor=GRID)
        if keys:
            figure.legend(keys.values(), keys.keys(), loc="outside lower right", ncols=len(keys), borderpad=0.0)
        _labelled(figure, axes, cells)
        if not _numbered(axes, mesh, cells):
            axes.set_xlabel(x_label)
            figure.colorbar(mesh, pad=0.02, aspect=30, label=value_label)
    return figure


def _coloured(axes: "Axes", values: Float64) -> "QuadMesh":
    """Cell (r, c) around the point (c, r), with gaps that show the page while cells are large."""
    from matplotlib import colormaps

    rows, columns = values.shape
    reach = np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0
    return axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=colormaps[DIVERGING].with_extremes(bad=GRID),
        vmin=-reach,
        vmax=reach,
        edgecolors=SURFACE,
        linewidth=1.0 if max(rows, columns) <= 30 else 0.0,
    )


def _marked(axes: "Axes", mesh: "QuadMesh", cells: Cells) -> dict[str, "Rectangle"]:
    """Hatch the unsure cells and outline the own one; the keys of a legend by what they say."""
    from matplotlib.patches import Rectangle

    keys = {}
    if cells.own is not None:
        row, column = cells.own
        for colour, width, gid in (
            (LIGHT_TEXT, 4.5, None),
            (DARK_TEXT, 2.0, "own"),
        ):  # seen on cells and pages of any tone
            place = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(place, 1, 1, fill=False, ec=colour, lw=width, gid=gid, clip_on=False))
        keys["this run"] = _key(fill=False, edgecolor=INK, linewidth=2.0)
    unsure = np.argwhere(np.isfinite(cells.values) & (False if cells.unsure is None else cells.unsure))
    for row, column in unsure:
        ink = _ink_on(mesh, cells.values[row, column])
        place = (column - 0.5, row - 0.5)
        axes.add_patch(_hatched(place, hatchcolor=ink, fill=False, gid=f"unsure-{row}-{column}"))
    if len(unsure):
        keys["not told apart from 0 (95 %)"] = _hatched((0, 0), hatchcolor=DARK_TEXT, facecolor=LIGHT_TEXT)
    return keys


def _key(**looks: Any) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, **looks)


def _hatched(place: tuple[float, float], **looks: Any) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle(place, 1, 1, hatch="///", hatch_linewidth=0.5, linewidth=0.0, **looks)


def _labelled(figure: "Figure", axes: "Axes", cells: Cells) -> None:
    """Name rows and columns, as many of them as have room."""
    character_pt = 9.0 * _CHARACTER_EM
    height_pt = 72.0 * (figure.get_figheight() - 0.9)
    width_pt = 72.0 * (figure.get_figwidth() - 0.7) - character_pt * max(map(len, cells.rows))
    wanted_pt = character_pt * (max(map(len, cells.columns)) + 1)
    for axis, names, step in (
        (axes.xaxis, cells.columns, ceil(len(cells.columns) * wanted_pt / width_pt)),
        (axes.yaxis, cells.rows, ceil(len(cells.rows) * 12.0 / height_pt)),
    ):
        axis.set_ticks(range(0, len(names), step), names[::step])


def _numbered(axes: "Axes", mesh: "QuadMesh", cells: Cells) -> bool:
    """Write the values into their cells, in the largest and finest form that fits in all of them; False if none does."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # which lays it out
    extent = axes.get_window_extent()
    rows, columns = cells.values.shape
    width_pt, height_pt = (
        size / count * 72.0 / figure.dpi for size, count in ((extent.width, columns), (extent.height, rows))
    )
    known = np.argwhere(np.isfinite(cells.values))
    for form in ("+.1f", "+.0f"):
        texts = [format(cells.values[row, column], form).replace("-", MINUS) for row, column in known]
        longest = max(map(len, texts), default=0)
        for size_pt in _TEXT_PT:
            if longest * size_pt * _CHARACTER_EM <= width_pt and 1.3 * size_pt <= height_pt:
                for (row, column), text in zip(known, texts, strict=True):
                    _written(axes, mesh, cells, (row, column), text, size_pt)
                return True
    return False


def _written(axes: "Axes", mesh: "QuadMesh", cells: Cells, at: tuple[int, int], text: str, size_pt: float) -> None:
    """A number in its cell, on a ground of the cell's colour where a hatch would cross it."""
    value = cells.values[at]
    hatched = cells.unsure is not None and cells.unsure[at]
    ground = {"boxstyle": "square,pad=0.1", "fc": mesh.to_rgba(np.array([value]))[0], "ec": "none"} if hatched else None
    axes.text(
        at[1],
        at[0],
        text,
        ha="center",
        va="center_baseline",
        color=_ink_on(mesh, value),
        fontsize=size_pt,
        fontweight="bold" if at == cells.own else "normal",
        bbox=ground,
    )


def _ink_on(mesh: "QuadMesh", value: float) -> str:
    """Dark or light, whichever contrasts more with the value's colour: the bound is where both do alike."""
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in mesh.to_rgba(np.array([value]))[0, :3]
    )
    return DARK_TEXT if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else LIGHT_TEXT
