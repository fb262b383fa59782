"""What is odd about a series in the store: bars that are missing, without trades or far off, and files that were changed."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.data.grid import Grid
from botscalp.data.manifest import FUNDING, Revision, Series, covered_ns, month_span_ns
from botscalp.data.store import ingest_command, read_manifest, read_months, times_ns
from botscalp.errors import UserError
from botscalp.times import DAY_NS, utc_text
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1
FAR = 20.0
"""true ranges beyond that many medians of their month are worth a look: some 25 bars of a year of 5-minute bars of BTCUSDT"""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Bars one after the other."""

    start: str
    """open time of the first, UTC"""
    end: str
    """when the last ends"""
    bars: int


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A bar that moved further than bars of its month do; the market's doing, or a wrong price."""

    time: str
    """its open time, UTC"""
    true_range_bps: float
    """from the lowest to the highest of its prices and the close before, in 0.01 %"""
    medians: float
    """the same in medians of its month"""


@dataclass(frozen=True, kw_only=True)
class Day:
    """A UTC day of the calendar, on which bars open."""

    day: str
    expected: int
    """bars, within the time that the series speaks for"""
    bars: int
    zero_volume: int


@dataclass(frozen=True, kw_only=True)
class Health:
    """Of one series; of funding rates, which keep no grid, only what its files say."""

    series: Series
    start: str
    """the files and the recent bars speak for [start, end), UTC"""
    end: str
    bars: int
    expected: int | None
    recent: int
    """bars of the exchange's interface, since the archive has them not yet"""
    gaps: tuple[Stretch, ...]
    """bars that the files and the exchange lack"""
    unfetched: tuple[Stretch, ...]
    """time in between that no file in the store speaks for; it is not expected"""
    zero_volume: tuple[Stretch, ...]
    outliers: tuple[Outlier, ...]
    """the furthest first"""
    repairs: tuple[str, ...]
    revisions: tuple[Revision, ...]
    overridden: tuple[str, ...]
    """files taken although their published checksum is another"""
    calendar: tuple[Day, ...]

    @property
    def coverage(self) -> float | None:
        """Share of the expected bars that are there."""
        return self.bars / self.expected if self.expected else None

    @property
    def json(self) -> str:
        """All of it."""
        values = {"schema": SCHEMA, **asdict(self), "series": str(self.series), "coverage": self.coverage}
        return json.dumps(values, indent=1) + "\n"


def health_of(store: Path, series: Series) -> Health:
    """The health of one series, read a month at a time.

    Raises:
        UserError: nothing is stored of it, or a file is not the one that was written.
    """
    manifest = read_manifest(store, series)
    months = manifest.months.values()
    if not months:
        remedy = f"fetch it: {ingest_command([series], store=store, start_ns=None, end_ns=None)}"
        raise UserError("store", series.folder(store), "holds nothing", remedy)
    covered = covered_ns(manifest)
    return Health(
        series=series,
        start=utc_text(covered[0][0]),
        end=utc_text(covered[-1][1]),
        bars=sum(month.rows for month in months),
        recent=sum(month.recent_rows for month in months),
        repairs=tuple(repair for month in months for repair in month.repairs),
        revisions=manifest.revisions,
        overridden=tuple(name for name, source in manifest.sources.items() if source.overridden),
        **_nothing() if series.interval == FUNDING else _of_bars(store, series, manifest.grid, covered),
    )


def _nothing() -> dict[str, Any]:
    return {"expected": None, **dict.fromkeys(("gaps", "unfetched", "zero_volume", "outliers", "calendar"), ())}


def _of_bars(store: Path, series: Series, grid: Grid, covered: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What the bars themselves show, month by month; `covered` holds the times [start, end) that files speak for."""
    spans = [(grid.number(start_ns), grid.number(end_ns)) for start_ns, end_ns in covered]
    missing: list[tuple[int, int]] = []
    idle: list[tuple[int, int]] = []
    outliers: list[Outlier] = []
    counts = Counter[int](), Counter[int](), Counter[int]()  # by UTC day: expected bars, bars, bars without trades
    last, last_close = -1, np.nan
    for name, table in read_months(store, series, columns=["open_time", "high", "low", "close", "volume"]):
        opening = [grid.number(grid.next_ns(time_ns)) for time_ns in month_span_ns(name)]
        parts = [(max(start, opening[0]), min(end, opening[1])) for start, end in spans]
        parts = [(start, end) for start, end in parts if start < end]
        number = grid.number(times_ns(table, series))
        still = number[table["volume"].to_numpy() == 0.0]
        for start, end in parts:
            inside = number[slice(*np.searchsorted(number, [start, end]))]
            missing += _between(np.concatenate([[start - 1], inside, [end]]))
        idle += _runs(still)
        due = np.concatenate([np.arange(start, end) for start, end in parts])
        for count, some in zip(counts, (due, number, still), strict=True):
            days, bars = np.unique(grid.time_ns(some) // DAY_NS, return_counts=True)
            count.update(dict(zip(days.tolist(), bars.tolist(), strict=True)))
        if not len(number):
            continue
        before = np.concatenate([[last_close], table["close"].to_numpy()[:-1]])
        before[np.diff(number, prepend=last) != 1] = np.nan
        outliers += _far(table, grid.time_ns(number), before)
        last, last_close = int(number[-1]), float(table["close"][-1].as_py())
    expected_D, bars_D, idle_D = counts
    return {
        "expected": expected_D.total(),
        "gaps": _stretches(missing, grid),
        "unfetched": _stretches([(end, start) for (_, end), (start, _) in pairwise(spans)], grid),
        "zero_volume": _stretches(idle, grid),
        "outliers": tuple(sorted(outliers, key=lambda one: -one.medians)),
        "calendar": tuple(
            Day(day=str(np.datetime64(day, "D")), expected=expected_D[day], bars=bars_D[day], zero_volume=idle_D[day])
            for day in sorted(expected_D)
        ),
    }


def _between(number: Int64) -> list[tuple[int, int]]:
    """[first, end) of the numbers that are missing between each two."""
    row = np.flatnonzero(np.diff(number) > 1)
    return list(zip((number[row] + 1).tolist(), number[row + 1].tolist(), strict=True))


def _runs(number: Int64) -> list[tuple[int, int]]:
    """[first, end) of the stretches of numbers that follow each other."""
    edge = np.flatnonzero(np.diff(number) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(number, edge) if len(part)]


def _stretches(ranges: Iterable[tuple[int, int]], grid: Grid) -> tuple[Stretch, ...]:
    """As times; ranges that touch, for a month ends between them, are one."""
    joined: list[tuple[int, int]] = []
    for first, end in ranges:
        if joined and joined[-1][1] == first:
            first = joined.pop()[0]
        joined.append((first, end))
    return tuple(
        Stretch(start=utc_text(grid.time_ns(first)), end=utc_text(grid.time_ns(end)), bars=end - first)
        for first, end in joined
    )


def _far(table: "pa.Table", time_ns: Int64, before: Float64) -> list[Outlier]:
    """The month's outliers; `before` holds the close of the bar before each, NaN where that is missing."""
    high, low = np.fmax(table["high"].to_numpy(), before), np.fmin(table["low"].to_numpy(), before)
    bps = 1e4 * (high / low - 1.0)
    moved = bps[bps > 0.0]
    medians = bps / np.median(moved) if len(moved) else np.zeros(len(bps))
    return [
        Outlier(time=utc_text(int(time_ns[row])), true_range_bps=float(bps[row]), medians=float(medians[row]))
        for row in np.flatnonzero(medians > FAR)
    ]
