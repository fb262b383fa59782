"""Bars from files: Parquet, Feather or CSV, with Binance's columns or plain open, high, low, close, volume."""

import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import expanduser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast
from zipfile import BadZipFile

import numpy as np
from annotated_types import MinLen

from botscalp.data.asked import check_named_once, loaded_range_ns
from botscalp.data.bars import checked, clipped, inferred_interval_ns
from botscalp.errors import UserError
from botscalp.times import interval_name, time_text
from botscalp.types import Bars, Float64, Int64

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# The spellings of each column, in order of preference, in lower case and without what is neither letter nor digit;
# {base} and {quote} are the two parts of a symbol, whichever they are: "Volume BTC" and "Volume USDT" of BTCUSDT.
SPELLINGS = {
    "open_time": ("opentime", "timestamp", "datetime", "date", "time", "gmttime", "unix", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "volume{base}"),
    "quote_volume": ("quotevolume", "quoteassetvolume", "quoteav", "volume{quote}"),
    "trades": ("trades", "count", "numberoftrades", "numtrades"),
    "taker_buy_volume": ("takerbuyvolume", "takerbuybaseassetvolume", "takerbuybasevolume", "tbbaseav"),
}
PRICES = ("open", "high", "low", "close")
OPTIONAL = {"quote_volume", "trades", "taker_buy_volume"}

# Binance's kline files without a header hold these.
BINANCE_COLUMNS = [
    *("open_time", "open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
]

SUFFIXES = (".parquet", ".pq", ".feather", ".csv", ".csv.gz", ".zip")


@dataclass(frozen=True, kw_only=True)
class FileSource:
    """Bars of one file, or of one file per symbol."""

    path: str
    """a file, or a folder of the store; in a pattern {symbol} stands for each of `symbols`; relative to the working
    directory"""
    symbols: Annotated[tuple[str, ...], MinLen(1)]
    """what the bars are called and what {symbol} becomes"""
    start: str | None
    """the first time loaded, UTC; null loads from the file's first bar"""
    end: str | None
    """the time at which loading stops, exclusive, UTC; null loads to the file's last bar"""

    def __post_init__(self) -> None:
        if len(self.symbols) > 1 and "{symbol}" not in self.path:
            remedy = """put {symbol} where the files' names differ, and quote it: 'data.path="bars/{symbol}.csv"'"""
            raise UserError("data.path", self.path, f"is one file for {len(self.symbols)} symbols", remedy)
        check_named_once(self.symbols)
        self._range_ns()

    @property
    def real(self) -> bool:
        """Whether a market made these bars."""
        return True

    @property
    def source(self) -> str:
        """The option's name."""
        return "file"

    def load(self) -> tuple[Bars, ...]:
        """The bars of each symbol within [start, end), in the order of `symbols`.

        Raises UserError for a file that is missing, unreadable, lacks a column, breaks the contract of
        `Bars`, holds nothing between start and end, or has another interval than the first symbol's.
        """
        markets = tuple(self._load(symbol) for symbol in self.symbols)
        for bars in markets[1:]:
            if bars.interval_ns != markets[0].interval_ns:
                names = f"{interval_name(bars.interval_ns)} bars of {bars.symbol}"
                wanted = f"{interval_name(markets[0].interval_ns)} bars of {markets[0].symbol}"
                raise UserError("data.path", self.path, f"has {names} beside {wanted}", "give files of one interval")
        return markets

    def _load(self, symbol: str) -> Bars:
        path = Path(expanduser(self.path.replace("{symbol}", symbol)))
        _warn_of_another_symbol(path, symbol)
        whole = _bars(table_of(path), symbol, path)
        bars = clipped(whole, *self._range_ns())
        if not len(bars):
            span = f"{time_text(int(whole.open_time_ns[0]))} to {time_text(int(whole.close_time_ns[-1]))}"
            wanted = f"data.start={self.start} and data.end={self.end}"
            remedy = "move data.start and data.end into that span, or set them to null"
            raise UserError("data.path", path, f"no bars between {wanted}: the file spans {span}", remedy)
        return bars

    def _range_ns(self) -> tuple[int | None, int | None]:
        return loaded_range_ns(self.start, self.end)


def _warn_of_another_symbol(path: Path, symbol: str) -> None:
    """A file named after another symbol is most likely a forgotten `data.symbols`; only a person can tell."""
    named = re.findall(r"(?<![A-Z0-9])[A-Z0-9]{2,}USD[TC]?(?![A-Z0-9])", path.name)
    if named and symbol not in named:
        logger.warning("%s is loaded as %s: if it is not, set data.symbols=[%s]", path.name, symbol, named[0])


def table_of(path: Path) -> "pd.DataFrame":
    """The file's rows as they stand, its columns named; of a folder of the store, the rows of every month."""
    import pandas as pd

    if (path / "manifest.json").is_file():
        return _stored(path)
    if not path.is_file():
        raise UserError("data.path", path, "is a folder" if path.is_dir() else "no such file", _what_exists_near(path))
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise UserError("data.path", path, "has no known suffix", f"one of {', '.join(SUFFIXES)}")
    try:
        if suffix in (".parquet", ".pq"):
            table = pd.read_parquet(path)
        elif suffix == ".feather":
            table = pd.read_feather(path)
        else:
            return _csv(path)
    except UserError:
        raise
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError("data.path", path, f"cannot be read: {reason}", "check that the file is whole") from error
    # A table saved with its times as index.
    return table.reset_index(names="open_time") if isinstance(table.index, pd.DatetimeIndex) else table


def _stored(folder: Path) -> "pd.DataFrame":
    from botscalp.data.store import read_table, series_at

    store, series = series_at(folder)
    return cast("pd.DataFrame", read_table(store, series).to_pandas())


def _csv(path: Path) -> "pd.DataFrame":
    """A CSV with a header, or Binance's twelve columns without one; files of both kinds lie in its archive."""
    import pandas as pd

    first = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    separator = next((one for one in ";\t" if len(first) == 1 and one in str(first[0])), ",")
    if separator != ",":
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, sep=separator).iloc[0]
    if pd.to_numeric(first, errors="coerce").isna().all():
        return pd.read_csv(path, low_memory=False, sep=separator)
    if len(first) != len(BINANCE_COLUMNS):
        problem = f"has no header and {len(first)} columns, not Binance's {len(BINANCE_COLUMNS)}"
        raise UserError("data.path", path, problem, "add a header: open_time,open,high,low,close,volume")
    return pd.read_csv(path, header=None, names=BINANCE_COLUMNS, low_memory=False, sep=separator)


