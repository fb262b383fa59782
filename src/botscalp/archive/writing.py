"""Rows into the store: the files of a month merged, written whole or not at all, and noted in the manifest."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from botscalp.archive.klines import Parsed
from botscalp.archive.lines import FileRefusedError
from botscalp.data.grid import Grid
from botscalp.data.manifest import (
    FUNDING,
    Gap,
    Manifest,
    Month,
    Revision,
    Series,
    SourceFile,
    month_span_ns,
    recent_ns,
    source_span_ns,
)
from botscalp.data.store import PENDING, damaged, read_manifest, sha256_of, times_ns
from botscalp.times import time_text, utc_text
from botscalp.types import Int64
from botscalp.whole_files import about, sync

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

ROWS_TOGETHER = 131_072
"""of a file, which whoever wants some of them has to read: a month of minutes, a day and a half of seconds"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one file, or one request of recent bars, has to say of [start, end)."""

    source: SourceFile | None
    """None: recent bars, from the exchange's interface"""
    parsed: Parsed
    start_ns: int
    end_ns: int


def write_month(store: Path, series: Series, month: str, parts: Sequence[Part], *, complete: bool) -> Month:
    """Merge the parts into the month "2024-01" and return what the manifest now says of it.

    A file replaces every row within its [start, end), and the sources and repairs of files that lie within it: a month's
    file its days, a revised file the old one (noted under `revisions`), both the recent bars. Recent bars fill only what
    no file speaks for. Repairs and new gaps are logged as warnings. Any number of processes may write at once.

    Args:
        complete: whether the archive has nothing more to give for this month: what is missing from it then is a gap.

    Raises:
        UserError: the month's Parquet file is not the one that the manifest describes.
        FileRefusedError: bars of a part open beside the grid of those in the store.
    """
    assert parts and all(
        month_span_ns(month)[0] <= part.start_ns < part.end_ns <= month_span_ns(month)[1] for part in parts
    ), "parts within the month"
    folder = series.folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    with series.lock(store):
        manifest = read_manifest(store, series)
        grid = _one_grid(store, manifest, parts)
        old = manifest.months.get(month)
        table = None if old is None else _stored(store, series, month, old)
        sources = () if old is None else old.sources
        repairs = () if old is None else old.repairs
        recent = [] if old is None else recent_ns(old)
        revisions: list[Revision] = []
        # Recent bars come last: they fill what the files leave.
        for part in sorted(parts, key=lambda part: (part.source is None, part.start_ns, part.start_ns - part.end_ns)):
            table = _merged(table, part, series, [source_span_ns(source.name) for source in sources])
            if part.source is None:
                recent.append((part.start_ns, part.end_ns))
                repairs = (*repairs, *part.parsed.repairs)
                continue
            gone = {one.name for one in sources if _within(source_span_ns(one.name), part)}
            revisions += _revised(sources, part.source)
            sources = (*(one for one in sources if one.name not in gone), part.source)
            repairs = (*(one for one in repairs if one.split(": ")[0] not in gone), *part.parsed.repairs)
        assert table is not None, "there is a part"
        recent_rows = int(np.count_nonzero(table["recent"].to_numpy()))
        recent = grid.joined(recent) if recent_rows else []
        names = {source.name for source in sources}
        spans = grid.joined([month_span_ns(month)] if complete else [*map(source_span_ns, names), *recent])
        path = series.parquet(store, month)
        pending = path.with_name(path.name + PENDING)
        _write_parquet(table, pending)
        new = Month(
            rows=len(table),
            sha256=sha256_of(pending),
            complete=complete,
            start=utc_text(spans[0][0]),
            end=utc_text(spans[-1][1]),
            sources=tuple(sorted(sources, key=lambda source: source.name)),
            gaps=() if series.interval == FUNDING else _gaps(times_ns(table, series), grid, spans),
            # Those of recent rows go with the last of them.
            repairs=tuple(sorted({one for one in repairs if recent_rows or one.split(": ")[0] in names})),
            recent_rows=recent_rows,
            recent=tuple((utc_text(start_ns), utc_text(end_ns)) for start_ns, end_ns in recent),
        )
        _log(series, old, new, revisions)
        months = {**manifest.months, month: new}
        _write_manifest(
            folder, replace(manifest, months=months, revisions=(*manifest.revisions, *revisions))
        )  # from here on the month is the new one
        pending.replace(path)
        sync(folder)
        return new


