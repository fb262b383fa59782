"""What a line is called, written where it ends: nobody has to look from a legend to the lines and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.types import Float64

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_HEIGHT_PT = 11.0


@dataclass(frozen=True, kw_only=True)
class End:
    """A line's last point, in the units of its axes, and what is written beside it."""

    text: str
    colour: str
    x: Any
    y: float


def write_ends(axes: "Axes", ends: Sequence[End], *, height_pt: float) -> None:
    """Write the lines' names to the right of the axes, which are about that high, each joined to its line.

    To be called once the axes' limits are as they shall be.
    """
    low, high = axes.get_ylim()
    gap = LINE_HEIGHT_PT / height_pt
    wanted = np.array([(end.y - low) / (high - low) for end in ends])
    placed = apart(wanted, gap)
    placed -= max(placed.max(initial=1.0) - 1.0, 0.0)  # many that end near the top begin there
    for end, height in zip(ends, placed, strict=True):
        axes.annotate(
            end.text,
            xy=(end.x, end.y),
            xytext=(1.03, height),
            textcoords="axes fraction",
            color=end.colour,
            fontsize=8.0,
            verticalalignment="center",
            arrowprops={
                **{"arrowstyle": "-", "color": end.colour, "linewidth": 0.6},
                **{"shrinkA": 1.0, "shrinkB": 0.0, "relpos": (0.0, 0.5)},
            },
        )


def apart(wanted: Float64, gap: float) -> Float64:
    """The places nearest to the wanted ones, by least squares, of which any two are a gap apart; in the same order."""
    order = np.argsort(wanted, kind="stable")
    groups: list[tuple[float, int]] = []  # mean of the wanted places less their ranks' gaps, and how many
    for rank, place in enumerate(wanted[order]):
        mean, count = float(place) - rank * gap, 1
        while groups and groups[-1][0] > mean:
            before, several = groups.pop()
            mean, count = (before * several + mean * count) / (several + count), several + count
        groups.append((mean, count))
    placed = np.empty(len(wanted))
    placed[order] = np.repeat([mean for mean, _ in groups], [count for _, count in groups]) + gap * np.arange(
        len(wanted)
    )
    return placed
