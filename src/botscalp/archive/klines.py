"""What one CSV of the archive holds: rows as a table, with every repair named, or a refusal that names file and line.

Everything is decided from the content: files have a header or none, count milliseconds or microseconds, and changed
from one to the other without notice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from botscalp.archive.lines import FileRefusedError, Lines, read_lines, refuse
from botscalp.data.files import BINANCE_COLUMNS, SPELLINGS
from botscalp.data.grid import grid_of
from botscalp.data.manifest import FUNDING, Series
from botscalp.times import UNITS_NS, interval_name, parse_interval, time_text
from botscalp.types import Bool, Float64, Int64

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FileRefusedError", "Parsed", "parse", "parse_funding", "parse_klines"]

VALUES = (
    *("open", "high", "low", "close", "volume"),
    *("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume"),
)
HEADERS = SPELLINGS | {
    "close_time": ("closetime",),
    "taker_buy_quote_volume": ("takerbuyquotevolume", "takerbuyquoteassetvolume", "tbquoteav"),
}
FUNDING_LAYOUTS = (("funding_time", "funding_rate"), ("funding_time", "interval_hours", "funding_rate"))
FUNDING_HEADERS = {
    "funding_time": ("fundingtime", "calctime"),
    "interval_hours": ("fundingintervalhours",),
    "funding_rate": ("fundingrate", "lastfundingrate"),
}

# Binance's quote volume is the sum of price times quantity, exact to its last digit.
_QUOTE_TOLERANCE = 1e-6
_DUST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """The rows of one file."""

    table: "pa.Table"
    """klines: open_time, open, high, low, close, volume, quote_volume, trades, taker_buy_volume,
    taker_buy_quote_volume; funding: funding_time, funding_rate. Times timestamp[ms, UTC], the rest float64"""
    repairs: tuple[str, ...]
    """as NAME: what was repaired, or what is odd and was kept"""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows by time, each with the line on which it stands."""

    name: str
    time_ns: Int64
    line: Int64
    values: dict[str, Float64]

    def taken(self, rows: "Int64 | Bool") -> "_Rows":
        values = {column: numbers[rows] for column, numbers in self.values.items()}
        return _Rows(name=self.name, time_ns=self.time_ns[rows], line=self.line[rows], values=values)

    def refuse(self, wrong: Bool, problem: str, *columns: str) -> None:
        """Raise an error about the first of the rows that are wrong, if any is."""
        if wrong.any():
            row, others = int(wrong.argmax()), int(wrong.sum()) - 1
            held = ", ".join(f"{column} {self.values[column][row]:.15g}" for column in columns)
            more = f"; so do {others} other lines" if others else ""
            where = f"line {self.line[row]}, {time_text(int(self.time_ns[row]))}"
            refuse(self.name, f"{where}: {problem}{f' ({held})' if held else ''}{more}")


def parse(data: bytes, series: Series, *, name: str, start_ns: int, end_ns: int) -> Parsed:
    """The rows of one CSV of the series; see `parse_klines` and `parse_funding`."""
    if series.interval == FUNDING:
        return parse_funding(data, name=name, start_ns=start_ns, end_ns=end_ns)
    coin_margined, interval = series.market == "cm", series.interval
    return parse_klines(
        data, name=name, interval=interval, start_ns=start_ns, end_ns=end_ns, coin_margined=coin_margined
    )


def parse_klines(
    data: bytes, *, name: str, interval: str, start_ns: int, end_ns: int, coin_margined: bool = False
) -> Parsed:
    """The klines of one CSV, whose rows must open within [start, end) on one grid of the interval.

    For the interface's JSON write its rows as lines first: b"\\n".join(",".join(map(str, row)).encode() for row in rows)
    and a last b"\\n", without the bar that is not closed yet.

    Lines out of order are sorted and repeated lines dropped; both are named among the repairs, as is what is odd but
    kept: bars that close early, and volumes that contradict each other.

    Args:
        name: of the file or the request, for messages.
        coin_margined: volume counts contracts and quote volume coins, so that prices say nothing of the two.

    Raises:
        FileRefusedError: naming the line, counted from 1 and the header included, and the reason.
    """
    lines = read_lines(data, name=name, layouts=[BINANCE_COLUMNS], spellings=HEADERS, optional={"trades"})
    repairs = list(lines.repairs)
    rows = _Rows(
        name=name,
        time_ns=_times_ns(lines, "open_time"),
        line=np.arange(len(lines)) + lines.first_line,
        values={column: lines.numbers(column) for column in VALUES if column in lines.columns},
    )
    interval_ns = parse_interval(interval, key="interval")
    rows.values["close_time"] = (_last_ns(lines) - rows.time_ns).astype(np.float64)
    _check_span(rows, start_ns, end_ns)
    first_ns = int(rows.time_ns[0])
    grid = grid_of(interval_ns, first_ns)
    opens = time_text(grid.time_ns(grid.number(first_ns)))
    rows.refuse(~grid.holds(rows.time_ns), f"does not open on the grid of {interval}, as the bar of {opens} does")
    rows, notes = _in_order(rows)
    repairs += notes
    repairs += _early(rows, interval_ns)
    del rows.values["close_time"]
    _check_values(rows)
    repairs += _odd(rows, coin_margined=coin_margined)
    if "trades" not in rows.values:
        repairs.append("has no count of trades: they are null")
    return Parsed(table=_table("open_time", rows, VALUES), repairs=tuple(f"{name}: {repair}" for repair in repairs))