def _bars(table: "pd.DataFrame", symbol: str, path: Path) -> Bars:
    """The table's columns as checked bars of this symbol."""
    if table.empty:
        raise UserError("data.path", path, "holds no rows", "give a file with bars")
    found = {re.sub(r"[^a-z0-9]", "", str(name).lower()): name for name in table.columns}
    if "symbol" in found and set(table[found["symbol"]].unique()) - {symbol}:
        held = sorted(map(str, table[found["symbol"]].unique()))
        raise UserError("data.symbols", symbol, f"{path} holds {', '.join(held)}", "one symbol a file, named as there")
    named = {column: next(filter(found.__contains__, _spellings(column, symbol)), None) for column in SPELLINGS}
    columns = {column: table[found[name]] for column, name in named.items() if name is not None}
    if missing := [column for column in SPELLINGS if column not in columns and column not in OPTIONAL]:
        names = ", ".join(map(str, table.columns))
        problem = f"has no column {' and none '.join(missing)}; its columns are: {names}"
        raise UserError("data.path", path, problem, f"rename them: open_time (UTC), {', '.join(PRICES)}, volume")
    open_time_ns = times_ns(columns.pop("open_time"), path)
    values = {name: numbers(column, path) for name, column in columns.items()}
    if len(open_time_ns) > 1 and (np.diff(open_time_ns) < 0).all():
        logger.info("%s has its newest row first: it is read from the end", path)
        open_time_ns = np.ascontiguousarray(open_time_ns[::-1])
        values = {name: np.ascontiguousarray(column[::-1]) for name, column in values.items()}
    bars = Bars(
        symbol=symbol,
        interval_ns=inferred_interval_ns(open_time_ns, key="data.path", value=path),
        open_time_ns=open_time_ns,
        **values,
    )
    return checked(bars, key="data.path", value=path)


