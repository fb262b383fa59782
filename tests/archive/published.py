"""An archive on loopback with made-up bars in it, and what a store holds of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botscalp.data.manifest import Series
from tests.archive.csvs import klines_csv
from tests.archive.server import ArchiveServer, served

SERIES = Series(market="spot", symbol="BTCUSDT", interval="5m")


@contextmanager
def january_and_five_days() -> Iterator[ArchiveServer]:
    """January as a month, and 25 to 29 February as days."""
    with served() as server:
        publish(server, "2024-01", *(f"2024-02-{day}" for day in range(25, 30)))
        yield server


def publish(server: ArchiveServer, *periods: str, series: Series = SERIES) -> None:
    """Let the archive hold the periods' files, of made-up bars."""
    for period in periods:
        stem = f"{series.symbol}-{series.interval}-{period}"
        server.add_csv(stem, klines_csv(f"{stem}.zip", interval=series.interval), market=series.market)


def name(period: str) -> str:
    return f"BTCUSDT-5m-{period}.zip"


def snapshot(store: Path) -> dict[str, Any]:
    """What a store holds, but for when it came, and for locks."""
    found: dict[str, Any] = {}
    for path in sorted(store.rglob("*")):
        where = str(path.relative_to(store))
        if path.suffix == ".json":
            found[where] = re.sub(r'"(fetched|noticed|url)": "[^"]*"', "", path.read_text())
        elif path.is_file() and path.suffix != ".lock":
            found[where] = path.read_bytes()
    return found


def interface_rows(*days: str) -> list[list[Any]]:
    """The bars of these days as the exchange's interface gives them."""
    return rows_of_csv(b"".join(klines_csv(name(day)) for day in days))


def rows_of_csv(csv: bytes) -> list[list[Any]]:
    """A CSV's lines as the interface gives them: numbers for times and counts, text for the rest."""
    return [
        [int(cell) if column in (0, 6, 8) else cell for column, cell in enumerate(line.split(","))]
        for line in csv.decode().splitlines()
    ]
