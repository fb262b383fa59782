"""One CSV of the archive: every form it has had, exact numbers, and a refusal or a note for everything else."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from csvs import HEADER, klines_csv, parsed
from hypothesis import given
from hypothesis import strategies as st

from botscalp.archive.klines import FileRefusedError, parse_funding, parse_klines
from botscalp.data.manifest import month_span_ns

DAY = "BTCUSDT-5m-2024-01-03.zip"
CSV = klines_csv(DAY)


def lines(data: bytes = CSV) -> list[bytes]:
    return data.splitlines(keepends=True)


def cell(row: int, column: int, value: str, data: bytes = CSV) -> bytes:
    """The CSV with one cell changed."""
    changed = lines(data)
    cells = changed[row].rstrip(b"\n").split(b",")
    cells[column] = value.encode()
    changed[row] = b",".join(cells) + b"\n"
    return b"".join(changed)


def test_header_and_unit_change_nothing() -> None:
    plain = parsed(CSV, DAY)
    assert plain.repairs == () and plain.table.num_rows == 288
    for header in (False, True):
        for micro in (False, True):
            assert parsed(klines_csv(DAY, header=header, micro=micro), DAY) == plain
    assert parsed(CSV.replace(b"\n", b"\r\n"), DAY) == plain


def test_a_header_names_the_columns_in_any_order() -> None:
    table = pd.read_csv(pa.BufferReader(HEADER + CSV), dtype=str)
    shuffled = table[[*reversed(table.columns)]].to_csv(index=False).encode()
    assert parsed(shuffled, DAY) == parsed(CSV, DAY)


def test_a_file_without_a_count_of_trades_says_so() -> None:
    table = pd.read_csv(pa.BufferReader(HEADER + CSV), dtype=str).drop(columns="count")
    without = parsed(table.to_csv(index=False).encode(), DAY)
    assert without.repairs == (f"{DAY}: has no count of trades: they are null",)
    assert without.table["trades"].null_count == 288
    assert without.table.drop(["trades"]) == parsed(CSV, DAY).table.drop(["trades"])


@given(st.decimals(min_value="0.00000001", max_value="999999999", places=8))
def test_decimals_become_the_nearest_doubles(price: object) -> None:
    row = f"{CSV.split(b',')[0].decode()},{price},{price},{price},{price},0,1704240299999,0,0,0,0,0\n"
    table = parse_klines(
        row.encode(), name="x", interval="5m", start_ns=month_span_ns("2024-01")[0], end_ns=month_span_ns("2024-01")[1]
    ).table
    assert table["open"][0].as_py() == float(str(price))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda: b"", "is empty"),
        (lambda: HEADER, "holds no rows"),
        (lambda: b"<html><body>\n<p>Not found</p>\n", "line 1: is a header that names no open_time, .*<html>"),
        (lambda: CSV[:-60], r"line 288: has \d+ fields, not 12"),
        (lambda: CSV[:5000] + b"\0" * 300 + CSV[5300:], "line .*: byte 5000 is 0x00"),
        (lambda: CSV[:5000] + b"\xff" + CSV[5001:], "byte 5000 is 0xff"),
        (lambda: cell(7, 11, "0,0"), "line 8: has 13 fields, not 12"),
        (lambda: b"".join([*lines()[:9], b"\n", *lines()[9:]]), "line 10: open_time '' is no whole number"),
        (lambda: b"".join([*lines()[:9], HEADER, *lines()[9:]]), "line 10: open_time 'open_time' is no whole number"),
        (lambda: cell(4, 3, "NaN"), "line 5: low 'NaN' is no finite number"),
        (lambda: cell(4, 3, ""), "line 5: low '' is no number"),
        (lambda: cell(4, 8, "12.5"), "line 5, 2024-01-03 00:20:00 UTC: its trades are no whole number"),
        (lambda: cell(4, 1, "-1"), r"line 5, .*: its open is not above 0 \(open -1\)"),
        (lambda: cell(4, 2, "1"), "line 5, .*: its high is not the highest"),
        (lambda: cell(4, 3, "999999"), "line 5, .*: its low is not the lowest"),
        (lambda: cell(4, 5, "-0.1"), "line 5, .*: its volume is below 0"),
        (lambda: cell(4, 9, "99999999"), "its taker_buy_volume is more than its volume"),
        (lambda: cell(4, 10, "99999999999"), "its taker_buy_quote_volume is more than its quote_volume"),
        (lambda: cell(4, 0, "1704241200001"), "line 5, .*: does not open on the grid of 5m"),
        (lambda: cell(4, 0, "1704241200000000"), "line 5: open_time changes between milliseconds and microseconds"),
        (lambda: cell(4, 0, "1704241200"), "counts neither milliseconds nor microseconds"),
        (lambda: cell(4, 6, "1704242399999"), "line 5, .*: does not close within its 5m"),
        (lambda: klines_csv(DAY.replace("-03", "-04")), "line 1, .*: lies outside 2024-01-03 00:00:00 UTC to"),
        (lambda: klines_csv(DAY, interval="15m"), "holds bars of another interval: most last 900 s, not 5m"),
        (lambda: klines_csv(DAY, interval="1m"), "does not open on the grid of 5m"),
        (lambda: CSV + cell(0, 4, "40000.01")[:200].split(b"\n")[0] + b"\n", "is the time of two lines that differ"),
        (lambda: (HEADER + CSV).replace(b"close_time", b"shut", 1), "header that names no close_time"),
        (lambda: (HEADER + CSV).replace(b"ignore", b"open", 1), "names open twice"),
        (lambda: b"".join(b",".join(line.split(b",")[:8]) + b"\n" for line in lines()), "has 8 fields and no header"),
    ],
)
def test_damage_is_refused_by_line_and_reason(change: Callable[[], bytes], problem: str) -> None:
    with pytest.raises(FileRefusedError, match=problem) as refused:
        parsed(change(), DAY)
    assert refused.value.key == "file" and refused.value.value == DAY


def test_disorder_and_repetitions_are_repaired_by_name() -> None:
    swapped = lines()
    swapped[10], swapped[20] = swapped[20], swapped[10]
    repaired = parsed(b"".join([*swapped[:50], *swapped[40:]]), DAY)
    assert repaired.table == parsed(CSV, DAY).table
    assert repaired.repairs == (
        f"{DAY}: goes back in time at 3 lines, first at line 12: sorted",
        f"{DAY}: repeats 10 lines, first at line 51: dropped",
    )


def test_what_is_odd_is_kept_by_name() -> None:
    early = cell(9, 6, "1704242900123")
    assert parsed(early, DAY).repairs == (
        f"{DAY}: closes early in 1 of 288 bars, first in that of 2024-01-03 00:45:00 UTC: kept",
    )
    volume = cell(9, 5, "1234567.0")
    (note,) = parsed(volume, DAY).repairs
    assert note.endswith(
        "has a quote volume that prices and volume do not allow in 1 of 288 bars, first at line 10: kept"
    )
    (note,) = parsed(cell(9, 8, "0"), DAY).repairs
    assert "trades but no volume, or volume but no trades" in note
    (note,) = parsed(b"\xef\xbb\xbf" + CSV, DAY).repairs
    assert "byte order mark" in note
    (note,) = parsed(CSV.removesuffix(b"\n"), DAY).repairs
    assert "no line break at the end" in note


def test_volumes_that_are_wrong_throughout_are_noted_but_of_coins() -> None:
    """Contracts margined in a coin count contracts and coins, which prices say nothing of."""
    rows = [line.split(b",") for line in lines()]
    contracts = b"".join(b",".join([*row[:7], row[9], row[8], row[9], b"0", row[11]]) for row in rows)
    (note,) = parsed(contracts, DAY).repairs
    assert "a quote volume that prices and volume do not allow in 288 of 288 bars" in note
    start_ns, end_ns = month_span_ns("2024-01-03")
    coins = parse_klines(contracts, name=DAY, interval="5m", start_ns=start_ns, end_ns=end_ns, coin_margined=True)
    assert coins.repairs == ()


def test_rates_that_are_missing_are_noted_by_the_file_s_own_intervals() -> None:
    """Two days of a rate every eight hours, and one of a rate every four."""
    start_ns, end_ns = month_span_ns("2024-01-01")[0], month_span_ns("2024-01-03")[1]
    hours = [(0, 8), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8), (52, 4), (56, 4), (60, 4), (64, 4), (68, 4)]
    rates = [b"%d,%d,0.00032\n" % (1_704_067_200_007 + 3_600_000 * hour, apart) for hour, apart in hours]

    def notes(*without: int) -> tuple[str, ...]:
        data = b"".join(rate for row, rate in enumerate(rates) if row not in without)
        return parse_funding(data, name="f", start_ns=start_ns, end_ns=end_ns).repairs

    assert notes() == ()
    assert notes(0) == ("f: lacks 1 of its rates, by the intervals that it states, first after the beginning",)
    assert notes(2, 3) == (
        "f: lacks 2 of its rates, by the intervals that it states, first after 2024-01-01 08:00:00.007 UTC",
    )
    assert "lacks 3 of its rates" in notes(2, 10, 11)[0]


def test_funding_that_breaks_off_in_a_rate_is_refused() -> None:
    data = b"1704067200000,8,0.00037409\n1704096000007,8,0.00032\n"
    start_ns, end_ns = month_span_ns("2024-01")
    for cut in (1, 3):
        with pytest.raises(FileRefusedError, match="its last rate may be cut"):
            parse_funding(data[:-cut], name="f", start_ns=start_ns, end_ns=end_ns)


def test_funding_of_the_archive_and_of_the_interface() -> None:
    start_ns, end_ns = month_span_ns("2024-01")
    archive = (
        b"calc_time,funding_interval_hours,last_funding_rate\n1704067200000,8,0.00037409\n1704096000007,8,-0.0001\n"
    )
    interface = b"1704067200000,0.00037409\n1704096000007,-0.00010000\n"
    for data in (archive, archive.partition(b"\n")[2], interface):
        table = parse_funding(data, name="f", start_ns=start_ns, end_ns=end_ns).table
        assert table["funding_rate"].to_pylist() == [0.00037409, -0.0001]
        assert table["funding_time"].cast(pa.int64()).to_pylist() == [1704067200000, 1704096000007]
    for wrong, problem in (
        (archive.replace(b"-0.0001", b"1.5"), "100 %"),
        (archive.replace(b"-0.0001", b""), "is no number"),
        (archive.replace(b"last_funding_rate", b"rate"), "header that names no funding_rate"),
        (archive.replace(b"1704096000007", b"1804096000007"), "lies outside"),
    ):
        with pytest.raises(FileRefusedError, match=problem):
            parse_funding(wrong, name="f", start_ns=start_ns, end_ns=end_ns)


def test_the_exchange_s_own_files(real_data: Path) -> None:
    """Every original is read as it stands; what is odd about a few of them is named."""
    notes = {}
    for path in sorted((real_data / "archive").glob("*/*-*.*")):
        data = ZipFile(path).read(f"{path.stem}.csv") if path.suffix == ".zip" else path.read_bytes()
        symbol, interval, period = path.stem.split("-", 2)
        start_ns, end_ns = month_span_ns("2025-01" if "first" in period else period)
        read = parse_klines(data, name=path.stem, interval=interval, start_ns=start_ns, end_ns=end_ns)
        assert read.table.num_rows == data.count(b"\n") - data.startswith(b"open_time")
        notes |= {f"{symbol} {period}": read.repairs} if read.repairs else {}
    assert {key: len(repairs) for key, repairs in notes.items()} == {
        **{"BTCUSDT 2018-02-08": 1, "BTCUSDT 2023-03-24": 1, "ETHUSDT 2023-03-24": 1, "SOLUSDT 2023-03-24": 1}
    }
    assert all("closes early" in repairs[0] for repairs in notes.values())


def test_milliseconds_become_microseconds_on_new_year_s_day_of_2025(real_data: Path) -> None:
    folder = real_data / "archive/spot-daily-1m-csv"
    times = []
    for day in ("2024-12-31", "2025-01-01"):
        start_ns, end_ns = month_span_ns(day)
        data = (folder / f"BTCUSDT-1m-{day}.csv").read_bytes()
        table = parse_klines(data, name=day, interval="1m", start_ns=start_ns, end_ns=end_ns).table
        times.append(table["open_time"].cast(pa.int64()).to_numpy())
    assert (np.diff(np.concatenate(times)) == 60_000).all()
