"""Tables for pages and for text: a caption, names of columns, and cells that are ready to be read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FIGURE = re.compile(r"([+\-\u2212]?\d.*|n/a.*|yes|no|)$")
_PROSE_ABOVE = 48
"""characters of a cell that is a sentence, even one that begins with a figure"""

Fact = tuple[str, str]
"""what a line is about, and what there is to say"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The first cell of a row names it."""

    caption: str
    """what it shows; a screen reader says it first"""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: str | None = None
    """the column whose words, such as "fail", are outcomes: they have colours"""
    folded: bool = False
    """whether it is unfolded by the reader alone; on paper it is shown"""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.caption

    @classmethod
    def of(cls, frame: "pd.DataFrame", caption: str) -> "Table":
        """The frame's columns, without its index."""
        rows = [[str(cell) for cell in row] for row in frame.itertuples(index=False)]
        return cls(caption=caption, columns=[str(column) for column in frame.columns], rows=rows)

    def is_figure(self, column: int) -> bool:
        """Whether nothing but figures stands in the column; they are aligned to the right."""
        return all(_FIGURE.match(row[column]) and not self.is_prose(row[column]) for row in self.rows)

    def lines(self) -> Iterator[str]:
        """The caption, then the rows below the names of their columns. Columns that hold sentences stand last."""
        shown = [self.columns, *self.rows]
        order = sorted(
            range(len(self.columns)), key=lambda column: any(self.is_prose(row[column]) for row in self.rows)
        )
        side = {column: ">" if self.is_figure(column) else "<" for column in order}
        width = {column: max(len(row[column]) for row in shown) for column in order}
        yield self.caption
        for row in shown:
            yield f"  {'  '.join(f'{row[column]:{side[column]}{width[column]}}' for column in order)}".rstrip()

    @staticmethod
    def is_prose(cell: str) -> bool:
        """Whether the cell is to be read as a sentence."""
        return len(cell) > _PROSE_ABOVE
