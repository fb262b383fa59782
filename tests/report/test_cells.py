"""Colours are centred at zero, and whatever is written can be read: in the cells, or beside a scale."""

from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from pictures import clipped, overlapping

from botscalp.report.drawing import DIVERGING
from botscalp.report.figures.cells import LIGHT_TEXT, Cells, _ink_on, heat_map


def test_colours_are_centred_at_zero_and_text_is_read_on_them() -> None:
    values = np.array([[-8.0, -2.0, 0.0, 1.0, 4.0]])
    figure = heat_map(
        Cells(rows=["a"], columns=list("vwxyz"), values=values), x_label="", y_label="", value_label="", grey=""
    )
    (mesh,) = figure.axes[0].collections
    assert mesh.get_clim() == (-8.0, 8.0)
    for text, value in zip(figure.axes[0].texts, values[0], strict=True):
        ground = _luminance(colormaps[DIVERGING]((value + 8) / 16)[:3])
        ink = _luminance([int(str(text.get_color())[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5, value


def _luminance(rgb: Any) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in rgb]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_colour_of_the_scale_carries_legible_text() -> None:
    values = np.linspace(-1, 1, 256).reshape(16, 16)
    names = [str(place) for place in range(16)]
    figure = heat_map(Cells(rows=names, columns=names, values=values), x_label="", y_label="", value_label="", grey="")
    assert len(figure.axes[0].texts) == 256
    for text, value in zip(figure.axes[0].texts, values.ravel(), strict=True):
        ground = _luminance(colormaps[DIVERGING]((value + 1) / 2)[:3])
        ink = 1.0 if text.get_color() == LIGHT_TEXT else 0.0
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.4, value


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 24), (8, 6), (30, 3), (60, 60)])
def test_numbers_stay_in_their_cells_or_give_way_to_a_scale(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(0, 20, shape)
    rows, columns = ([f"{place / 100:.2f}" for place in range(count)] for count in shape)
    figure = heat_map(
        Cells(rows=rows, columns=columns, values=values), x_label="x", y_label="y", value_label="bps", grey=""
    )
    assert not clipped(figure) and not overlapping(figure)
    axes = figure.axes[0]
    if not axes.texts:
        assert len(figure.axes) == 2 and figure.axes[1].get_ylabel() == "bps" and axes.get_xlabel() == "x"
        assert shape == (60, 60) or shape == (1, 40)
        return
    assert len(axes.texts) == values.size and len(figure.axes) == 1
    for text in axes.texts:
        x, y = text.get_position()
        box, corners = text.get_window_extent(), axes.transData.transform([(x - 0.5, y - 0.5), (x + 0.5, y + 0.5)])
        assert corners[0, 0] <= box.x0 and box.x1 <= corners[1, 0] and text.get_fontsize() >= 6
        assert corners[:, 1].min() <= box.y0 and box.y1 <= corners[:, 1].max()


def test_a_number_is_legible_on_every_tone() -> None:
    """At least 4.5 to 1, by WCAG's formula; a middle tone leaves the least."""
    tones = ScalarMappable(cmap=DIVERGING)
    tones.set_clim(0.0, 1.0)
    for value in np.linspace(0.0, 1.0, 2_001):
        ground, ink = _luminance(tones.to_rgba(value)[:3]), _luminance(to_rgb(_ink_on(tones, value)))  # type: ignore[arg-type]
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5, value
