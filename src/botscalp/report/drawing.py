"""How every picture looks: one palette, one style, and its two forms, inline SVG for pages and PNG for artifacts.

Pictures are drawn in the light palette. In the SVG each of its colours becomes a CSS variable of the same name, so that a page in
the dark or on paper gives it another one. The series' colours are Okabe and Ito's, which colour-blind people can tell
apart, orange and sky darkened for a white page; whoever draws two series adds a second cue, a dash, a marker or a hatch.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from botscalp.whole_files import whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 6.4
"""of every figure: its text stays legible at the width of a phone"""
PNG_DPI = 110

PALETTE = {
    "ink": "#1b1f24",
    "muted": "#59636e",
    "grid": "#d8dee4",
    "surface": "#ffffff",
    "blue": "#0072b2",
    "orange": "#b35900",
    "green": "#00795a",
    "vermillion": "#c03d00",
    "purple": "#a0447c",
    "sky": "#2679a8",
}
"""each colour by the name of its CSS variable"""
DARK = {
    "ink": "#e6edf3",
    "muted": "#9ea7b3",
    "grid": "#30363d",
    "surface": "#0d1117",
    "blue": "#58b0e8",
    "orange": "#e69f00",
    "green": "#2fc49b",
    "vermillion": "#ff7f45",
    "purple": "#e08bbd",
    "sky": "#7cc8f2",
}
INK, MUTED, GRID, SURFACE = (PALETTE[name] for name in ("ink", "muted", "grid", "surface"))
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = (
    PALETTE[name] for name in ("blue", "orange", "green", "vermillion", "purple", "sky")
)
SERIES = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, (0, (5, 1))), (SKY, (0, (1, 1))))
"""colour and dash of the first, second, ... series of a picture"""
DIVERGING = "PuOr"
"""matplotlib's name of the colours for values on both sides of zero, centred there; the numbers stand in the cells"""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "botscalp",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A figure with all that a page says of it."""

    name: str
    """of its file and of its place on the page, e.g. "equity" """
    title: str
    """the question that it answers, e.g. "Does it earn after costs?" """
    reading: str
    """what it shows, in a sentence or two with the figures: the caption, and the alternative text"""
    figure: "Figure"
    table: "pd.DataFrame"
    """the numbers behind it, as they are to be read: strings, or numbers that need no format"""


@contextmanager
def style() -> Iterator[None]:
    """Figures that are made or saved within look like ours."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def new_figure(height_in: float) -> "Figure":
    """An empty figure of the pages' width, laid out so that nothing is clipped; to be called within `style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def utc_dates(axes: "Axes") -> None:
    """Dates along the x axis, as many as fit, in UTC and without repeating the year."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def svg(picture: Picture) -> str:
    """The picture as an SVG element that may stand beside others in one page: its ids begin with its name."""
    drawn = BytesIO()
    with style():
        picture.figure.savefig(drawn, format="svg", metadata={"Date": None})
    picture.figure.set_layout_engine("none")  # it is laid out now; its PNG takes half the time
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(drawn.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    ids: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _within(value, key, picture.name))
        if (name := element.get("id")) in ids:
            del element.attrib["id"]  # several artists may share a gid; a page may not hold an id twice
        elif name:
            ids.add(name)
    for size in ("width", "height"):
        root.attrib.pop(size)  # the page's style says how wide it is; viewBox keeps its proportions
    title, description = f"{picture.name}-title", f"{picture.name}-reading"
    root.attrib |= {"role": "img", "aria-labelledby": title, "aria-describedby": description}
    for position, (tag, name, text) in enumerate(
        (("title", title, picture.title), ("desc", description, picture.reading))
    ):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": name})
        element.text = text
        root.insert(position, element)
    text = ElementTree.tostring(root, encoding="unicode")
    for name, colour in PALETTE.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def write_png(path: Path, figure: "Figure") -> None:
    """The figure on the light page's ground."""
    with style(), whole(path) as aside:
        figure.savefig(aside, format="png", dpi=PNG_DPI, facecolor=SURFACE)


def css_variables(palette: dict[str, str]) -> str:
    """The palette as declarations of a style sheet."""
    return " ".join(f"--{name}: {colour};" for name, colour in palette.items())


def _within(value: str, key: str, name: str) -> str:
    """An attribute's value, every id in it prefixed by the picture's name: ids of several pictures would collide."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return re.sub(r"url\(#", f"url(#{name}-", value)