def parse_funding(data: bytes, *, name: str, start_ns: int, end_ns: int) -> Parsed:
    """The funding rates of one CSV: calc_time, funding_interval_hours, last_funding_rate; errors as `parse_klines`.

    Rates that are missing by the file's own intervals are named among the repairs.

    For the interface's JSON give two fields a line: fundingTime, fundingRate.
    """
    if data and not data.endswith(b"\n"):  # where a line ends in the rate, half a rate is one, too
        refuse(name, "ends without a line break: its last rate may be cut")
    lines = read_lines(data, name=name, layouts=FUNDING_LAYOUTS, spellings=FUNDING_HEADERS, optional={"interval_hours"})
    rows = _Rows(
        name=name,
        time_ns=_times_ns(lines, "funding_time"),
        line=np.arange(len(lines)) + lines.first_line,
        values={
            column: lines.numbers(column) for column in ("funding_rate", "interval_hours") if column in lines.columns
        },
    )
    _check_span(rows, start_ns, end_ns)
    rows.refuse(np.abs(rows.values["funding_rate"]) >= 1, "has a rate of 100 % or more", "funding_rate")
    rows, notes = _in_order(rows)
    if "interval_hours" in rows.values:
        rows.refuse(rows.values["interval_hours"] <= 0, "its interval is not above 0", "interval_hours")
        notes += _lacking(rows, start_ns, end_ns)
    repairs = tuple(f"{name}: {repair}" for repair in (*lines.repairs, *notes))
    return Parsed(table=_table("funding_time", rows, ("funding_rate",)), repairs=repairs)


def _lacking(rows: _Rows, start_ns: int, end_ns: int) -> list[str]:
    """What to note of rates that are missing within [start, end), by the interval that the rows next to them state."""
    hours = rows.values["interval_hours"]
    between_ns = np.maximum(np.append(hours[:1], hours), np.append(hours, hours[-1:])) * UNITS_NS["h"]
    edges = np.concatenate([[start_ns - between_ns[0]], rows.time_ns, [end_ns]])
    missing = np.rint(np.diff(edges) / between_ns).astype(int) - 1
    holes = np.flatnonzero(missing > 0)
    if not len(holes):
        return []
    after = time_text(int(rows.time_ns[holes[0] - 1])) if holes[0] else "the beginning"
    return [f"lacks {int(missing[holes].sum())} of its rates, by the intervals that it states, first after {after}"]


def _times_ns(lines: Lines, column: str) -> Int64:
    """Milliseconds or microseconds, told by magnitude, as nanoseconds."""
    stamps = lines.whole_numbers(column)
    # From 2001 to 2128 the two do not overlap with each other, nor with seconds or nanoseconds.
    micro = (stamps >= 10**15) & (stamps < 5 * 10**15)
    wrong = ~micro & ~((stamps >= 10**12) & (stamps < 5 * 10**12))
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"{column} {stamps[row]} counts neither milliseconds nor microseconds since 1970"
        refuse(lines.name, f"line {row + lines.first_line}: {problem}")
    if micro.any() != micro.all():
        row = int((micro != micro[0]).argmax())
        refuse(lines.name, f"line {row + lines.first_line}: {column} changes between milliseconds and microseconds")
    return stamps * (1_000 if micro[0] else 1_000_000)


def _last_ns(lines: Lines) -> Int64:
    """Where each bar ends: one unit after the close time that the file states, which is the bar's last."""
    stamps, last_ns = lines.whole_numbers("close_time"), _times_ns(lines, "close_time")
    return last_ns + (1_000 if stamps[0] >= 10**15 else 1_000_000)


