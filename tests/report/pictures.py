"""What every picture has to keep to, whatever it shows."""

import re
from collections.abc import Iterator
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from botscalp.report.drawing import Picture, style, svg


def clipped(figure: Figure) -> list[str]:
    """Texts that leave the canvas."""
    return [text for text, box in _texts(figure) if not _holds(figure.bbox, box)]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other."""
    return [
        (one, other)
        for (one, box), (other, other_box) in combinations(_texts(figure), 2)
        if (common := Bbox.intersection(box, other_box)) is not None and min(common.width, common.height) > 1.0
    ]


def foreign_colours(picture: Picture) -> set[str]:
    """Colours of the SVG that a page in the dark cannot exchange."""
    return set(re.findall(r"#[0-9a-fA-F]{6}\b|rgb\([^)]*\)", svg(picture)))


def twins(axes: Axes) -> list[tuple[str, str]]:
    """Pairs of lines that only their place tells apart: same colour, dash and marker."""
    looks = [
        (str(line.get_label()), (line.get_color(), str(line._unscaled_dash_pattern), line.get_marker()))
        for line in axes.lines
    ]
    return [(one, other) for (one, look), (other, same) in combinations(looks, 2) if look == same]


def _texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn and where, without the line that an annotation has to what it names."""
    with style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return [(text.get_text(), Text.get_window_extent(text, canvas.get_renderer())) for text in _drawn(figure)]


def _drawn(figure: Figure) -> Iterator[Text]:
    inside_axes = {text for axes in figure.axes for text in axes.findobj(Text)}
    yield from (text for text in figure.findobj(Text) if text not in inside_axes and _visible(text))
    for axes in figure.axes:
        of_ticks = set()
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                of_ticks |= {tick.label1, tick.label2}
                if low <= tick.get_loc() <= high and _visible(tick.label1):
                    yield tick.label1
        yield from (text for text in axes.findobj(Text) if text not in of_ticks and _visible(text))


def _visible(text: Text) -> bool:
    return bool(text.get_visible() and text.get_text().strip())


def _holds(canvas: Bbox, box: Bbox) -> bool:
    return bool(canvas.x0 <= box.x0 and box.x1 <= canvas.x1 and canvas.y0 <= box.y0 and box.y1 <= canvas.y1)
