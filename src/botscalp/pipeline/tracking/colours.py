"""Colours of runs in MLflow's table and charts; by itself it gives neighbours greys that are hard to tell apart."""

from collections import Counter
from collections.abc import Sequence

COLOUR = "mlflow.runColor"
"""the tag"""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind people tell apart too, without the yellow that is lost on white"""


def next_colour(taken: Sequence[str | None]) -> str:
    """The colour that the fewest runs have, the first of them."""
    count = Counter(taken)
    return min(COLOURS, key=lambda colour: count[colour])


def distinct(colours: Sequence[str | None]) -> list[str]:
    """The runs' colours, oldest first, changed where one of ours is taken: runs that were made apart all begin with the first.

    A colour that is not ours was chosen by somebody, and is kept.
    """
    given: list[str] = []
    for colour in colours:
        free = colour is not None and Counter(given)[colour] == min(Counter(given)[ours] for ours in COLOURS)
        given.append(colour if colour is not None and (free or colour not in COLOURS) else next_colour(given))
    return given
