"""Two hundred damaged files: each is refused, or repaired by name, or missed in a gap; never taken as if nothing were."""

import logging
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from csvs import HEADER, SERIES, klines_csv, part

from botscalp.archive.writing import write_month
from botscalp.archive.zips import RefusedZipError, csv_of
from botscalp.data.store import read_manifest, read_table
from botscalp.errors import UserError

DAY = "BTCUSDT-5m-2024-01-03.zip"
MEMBER = DAY.replace(".zip", ".csv")
CSV = klines_csv(DAY)
LINES = CSV.splitlines(keepends=True)

Draw = np.random.Generator
Change = Callable[[Draw], bytes]


def joined(cells: list[list[bytes]]) -> bytes:
    return b"".join(b",".join(row) + b"\n" for row in cells)


def of_a_cell(column: int | None, change: Callable[[bytes], bytes]) -> Change:
    """Changes one random cell of that column, or of any."""

    def changed(rng: Draw) -> bytes:
        cells = [line.rstrip(b"\n").split(b",") for line in LINES]
        row, place = int(rng.integers(len(cells))), int(rng.integers(11)) if column is None else column
        cells[row][place] = change(cells[row][place])
        return joined(cells)

    return changed


def of_a_line(change: Callable[[bytes], list[bytes]]) -> Change:
    """Puts other lines in the place of a random one that is not the last."""

    def changed(rng: Draw) -> bytes:
        row = int(rng.integers(len(LINES) - 1))
        return b"".join([*LINES[:row], *change(LINES[row]), *LINES[row + 1 :]])

    return changed


def swapped(rng: Draw) -> bytes:
    one, other = rng.choice(len(LINES), 2, replace=False)
    lines = LINES.copy()
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def overwritten(rng: Draw) -> bytes:
    start = int(rng.integers(len(CSV) - 512))
    return CSV[:start] + b"\0" * 512 + CSV[start + 512 :]


CSV_CHANGES: dict[str, Change] = {
    "cut anywhere": lambda rng: CSV[: int(rng.integers(1, len(CSV)))],
    "cut between lines": lambda rng: b"".join(LINES[: int(rng.integers(1, len(LINES)))]),
    "begins late": lambda rng: b"".join(LINES[int(rng.integers(1, len(LINES))) :]),
    "a line lost": of_a_line(lambda line: []),
    "a line twice": of_a_line(lambda line: [line, line]),
    "a line twice, differing": of_a_line(lambda line: [line, line.replace(b".", b"1.", 1)]),
    "a blank line": of_a_line(lambda line: [line, b"\n"]),
    "a header inside": of_a_line(lambda line: [line, HEADER]),
    "half a line": of_a_line(lambda line: [line[: len(line) // 2] + b"\n"]),
    "lines swapped": swapped,
    "a block of zeros": overwritten,
    "one bar in microseconds": of_a_cell(0, lambda cell: cell + b"000"),
    "off the grid": of_a_cell(0, lambda cell: str(int(cell) + 60_000).encode()),
    "a month late": of_a_cell(0, lambda cell: str(int(cell) + 2_678_400_000).encode()),
    "closes late": of_a_cell(6, lambda cell: str(int(cell) + 1).encode()),
    "closes early": of_a_cell(6, lambda cell: str(int(cell) - 1).encode()),
    "a negative price": of_a_cell(1, lambda cell: b"-" + cell),
    "a price of zero": of_a_cell(4, lambda cell: b"0.00000000"),
    "high below low": of_a_cell(2, lambda cell: b"1.00000000"),
    "low above high": of_a_cell(3, lambda cell: cell.replace(b".", b"0.")),
    "ten times the volume": of_a_cell(5, lambda cell: cell.replace(b".", b"0.")),
    "ten times the quote volume": of_a_cell(7, lambda cell: cell.replace(b".", b"0.")),
    "no trades": of_a_cell(8, lambda cell: b"0"),
    "takers beyond volume": of_a_cell(9, lambda cell: cell.replace(b".", b"00000.")),
    "an empty cell": of_a_cell(None, lambda cell: b""),
    "not a number": of_a_cell(None, lambda cell: b"NaN"),
    "infinite": of_a_cell(None, lambda cell: b"inf"),
    "a comma for a point": of_a_cell(4, lambda cell: cell.replace(b".", b",")),
    "text": of_a_cell(None, lambda cell: b"x" + cell),
    "another day": lambda rng: klines_csv(f"BTCUSDT-5m-2024-01-{int(rng.integers(4, 30)):02d}.zip"),
    "another interval": lambda rng: klines_csv(DAY, interval=str(rng.choice(["1m", "15m", "1h"]))),
    "a page instead": lambda rng: b"<!DOCTYPE html>\n<html><body>busy</body></html>\n",
}

ZIP_CHANGES: dict[str, Callable[[Draw, bytes], bytes]] = {
    "zip cut": lambda rng, data: data[: int(rng.integers(len(data)))],
    "zip's bytes flipped": lambda rng, data: flipped(rng, data),
    "another symbol's file in it": lambda rng, data: zipped(CSV, MEMBER.replace("BTC", "ETH")),
    "a path in it": lambda rng, data: zipped(CSV, f"../{MEMBER}"),
}


def zipped(data: bytes, member: str = MEMBER) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(member), data)
    return buffer.getvalue()


def flipped(rng: Draw, data: bytes) -> bytes:
    """Eight bytes of what is compressed become others."""
    damaged = bytearray(data)
    for place in rng.integers(100, len(data) - 200, 8):
        damaged[place] ^= int(rng.integers(1, 256))
    return bytes(damaged)


CASES = [(name, seed) for seed in range(6) for name in (*CSV_CHANGES, *ZIP_CHANGES)][:200]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_no_damage_passes_in_silence(name: str, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    before, after = part(DAY.replace("-03", "-02")), part(DAY.replace("-03", "-04"))
    write_month(tmp_path, SERIES, "2024-01", [before, after], complete=False)
    stored = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    file = tmp_path / DAY
    file.write_bytes(ZIP_CHANGES[name](rng, zipped(CSV)) if name in ZIP_CHANGES else zipped(CSV_CHANGES[name](rng)))
    caplog.clear()
    try:
        data = csv_of(file, member=MEMBER, most_bytes=200_000)
        assert data != CSV, "the change changes something"
        day = part(DAY, data)
    except (RefusedZipError, UserError) as refused:
        assert str(refused)
        assert {path: path.read_bytes() for path in stored} == stored
        return
    month = write_month(tmp_path, SERIES, "2024-01", [day], complete=False)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert month.repairs or month.gaps
    assert len(said) == len(month.repairs) + sum("2024-01-03" in gap.start for gap in month.gaps) > 0
    assert read_manifest(tmp_path, SERIES).months["2024-01"] == month
    whole = read_table(tmp_path, SERIES)
    assert len(whole) == month.rows == 3 * 288 - sum(gap.bars for gap in month.gaps)