def _spellings(column: str, symbol: str) -> Iterator[str]:
    """Of the column, in a file of that symbol."""
    lower = symbol.lower()
    for spelling in SPELLINGS[column]:
        if "{" in spelling:
            yield from (spelling.format(base=lower[:n], quote=lower[n:]) for n in range(2, len(lower) - 1))
        else:
            yield spelling


def times_ns(column: "pd.Series", path: Path) -> Int64:
    """Datetimes, ISO 8601 text (UTC unless stated), or integers since 1970 in s, ms, us or ns, told by magnitude."""
    import pandas as pd

    if column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise UserError("data.path", path, f"row {row}, counted from 0, has no {column.name}", "delete that row")
    first = column.iloc[0]
    if not (first.strip().isdigit() if isinstance(first, str) else isinstance(first, (int, float, np.number))):
        times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
        if times.isna().any():
            row = int(times.isna().to_numpy().argmax())
            problem = f"row {row}, counted from 0: {column.name} '{column.iloc[row]}' is no time"
            remedy = "ISO 8601 (2024-01-31 12:05:00), or integers since 1970 UTC; pandas.to_datetime(..., format=...) makes it"
            raise UserError("data.path", path, problem, remedy)
        return np.asarray(times.dt.as_unit("ns").astype("int64"), dtype=np.int64)
    stamps = pd.to_numeric(column, errors="coerce").to_numpy(na_value=np.nan)
    # From 1970-04 to 2255 the four units do not overlap; below lies nothing that is a time of a bar.
    unit = np.searchsorted([9e9, 9e12, 9e15, 9e18], stamps, side="right")
    wrong = ~((stamps >= 1e8) & (stamps < 9e18)) | (stamps % 1 != 0)
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"row {row}, counted from 0: {column.name} '{column.iloc[row]}' is no time"
        raise UserError("data.path", path, problem, "integers in s, ms, us or ns since 1970 UTC, or ISO 8601 text")
    if (unit != unit[0]).any():
        names, row = ("s", "ms", "us", "ns"), int((unit != unit[0]).argmax())
        problem = f"{column.name} changes from {names[unit[0]]} to {names[unit[row]]} at row {row}, counted from 0"
        raise UserError("data.path", path, problem, "write all times of a file in one unit")
    return stamps.astype(np.int64) * np.int64(10 ** (9 - 3 * int(unit[0])))


def numbers(column: "pd.Series", path: Path) -> Float64:
    """The column as float64; NaN where a cell is empty."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce")
    text = (values.isna() & column.notna()).to_numpy()
    if text.any():
        row = int(text.argmax())
        problem = f"row {row}, counted from 0: {column.name} '{column.iloc[row]}' is no number"
        raise UserError("data.path", path, problem, "write plain numbers, without units or thousands separators")
    return np.ascontiguousarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _stem(name: str) -> str:
    """A name without its suffix, in which all files of bars are alike."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


def _what_exists_near(path: Path) -> str:
    """A remedy for a path that is no file: the closest names in the deepest folder of it that exists."""
    path = path.absolute()
    folder = next(parent for parent in (path, *path.parents) if parent.is_dir())
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.lower().endswith(SUFFIXES))
    if folder == path:
        return f"name a file of it: {', '.join(files[:3])}" if files else "name a file"
    wanted, *below = path.relative_to(folder).parts
    folders = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    names = folders if below else folders + files
    stems = get_close_matches(_stem(wanted), {_stem(name) for name in names}, n=3)
    close = [name for stem in stems for name in names if _stem(name) == stem][:3]
    return f"in {folder} there is {', '.join(close)}" if close else f"{folder} holds nothing named like {wanted}"