def _check_span(rows: _Rows, start_ns: int, end_ns: int) -> None:
    outside = (rows.time_ns < start_ns) | (rows.time_ns >= end_ns)
    rows.refuse(outside, f"lies outside {time_text(start_ns)} to {time_text(end_ns)}, the time of the file's name")


def _in_order(rows: _Rows) -> tuple[_Rows, list[str]]:
    """Sorted by time, rows that repeat another one dropped; a time with two meanings is refused."""
    repairs = []
    back = np.diff(rows.time_ns) < 0
    if back.any():
        rows_back = int(back.sum())
        repairs.append(f"goes back in time at {rows_back} lines, first at line {rows.line[1:][back][0]}: sorted")
        rows = rows.taken(np.argsort(rows.time_ns, kind="stable"))
    again = np.diff(rows.time_ns, prepend=-1) == 0
    if again.any():
        differs = np.zeros(len(again), bool)
        for numbers in rows.values.values():
            differs[1:] |= again[1:] & (numbers[1:] != numbers[:-1])
        rows.refuse(differs, "is the time of two lines that differ")
        repairs.append(f"repeats {int(again.sum())} lines, first at line {rows.line[again.argmax()]}: dropped")
        rows = rows.taken(~again)
    return rows, repairs


def _early(rows: _Rows, interval_ns: int) -> list[str]:
    """What to note of bars that close before their end; bars of another length are refused."""
    length_ns = rows.values["close_time"]
    odd = length_ns != interval_ns
    if odd.any():
        lengths, counts = np.unique(length_ns, return_counts=True)
        usual_ns = int(lengths[counts.argmax()])
        if usual_ns != interval_ns and counts.max() > 1:
            names = f"{usual_ns / 1e9:g} s, not {interval_name(interval_ns)}"
            refuse(rows.name, f"holds bars of another interval: most last {names}")
        rows.refuse(
            (length_ns <= 0) | (length_ns > interval_ns), f"does not close within its {interval_name(interval_ns)}"
        )
        first = time_text(int(rows.time_ns[odd.argmax()]))
        return [f"closes early in {int(odd.sum())} of {len(odd)} bars, first in that of {first}: kept"]
    return []


def _check_values(rows: _Rows) -> None:
    """Refuse what no market can have printed."""
    values = rows.values
    for column in ("open", "high", "low", "close"):
        rows.refuse(values[column] <= 0, f"its {column} is not above 0", column)
    for column in VALUES[4:]:
        if column in values:
            rows.refuse(values[column] < 0, f"its {column} is below 0", column)
    prices = ("open", "high", "low", "close")
    rows.refuse(values["low"] > np.minimum(values["open"], values["close"]), "its low is not the lowest", *prices)
    rows.refuse(values["high"] < np.maximum(values["open"], values["close"]), "its high is not the highest", *prices)
    for part, whole in (("taker_buy_volume", "volume"), ("taker_buy_quote_volume", "quote_volume")):
        above = values[part] > values[whole] * (1 + _DUST) + _DUST
        rows.refuse(above, f"its {part} is more than its {whole}", part, whole)
    if "trades" in values:
        rows.refuse(values["trades"] % 1 != 0, "its trades are no whole number", "trades")


def _odd(rows: _Rows, *, coin_margined: bool) -> Iterator[str]:
    """What to note of volumes that contradict each other."""
    values = rows.values
    volume, quote = values["volume"], values["quote_volume"]
    slack = _QUOTE_TOLERANCE * (quote + 1)
    outside = (quote < values["low"] * volume - slack) | (quote > values["high"] * volume + slack)
    for odd, problem in (
        (outside & (not coin_margined), "a quote volume that prices and volume do not allow"),
        (
            (values["trades"] == 0) != (volume == 0) if "trades" in values else np.zeros(1, bool),
            "trades but no volume, or volume but no trades",
        ),
    ):
        if odd.any():
            count, line = int(odd.sum()), rows.line[odd.argmax()]
            yield f"has {problem} in {count} of {len(odd)} bars, first at line {line}: kept"


def _table(time_column: str, rows: _Rows, columns: tuple[str, ...]) -> "pa.Table":
    import pyarrow as pa

    times = pa.array(rows.time_ns // 1_000_000, pa.timestamp("ms", tz="UTC"))
    nothing = pa.nulls(len(rows.time_ns), pa.float64())
    return pa.table(
        {time_column: times}
        | {column: pa.array(rows.values[column]) if column in rows.values else nothing for column in columns}
    )
