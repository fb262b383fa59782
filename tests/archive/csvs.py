"""CSVs as the archive holds them, with made-up prices, and how they come into a store."""

from pathlib import Path

import numpy as np

from botscalp.archive.klines import Parsed, parse_klines
from botscalp.archive.writing import Part, write_month
from botscalp.data.manifest import Month, Series, SourceFile, source_span_ns
from botscalp.times import parse_interval
from botscalp.types import Bars

HEADER = (
    b"open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    b"taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
SERIES = Series(market="spot", symbol="BTCUSDT", interval="5m")


def klines_csv(
    name: str, *, interval: str = "5m", header: bool = False, micro: bool = False, days: int | None = None
) -> bytes:
    """Every bar of the time that the file's name states, or of its first days; the same bytes for the same arguments."""
    start_ns, end_ns = source_span_ns(name)
    step = parse_interval(interval) // 1_000_000
    first = start_ns // 1_000_000
    last = end_ns // 1_000_000 if days is None else first + days * 86_400_000
    opens = np.arange(first, last, step)
    rng = np.random.default_rng(first)
    cents = 4_000_000 + np.cumsum(rng.integers(-500, 501, len(opens) + 1))
    wicks = rng.integers(0, 300, (2, len(opens)))
    units = rng.integers(1, 10**8, len(opens))  # hundred-thousandths of a coin
    taker = (units * rng.random(len(opens))).astype(np.int64)
    scale, unit = (1_000, 1_000) if micro else (1, 1)
    lines = [HEADER] if header else []
    for row, time in enumerate(opens):
        open_, close = int(cents[row]), int(cents[row + 1])
        high, low = max(open_, close) + int(wicks[0, row]), min(open_, close) - int(wicks[1, row])
        quote, taker_quote = int(units[row]) * close, int(taker[row]) * close
        cells = [
            str(time * unit),
            *(f"{price // 100}.{price % 100:02d}000000" for price in (open_, high, low, close)),
            f"{units[row] // 10**5}.{units[row] % 10**5:05d}000",
            str((time + step) * scale - 1),
            f"{quote // 10**7}.{quote % 10**7:07d}0",
            str(int(rng.integers(1, 5_000))),
            f"{taker[row] // 10**5}.{taker[row] % 10**5:05d}000",
            f"{taker_quote // 10**7}.{taker_quote % 10**7:07d}0",
            "0",
        ]
        lines.append(",".join(cells).encode() + b"\n")
    return b"".join(lines)


def bars_csv(bars: Bars) -> bytes:
    """The bars as the archive has them, to the last bit; half of what was traded in quote counts as the takers'."""
    assert bars.quote_volume is not None and bars.trades is not None and bars.taker_buy_volume is not None
    floats = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.quote_volume, bars.taker_buy_volume)
    whole = (bars.open_time_ns // 1_000_000, bars.close_time_ns // 1_000_000 - 1, bars.trades.astype(np.int64))
    cells = zip(*(column.tolist() for column in (*whole, *floats)), strict=True)
    return "".join(
        f"{open_ms},{open_!r},{high!r},{low!r},{close!r},{volume!r},{close_ms},{quote!r},{trades},{taker!r},{quote / 2!r},0\n"
        for open_ms, close_ms, trades, open_, high, low, close, volume, quote, taker in cells
    ).encode()


def parsed(data: bytes, name: str, *, interval: str = "5m") -> Parsed:
    """The CSV of the zip of that name, read."""
    start_ns, end_ns = source_span_ns(name)
    return parse_klines(data, name=name, interval=interval, start_ns=start_ns, end_ns=end_ns)


def part(name: str, data: bytes | None = None, *, interval: str = "5m", sha256: str = "0" * 64) -> Part:
    """What the file of that name has to say."""
    start_ns, end_ns = source_span_ns(name)
    rows = parsed(klines_csv(name, interval=interval) if data is None else data, name, interval=interval)
    source = SourceFile(
        name=name,
        url=f"http://archive.test/{name}",
        sha256=sha256,
        published_sha256=sha256,
        size_bytes=1,
        rows=rows.table.num_rows,
        fetched="2024-07-01T00:00:00Z",
        overridden=False,
    )
    return Part(source=source, parsed=rows, start_ns=start_ns, end_ns=end_ns)


def recent_part(name: str, data: bytes | None = None) -> Part:
    """The same bars as the exchange's interface gives them: no file, and no more time than its bars take."""
    start_ns, end_ns = source_span_ns(name)
    rows = parsed(klines_csv(name) if data is None else data, name)
    return Part(source=None, parsed=rows, start_ns=start_ns, end_ns=end_ns)


def store_months(store: Path, *months: str, series: Series = SERIES) -> list[Month]:
    """Whole months of made-up bars in a store."""
    return [
        write_month(
            store,
            series,
            month,
            [part(f"{series.symbol}-{series.interval}-{month}.zip", interval=series.interval)],
            complete=True,
        )
        for month in months
    ]
