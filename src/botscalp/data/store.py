"""The store: a Parquet file for each month of a series, and a manifest that says where its rows came from.

    STORE/<market>/<symbol>/<interval>/2024-01.parquet
                                       manifest.json

What is written goes under `NAME.pending` first. A month is renamed after the manifest that holds its SHA-256, so the
manifest's rename is the moment at which a month changes, and `settle` finishes or undoes what a killed process left.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache, reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from botscalp.data.bars import checked
from botscalp.data.manifest import FUNDING, SCHEMA, Manifest, Series, month_of, month_span_ns
from botscalp.errors import UserError
from botscalp.types import Bars, Int64

if TYPE_CHECKING:
    import pyarrow as pa

PENDING = ".pending"
"""ends the name of what is being written"""


def stored_series(store: Path) -> list[Series]:
    """What the store holds, sorted by market, symbol and length."""
    found = []
    for path in sorted(store.glob("*/*/*/manifest.json")):
        market, symbol, interval = path.parts[-4:-1]
        found.append(Series(market=market, symbol=symbol, interval=interval))
    by_length = {one: float("inf") if one.interval == FUNDING else one.interval_ns for one in found}
    return sorted(found, key=lambda one: (one.market, one.symbol, by_length[one]))


def read_manifest(store: Path, series: Series) -> Manifest:
    """What the store holds of the series; empty where there is nothing. Months whose file is gone are left out.

    Raises:
        UserError: the manifest is of another schema or series, or no manifest.
    """
    settle(store, series)
    return _manifest(store, series)


def settle(store: Path, series: Series) -> None:
    """Finish what a killed process left: a pending month that the manifest knows is kept, anything else removed."""
    folder = series.folder(store)
    if not any(folder.glob(f"*{PENDING}")):
        return
    with series.lock(store):
        manifest = _manifest(store, series, whole=False)
        for pending in folder.glob(f"*{PENDING}"):
            month = manifest.months.get(pending.name.removesuffix(f".parquet{PENDING}"))
            if month is not None and sha256_of(pending) == month.sha256:
                pending.replace(pending.with_name(pending.name.removesuffix(PENDING)))
            else:
                pending.unlink()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_once(path: Path) -> str:
    """`sha256_of`, once a process as long as nobody writes to the file: a streamed walk reads the same months many times."""
    stat = path.stat()
    return _sha256_of_version(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_of_version(path: Path, inode: int, size_bytes: int, changed_ns: int) -> str:
    return sha256_of(path)


def read_table(
    store: Path,
    series: Series,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    columns: Sequence[str] | None = None,
) -> "pa.Table":
    """The rows within [start, end), sorted by time; of these columns alone where some are named.

    Raises:
        UserError: nothing is stored of that time, or a month's file is not the one that was written.
    """
    paths = [path for _, path in _trusted(store, series, start_ns, end_ns)]
    return _scanned(paths, series, start_ns, end_ns, columns)


def read_months(store: Path, series: Series, *, columns: Sequence[str]) -> Iterator[tuple[str, "pa.Table"]]:
    """These columns a month at a time, so that no more than a month is held: ("2024-01", its rows); errors as `read_table`."""
    for month, path in _trusted(store, series, None, None):
        yield month, _scanned([path], series, None, None, columns)


def read_bars(store: Path, series: Series, *, start_ns: int | None = None, end_ns: int | None = None) -> Bars:
    """The bars that open within [start, end), recent ones included; errors as `read_table`."""
    names = [one.name for one in fields(Bars) if one.name not in ("symbol", "interval_ns", "open_time_ns")]
    # A column that a file lacks is null there; bars have it whole or not at all.
    table = read_table(store, series, start_ns=start_ns, end_ns=end_ns, columns=["open_time", *names])
    bars = Bars(
        symbol=series.symbol,
        interval_ns=series.interval_ns,
        open_time_ns=times_ns(table, series),
        **{name: table[name].to_numpy() for name in names if not table[name].null_count},
    )
    return checked(bars, key="store", value=series.folder(store))


def times_ns(table: "pa.Table", series: Series) -> Int64:
    """The table's times in nanoseconds, shape (T,)."""
    return np.asarray(table[series.time_column].to_numpy().astype("datetime64[ns]").astype(np.int64))