def _one_grid(store: Path, manifest: Manifest, parts: Sequence[Part]) -> Grid:
    """The grid on which the bars of the parts open, and those of the store, where there are some."""
    series = manifest.series
    grids = [series.grid(int(times_ns(part.parsed.table.slice(0, 1), series)[0])) for part in parts]
    known = manifest.grid if manifest.months else grids[0]
    for part, grid in zip(parts, grids, strict=True):
        if grid != known:
            name = part.source.name if part.source else f"{series}, recent"
            own, theirs = (time_text(one.next_ns(part.start_ns)) for one in (grid, known))
            others = ", ".join(sorted(manifest.sources)[:1]) or "recent bars"
            problem = f"opens a bar at {own}, where the grid of {others} in the store has one at {theirs}"
            remedy = (
                "leave its time out of start and end; or, where it is the store that is wrong, "
                f"delete {series.folder(store)} and ingest it again"
            )
            raise FileRefusedError("file", name, problem, remedy)
    return known


def _stored(store: Path, series: Series, month: str, known: Month) -> "pa.Table":
    """The month as it is; never a base for a new one where somebody has changed it."""
    import pyarrow.parquet as pq

    path = series.parquet(store, month)
    if sha256_of(path) != known.sha256:
        raise damaged(store, series, month)
    return pq.read_table(path)


def _merged(table: "pa.Table | None", part: Part, series: Series, spoken_for: Iterable[tuple[int, int]]) -> "pa.Table":
    """The table with the part's rows instead of its own ones; with recent rows where no file speaks."""
    import pyarrow as pa

    rows = part.parsed.table
    rows = rows.append_column("recent", pa.array(np.full(len(rows), part.source is None)))
    if part.source is None:
        time_ns = times_ns(rows, series)
        free = np.ones(len(rows), bool)
        for start_ns, end_ns in spoken_for:
            free &= (time_ns < start_ns) | (time_ns >= end_ns)
        rows = rows.filter(pa.array(free))
    if table is None:
        return rows
    kept_ns = times_ns(table, series)
    replaced = (kept_ns >= part.start_ns) & (kept_ns < part.end_ns)
    if part.source is None:
        replaced &= table["recent"].to_numpy()
    whole = pa.concat_tables([table.filter(pa.array(~replaced)), rows])
    return whole.sort_by(series.time_column)


def _within(span_ns: tuple[int, int], part: Part) -> bool:
    return part.start_ns <= span_ns[0] and span_ns[1] <= part.end_ns


def _revised(sources: Iterable[SourceFile], new: SourceFile) -> list[Revision]:
    """That the archive has published a file of this name anew, if it has."""
    return [
        Revision(name=new.name, old=old.sha256, new=new.sha256, noticed=new.fetched)
        for old in sources
        if old.name == new.name and old.sha256 != new.sha256
    ]


def _gaps(time_ns: Int64, grid: Grid, spans_ns: Iterable[tuple[int, int]]) -> tuple[Gap, ...]:
    """Where bars are missing within the spans [start, end), which lie on the grid; nobody asked for what is between."""
    step_ns = grid.step_ns
    gaps = []
    for start_ns, end_ns in spans_ns:
        inside = time_ns[slice(*np.searchsorted(time_ns, [start_ns, end_ns]))]
        edges = np.concatenate([[start_ns - step_ns], inside, [end_ns]])
        missing = np.diff(edges) // step_ns - 1
        gaps += [
            Gap(start=utc_text(int(edges[row]) + step_ns), end=utc_text(int(edges[row + 1])), bars=int(missing[row]))
            for row in np.flatnonzero(missing)
        ]
    return tuple(gaps)


def _log(series: Series, old: Month | None, new: Month, revisions: Iterable[Revision]) -> None:
    """A line for everything about the month that is not as it should be, and was not known before."""
    for repair in new.repairs:
        if old is None or repair not in old.repairs:
            logger.warning("%s", repair)
    for gap in new.gaps:
        if old is None or gap not in old.gaps:
            logger.warning("%s: %d bars missing from %s to %s", series, gap.bars, gap.start, gap.end)
    for revision in revisions:
        logger.warning("%s: published anew, was %s, is %s", revision.name, revision.old[:12], revision.new[:12])


def _write_parquet(table: "pa.Table", path: Path) -> None:
    """The same bytes for the same table, safely on disk; no pandas index, no time of writing."""
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata(None).combine_chunks()
    with about(path):
        # Prices hardly repeat: without dictionaries a month of 5m bars takes a quarter less.
        pq.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=ROWS_TOGETHER)
        sync(path)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    path = folder / "manifest.json"
    pending = path.with_name(path.name + PENDING)
    with about(pending):
        pending.write_text(manifest.json())
        sync(pending)
    sync(folder)
    pending.replace(path)
    sync(folder)
