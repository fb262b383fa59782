"""The lines of a CSV as named columns of text and numbers; whatever is no such line is refused by its number."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from botscalp.errors import UserError
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    import pyarrow as pa

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
REMEDY = "fetch it again; while the archive publishes it like that, leave its time out of start and end"


class FileRefusedError(UserError):
    """A file of the archive cannot be used: key "file", its name, what is wrong with it."""


def refuse(name: str, problem: str) -> NoReturn:
    """Raise the error about the file of that name."""
    raise FileRefusedError("file", name, problem, REMEDY)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The columns of one file, as text."""

    name: str
    columns: "dict[str, pa.ChunkedArray]"
    first_line: int
    """the number of the first row's line, counted from 1: 2 where there is a header"""
    repairs: tuple[str, ...]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def whole_numbers(self, column: str) -> Int64:
        """The column as integers, shape (T,); a FileRefusedError names the first line that holds none."""
        import pyarrow as pa

        return np.asarray(self._numbers(column, pa.int64(), "is no whole number"))

    def numbers(self, column: str) -> Float64:
        """The column as the float64 nearest to each decimal, shape (T,); errors as `whole_numbers`."""
        import pyarrow as pa

        numbers = np.asarray(self._numbers(column, pa.float64(), "is no number"))
        if not np.isfinite(numbers).all():
            row = int(np.isfinite(numbers).argmin())
            self._refuse_cell(column, row, "is no finite number")
        return numbers

    def _numbers(
        self, column: str, kind: "pa.DataType", problem: str
    ) -> "np.ndarray[tuple[int], np.dtype[np.generic]]":
        import pyarrow as pa

        text = self.columns[column]
        try:
            return text.cast(kind).to_numpy()  # type: ignore[no-any-return]
        except pa.ArrowInvalid:
            pass
        for row, cell in enumerate(text):
            try:
                cell.cast(kind)
            except pa.ArrowInvalid:
                self._refuse_cell(column, row, problem)
        raise AssertionError("a column whose cells are numbers is one of numbers")

    def _refuse_cell(self, column: str, row: int, problem: str) -> NoReturn:
        cell = self.columns[column][row].as_py()
        refuse(self.name, f"line {row + self.first_line}: {column} '{cell[:40]}' {problem}")


def read_lines(
    data: bytes,
    *,
    name: str,
    layouts: Sequence[Sequence[str]],
    spellings: Mapping[str, Sequence[str]],
    optional: Collection[str] = (),
) -> Lines:
    """The lines of a CSV with a header or without one.

    Args:
        layouts: the columns of files without a header; a file has as many fields as one of these.
        spellings: columns that a header must name, each with the names it goes by, in lower case, without
            what is neither letter nor digit.
        optional: those of them that a header may leave out.

    Raises:
        FileRefusedError: the file is empty or no text, its header lacks a column, or a line has another number of fields.
    """
    repairs = []
    if data.startswith(BYTE_ORDER_MARK):
        data = data.removeprefix(BYTE_ORDER_MARK)
        repairs.append("a byte order mark: removed")
    if not data:
        refuse(name, "is empty")
    if not data.isascii() or b"\0" in data:
        place = next(place for place, byte in enumerate(data) if byte == 0 or byte > 127)
        line = data.count(b"\n", 0, place) + 1
        refuse(name, f"line {line}: byte {place} is {data[place]:#04x}, which no number has: it is damaged")
    if not data.endswith(b"\n"):
        repairs.append("no line break at the end: its last line was kept, which has every field")
    first = data.partition(b"\n")[0].decode().rstrip("\r").split(",")
    header = not re.fullmatch(r"-?\d+(\.\d*)?", first[0])
    layout = first if header else next((one for one in layouts if len(one) == len(first)), None)
    if layout is None:
        known = " or ".join(str(len(one)) for one in layouts)
        refuse(name, f"line 1: has {len(first)} fields and no header, not {known}")
    names = {column: place for place, column in enumerate(layout)}
    if header:
        names = _named(layout, name, spellings)
        missing = [column for column in spellings if column not in names and column not in optional]
        if missing:
            refuse(name, f"line 1: is a header that names no {', '.join(missing)}: {','.join(layout)[:60]!r}")
    columns = _columns(data, name, len(layout), header)
    lines = Lines(
        name=name,
        columns={column: columns[place] for column, place in names.items()},
        first_line=2 if header else 1,
        repairs=tuple(repairs),
    )
    if not len(lines):
        refuse(name, "holds no rows")
    return lines


def _named(header: Sequence[str], name: str, spellings: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where each column stands, by the header; columns of other names are left out."""
    plain = [re.sub(r"[^a-z0-9]", "", one.lower()) for one in header]
    names = {}
    for column, known in spellings.items():
        places = [place for place, one in enumerate(plain) if one in known]
        if len(places) > 1:
            refuse(name, f"line 1: names {column} twice")
        if places:
            names[column] = places[0]
    return names


def _columns(data: bytes, name: str, fields: int, header: bool) -> "list[pa.ChunkedArray]":
    """Every field as text, by place."""
    import pyarrow as pa
    import pyarrow.csv as csv

    wrong = []

    def note(row: "csv.InvalidRow") -> str:
        wrong.append(row)
        return "skip"

    places = [str(place) for place in range(fields)]
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            # One thread alone knows the numbers of lines.
            read_options=csv.ReadOptions(column_names=places, skip_rows=int(header), use_threads=False),
            parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False, invalid_row_handler=note),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        refuse(name, f"is no CSV with rows: {str(error).splitlines()[0]}")
    if wrong:
        row = wrong[0]
        refuse(name, f"line {row.number}: has {row.actual_columns} fields, not {fields}: {row.text[:60]!r}")
    return list(table.columns)