def series_at(folder: Path) -> tuple[Path, Series]:
    """The store and the series whose folder this is, as in "bars/spot/BTCUSDT/1m"."""
    folder = folder.absolute()
    market, symbol, interval = folder.parts[-3:]
    return folder.parents[2], Series(market=market, symbol=symbol, interval=interval)


def _scanned(
    paths: Sequence[Path], series: Series, start_ns: int | None, end_ns: int | None, columns: Sequence[str] | None
) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.dataset as ds

    time, kind = ds.field(series.time_column), pa.timestamp("ms", tz="UTC")
    bounds = []
    # Stored times are whole milliseconds, so a bound between two of them is the later one.
    if start_ns is not None:
        bounds.append(time >= pa.scalar(-(-start_ns // 1_000_000), kind))
    if end_ns is not None:
        bounds.append(time < pa.scalar(-(-end_ns // 1_000_000), kind))
    rows = reduce(and_, bounds) if bounds else None
    return ds.dataset(paths, format="parquet").to_table(columns=columns and list(columns), filter=rows)


def _trusted(
    store: Path, series: Series, start_ns: int | None, end_ns: int | None, *, again: bool = True
) -> list[tuple[str, Path]]:
    """The months that meet [start, end), each file with the hash that the manifest states."""
    held = read_manifest(store, series).months
    wanted = [
        month
        for month in sorted(held)
        if (end_ns is None or month_span_ns(month)[0] < end_ns)
        and (start_ns is None or month_span_ns(month)[1] > start_ns)
    ]
    if not wanted:
        problem = "holds nothing of that time" if held else "holds nothing"
        command = ingest_command([series], store=store, start_ns=start_ns, end_ns=end_ns)
        raise UserError("store", series.folder(store), problem, f"fetch it: {command}")
    found = [(month, series.parquet(store, month)) for month in wanted]
    for month, path in found:
        if _sha256_once(path) == held[month].sha256:
            continue
        if again:  # another process may have written it between the two readings: none can while the lock is held
            with series.lock(store):
                return _trusted(store, series, start_ns, end_ns, again=False)
        raise damaged(store, series, month)
    return found


def damaged(store: Path, series: Series, month: str) -> UserError:
    """The error about a file that is not the one which the manifest describes."""
    start_ns, end_ns = month_span_ns(month)
    command = ingest_command([series], store=store, start_ns=start_ns, end_ns=end_ns)
    problem = "is not the file that was written: its SHA-256 is not the manifest's"
    remedy = f"delete that file and fetch the month again: {command}"
    return UserError("store", series.parquet(store, month), problem, remedy)


def ingest_command(wanted: Sequence[Series], *, store: Path, start_ns: int | None, end_ns: int | None) -> str:
    """The command that fetches [start, end) of series of one market and interval; as far as there is without an end."""
    symbols, first = ",".join(series.symbol for series in wanted), wanted[0]
    kind = "kind=funding" if first.interval == FUNDING else f"interval={first.interval}"
    # Who named no start gets one to change.
    start = "2022-01" if start_ns is None else month_of(start_ns)
    end = "" if end_ns is None else f" end={month_of(end_ns - 1)}"
    where = "" if store == Path("bars") else f" store={store}"
    return f"python -m botscalp.ingest symbols=[{symbols}] {kind} start={start}{end} market={first.market}{where}"


def _manifest(store: Path, series: Series, *, whole: bool = True) -> Manifest:
    """As written, `whole` without the months whose file is gone."""
    from pydantic import TypeAdapter, ValidationError

    path = series.folder(store) / "manifest.json"
    try:
        manifest = TypeAdapter(Manifest).validate_json(path.read_bytes())
    except FileNotFoundError:
        return Manifest(series=series)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"is no manifest of schema {SCHEMA}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UserError("store", path, problem, "delete that folder and ingest it again") from None
    if manifest.schema != SCHEMA or manifest.series != series:
        problem = f"is of schema {manifest.schema} and {manifest.series}, not schema {SCHEMA} and {series}"
        raise UserError("store", path, problem, "delete that folder and ingest it again")
    if not whole:
        return manifest
    return replace(
        manifest,
        months={name: month for name, month in manifest.months.items() if series.parquet(store, name).exists()},
    )
