"""What a folder of the store says of itself: the series, each month, and which files its rows came from."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from botscalp.data.grid import ANY_TIME, Grid, grid_of
from botscalp.errors import UserError
from botscalp.times import DAY_NS, parse_interval, parse_time_ns

if TYPE_CHECKING:
    from filelock import BaseFileLock

SCHEMA = 1
MARKETS = ("spot", "um", "cm")
"""spot, futures margined in the quote currency, futures margined in the coin"""
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
"""what the archive holds in bars of one length, so that months are not among them; 1s of spot alone"""
FUNDING = "funding"
"""the interval under which funding rates are stored"""
LOCK_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Series:
    """What one folder of the store holds."""

    market: str
    symbol: str
    interval: str
    """the bars' length, such as 5m; or `FUNDING`"""

    def __post_init__(self) -> None:
        if self.market not in MARKETS:
            raise UserError("market", self.market, "no such market", f"one of {', '.join(MARKETS)}")
        if not re.fullmatch(r"\w{1,40}", self.symbol):
            raise UserError("symbols", self.symbol, "is no symbol", "letters and digits, such as BTCUSDT")
        if self.interval != FUNDING:
            parse_interval(self.interval, key="interval")

    def __str__(self) -> str:
        return f"{self.market}/{self.symbol}/{self.interval}"

    @property
    def interval_ns(self) -> int:
        """The bars' length; funding has none."""
        return parse_interval(self.interval, key="interval")

    def grid(self, time_ns: int) -> Grid:
        """The grid of its rows, one of which is of this time; funding keeps none."""
        return ANY_TIME if self.interval == FUNDING else grid_of(self.interval_ns, time_ns)

    @property
    def time_column(self) -> str:
        """The column by which rows are sorted."""
        return "funding_time" if self.interval == FUNDING else "open_time"

    def folder(self, store: Path) -> Path:
        """Where the months lie."""
        return store / self.market / self.symbol / self.interval

    def parquet(self, store: Path, month: str) -> Path:
        """The file of the month "2024-01"."""
        return self.folder(store) / f"{month}.parquet"

    def lock(self, store: Path) -> "BaseFileLock":
        """Held by whoever changes the folder."""
        from filelock import FileLock

        # One object a path lets a holder read what it guards, which may need the lock to `settle`.
        return FileLock(self.folder(store) / "manifest.lock", timeout=LOCK_TIMEOUT_S, is_singleton=True)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of the archive that gave rows."""

    name: str
    """BTCUSDT-1m-2024-01.zip, or with a day"""
    url: str
    sha256: str
    """of the bytes that came"""
    published_sha256: str | None
    """what the archive's .CHECKSUM says; null where there is none"""
    size_bytes: int
    rows: int
    """rows kept, after repairs"""
    fetched: str
    """UTC"""
    overridden: bool
    """whether the user accepted the file although the two hashes differ"""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Bars that the sources lack within the time they speak for."""

    start: str
    """open time of the first missing bar, UTC"""
    end: str
    """open time of the bar after the last missing one, UTC"""
    bars: int


@dataclass(frozen=True, kw_only=True)
class Month:
    """What the manifest knows of one Parquet file."""

    rows: int
    sha256: str
    """of the Parquet file"""
    complete: bool
    """whether all that the archive has, or will have, of this month is there: it speaks for the whole of it then"""
    start: str
    """the sources and the recent bars speak for times within [start, end), UTC, at both of which a bar of the grid opens"""
    end: str
    sources: tuple[SourceFile, ...]
    gaps: tuple[Gap, ...]
    repairs: tuple[str, ...]
    """as FILE: what was repaired, or what is odd and was kept"""
    recent_rows: int
    """rows that the exchange's interface gave, since the archive does not have them yet"""
    recent: tuple[tuple[str, str], ...] = ()
    """the times [start, end), UTC, for which they speak"""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A file that the archive has published anew."""

    name: str
    old: str
    """SHA-256 of the file that was stored"""
    new: str
    noticed: str
    """UTC"""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Every month of a series, by name and in order."""

    series: Series
    months: Mapping[str, Month] = field(default_factory=dict)
    revisions: tuple[Revision, ...] = ()
    schema: int = SCHEMA

    @property
    def grid(self) -> Grid:
        """The grid of its bars; where there are none yet, any time may be on it."""
        if not self.months:
            return ANY_TIME
        return self.series.grid(parse_time_ns(self.months[min(self.months)].start, key="store"))

    @property
    def sources(self) -> dict[str, SourceFile]:
        """Every file that gave rows, by name."""
        return {source.name: source for month in self.months.values() for source in month.sources}

    def json(self) -> str:
        """As text, the months in order."""
        values = asdict(self) | {"months": {name: asdict(self.months[name]) for name in sorted(self.months)}}
        return json.dumps(values, indent=1) + "\n"


def month_span_ns(month: str) -> tuple[int, int]:
    """[start, end) of the month "2024-01", or of the day "2024-01-31"."""
    if len(month) == 10:
        start_ns = int(np.datetime64(month, "ns").astype(np.int64))
        return start_ns, start_ns + DAY_NS
    first = np.datetime64(month, "M")
    start, end = (int(time.astype("datetime64[ns]").astype(np.int64)) for time in (first, first + 1))
    return start, end


def month_of(time_ns: int) -> str:
    """The month in which the time lies, as in "2024-01"."""
    return str(np.datetime64(time_ns, "ns").astype("datetime64[M]"))


def months_between(start_ns: int, end_ns: int) -> list[str]:
    """The months that [start, end) meets, in order."""
    if start_ns >= end_ns:
        return []
    first, last = (np.datetime64(time_ns, "ns").astype("datetime64[M]") for time_ns in (start_ns, end_ns - 1))
    return [str(month) for month in np.arange(first, last + 1)]


def source_span_ns(name: str) -> tuple[int, int]:
    """[start, end) of the time that a file of the archive speaks for, by its name: BTCUSDT-1m-2024-01-31.zip."""
    match = re.search(r"-(\d{4}-\d{2}(?:-\d{2})?)\.\w+$", name)
    assert match is not None, f"a file of the archive: {name}"
    return month_span_ns(match[1])


def covered_ns(manifest: Manifest) -> list[tuple[int, int]]:
    """The times [start, end) of which the store knows every bar that opens, from open to open, in order and apart."""
    spans = []
    for name, month in manifest.months.items():
        if month.complete:
            spans.append(month_span_ns(name))
        else:
            spans += [source_span_ns(source.name) for source in month.sources] + recent_ns(month)
    return manifest.grid.joined(spans)


def uncovered_ns(manifest: Manifest, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The times within [start, end) of which the store does not know what bars open, from open to open, in order."""
    start_ns, end_ns = manifest.grid.next_ns(start_ns), manifest.grid.next_ns(end_ns)
    covered = [span for span in covered_ns(manifest) if span[0] < end_ns and start_ns < span[1]]
    ends = [start_ns, *(end for _, end in covered)]
    starts = [*(start for start, _ in covered), end_ns]
    return [(end, start) for end, start in zip(ends, starts, strict=True) if end < start]


def recent_ns(month: Month) -> list[tuple[int, int]]:
    """The times [start, end) for which the month's recent rows speak."""
    if month.recent_rows and not month.recent:  # a manifest that does not say so yet: they followed the last file
        ends = [source_span_ns(source.name)[1] for source in month.sources]
        return [(max(ends, default=parse_time_ns(month.start, key="store")), parse_time_ns(month.end, key="store"))]
    return [(parse_time_ns(start, key="store"), parse_time_ns(end, key="store")) for start, end in month.recent]
