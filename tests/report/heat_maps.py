"""What a heat map shows, read back from its axes."""

from typing import Any

import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def drawn_values(figure: Figure) -> np.ma.MaskedArray[Any, Any]:
    """What the axes show, with the grey cells masked; the first row is that at y = 0."""
    (mesh,) = (one for one in figure.axes[0].collections if isinstance(one, QuadMesh))
    found = mesh.get_array()
    assert isinstance(found, np.ma.MaskedArray)
    return found


def marked(figure: Figure, gid: str) -> set[tuple[int, int]]:
    """Rows and columns of the cells with that mark."""
    patches = [
        one for one in figure.axes[0].patches if (one.get_gid() or "").startswith(gid) and isinstance(one, Rectangle)
    ]
    return {(round(one.get_y() + 0.5), round(one.get_x() + 0.5)) for one in patches}


def numbers_in(figure: Figure) -> dict[tuple[int, int], str]:
    return {(round(y), round(x)): text.get_text() for text in figure.axes[0].texts for x, y in [text.get_position()]}


def key(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]
