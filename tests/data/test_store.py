"""Reading the store: what is projected and filtered, month by month, and other ways to the same rows."""

import time
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from csvs import HEADER, SERIES, klines_csv, part, store_months

from botscalp.archive.klines import parse_funding
from botscalp.archive.writing import Part, write_month
from botscalp.data.bars import clipped
from botscalp.data.files import FileSource
from botscalp.data.funding import read_funding
from botscalp.data.manifest import FUNDING, Series, month_span_ns, months_between
from botscalp.data.store import ingest_command, read_bars, read_months, read_table, stored_series
from botscalp.errors import UserError
from botscalp.times import parse_time_ns, utc_text

MONTHS = ("2024-01", "2024-02", "2024-03")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months of made-up bars."""
    folder = tmp_path_factory.mktemp("store")
    store_months(folder, *MONTHS)
    return folder


def ns(text: str) -> int:
    return parse_time_ns(text, key="")


def test_bars_by_time(store: Path) -> None:
    whole = read_bars(store, SERIES)
    assert len(whole) == (31 + 29 + 31) * 288 and whole.taker_buy_volume is not None
    for start, end in (
        (None, None),
        ("2024-01-31T12:00", None),
        (None, "2024-02-01"),
        ("2024-01-31T23:57", "2024-02-01T00:01"),
        ("2023-01-01", "2025-01-01"),
    ):
        start_ns, end_ns = (None if text is None else ns(text) for text in (start, end))
        read, cut = read_bars(store, SERIES, start_ns=start_ns, end_ns=end_ns), clipped(whole, start_ns, end_ns)
        assert len(read) == len(cut)
        assert all((one[1] == other[1]).all() for one, other in zip(read.columns(), cut.columns(), strict=True))


def test_columns_and_months(store: Path) -> None:
    months = dict(read_months(store, SERIES, columns=["close"]))
    days = {"2024-01": 31, "2024-02": 29, "2024-03": 31}
    assert {month: len(table) for month, table in months.items()} == {month: 288 * n for month, n in days.items()}
    assert all(table.column_names == ["close"] for table in months.values())
    assert len(read_table(store, SERIES, columns=["open_time", "recent"])) == 91 * 288


def test_bars_have_no_trades_where_a_file_did_not_count_them(tmp_path: Path) -> None:
    counted, other = (f"BTCUSDT-5m-2024-01-{day}.zip" for day in ("02", "03"))
    cells = [line.split(b",") for line in (HEADER + klines_csv(other)).splitlines()]
    without = b"".join(b",".join([*row[:8], *row[9:]]) + b"\n" for row in cells)
    write_month(tmp_path, SERIES, "2024-01", [part(counted), part(other, without)], complete=False)
    bars = read_bars(tmp_path, SERIES)
    assert len(bars) == 576 and bars.trades is None and bars.quote_volume is not None
    counted_bars = read_bars(tmp_path, SERIES, end_ns=ns("2024-01-03"))
    assert counted_bars.trades is not None and (counted_bars.trades > 0).all()


def test_nothing_of_that_time_names_the_command(store: Path) -> None:
    with pytest.raises(UserError, match="holds nothing of that time") as refused:
        read_bars(store, SERIES, start_ns=ns("2025-01-01"), end_ns=ns("2025-03-01"))
    assert f"interval=5m start=2025-01 end=2025-02 market=spot store={store}" in refused.value.remedy
    with pytest.raises(UserError, match="holds nothing"):
        read_bars(store, Series(market="um", symbol="BTCUSDT", interval="5m"))
    assert ingest_command([SERIES], store=Path("bars"), start_ns=None, end_ns=None) == (
        "python -m botscalp.ingest symbols=[BTCUSDT] interval=5m start=2022-01 market=spot"
    )


def test_what_the_store_holds(store: Path, tmp_path: Path) -> None:
    assert stored_series(store) == [SERIES]
    assert stored_series(tmp_path) == []
    minutes, funding = (Series(market="um", symbol="BTCUSDT", interval=interval) for interval in ("1m", FUNDING))
    hours = Series(market="um", symbol="BTCUSDT", interval="1h")
    for series in (hours, minutes, SERIES):
        write_month(
            tmp_path,
            series,
            "2024-01",
            [part(f"BTCUSDT-{series.interval}-2024-01-02.zip", interval=series.interval)],
            complete=False,
        )
    store_funding(tmp_path, funding)
    assert stored_series(tmp_path) == [SERIES, minutes, hours, funding]


@pytest.mark.parametrize(
    ("market", "symbol", "interval"), [("swap", "BTC", "5m"), ("um", "../x", "5m"), ("um", "B", "1mo")]
)
def test_no_such_series(market: str, symbol: str, interval: str) -> None:
    with pytest.raises(UserError):
        Series(market=market, symbol=symbol, interval=interval)


def test_months_as_words() -> None:
    assert months_between(ns("2023-12-31T23:59"), ns("2024-02-01")) == ["2023-12", "2024-01"]
    assert months_between(ns("2024-02-01"), ns("2024-02-01")) == []
    assert [utc_text(time) for time in month_span_ns("2024-02")] == ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]
    assert [utc_text(time) for time in month_span_ns("2024-12-31")] == ["2024-12-31T00:00:00Z", "2025-01-01T00:00:00Z"]


def store_funding(store: Path, series: Series) -> None:
    start_ns, end_ns = month_span_ns("2024-01")
    rows = parse_funding(
        b"1704067200000,0.00037409\n1704096000007,-0.0001\n", name="x", start_ns=start_ns, end_ns=end_ns
    )
    write_month(
        store, series, "2024-01", [Part(source=None, parsed=rows, start_ns=start_ns, end_ns=end_ns)], complete=False
    )


def test_folders_of_the_store_serve_as_files(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """data.path, backtest.finer and backtest.funding may name them, with {symbol} in the middle."""
    pattern = str(store / "spot/{symbol}/5m")
    (bars,) = FileSource(path=pattern, symbols=("BTCUSDT",), start=None, end=None).load()
    stored = read_bars(store, SERIES)
    assert bars.interval_ns == stored.interval_ns
    assert all((one[1] == other[1]).all() for one, other in zip(bars.columns(), stored.columns(), strict=True))
    funding = Series(market="um", symbol="BTCUSDT", interval=FUNDING)
    store_funding(tmp_path, funding)
    monkeypatch.chdir(funding.folder(tmp_path))
    times_ns, rates = read_funding(Path("."))
    assert rates.tolist() == [0.00037409, -0.0001] and (np.diff(times_ns) == 8 * 3_600 * 10**9).all()


def test_a_month_of_days_is_bar_for_bar_the_shared_file(real_data: Path, tmp_path: Path) -> None:
    minutes = Series(market="spot", symbol="BTCUSDT", interval="1m")
    days = []
    for path in sorted((real_data / "archive/spot-daily-1m-zip").glob("BTCUSDT-1m-2024-01-*.zip")):
        days.append(part(path.name, ZipFile(path).read(f"{path.stem}.csv"), interval="1m"))
    month = write_month(tmp_path, minutes, "2024-01", days, complete=True)
    assert (month.rows, month.gaps, month.repairs) == (44_640, (), ())
    (expected,) = FileSource(
        path=str(real_data / "binance-spot-BTCUSDT-1m-2024-01_04.parquet"),
        symbols=("BTCUSDT",),
        start=None,
        end="2024-02-01",
    ).load()
    for (name, column), (_, other) in zip(read_bars(tmp_path, minutes).columns(), expected.columns(), strict=True):
        assert (column == other).all(), name


def test_the_outage_and_the_lost_minute_are_in_the_manifest(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "archive/spot-daily-1m-zip"
    found = {}
    for symbol, day in (("BTCUSDT", "2023-03-24"), ("SOLUSDT", "2023-02-14")):
        name = f"{symbol}-1m-{day}"
        series = Series(market="spot", symbol=symbol, interval="1m")
        one = part(f"{name}.zip", ZipFile(folder / f"{name}.zip").read(f"{name}.csv"), interval="1m")
        found[symbol] = write_month(tmp_path, series, day[:7], [one], complete=False).gaps
    (outage,), (lost,) = found["BTCUSDT"], found["SOLUSDT"]
    assert (outage.start, outage.end, outage.bars) == ("2023-03-24T12:40:00Z", "2023-03-24T14:00:00Z", 80)
    assert lost.bars == 1


@pytest.mark.slow
def test_three_years_of_three_symbols_in_well_under_a_second(tmp_path: Path) -> None:
    all_series = [Series(market="um", symbol=symbol, interval="5m") for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    for series in all_series:
        store_months(tmp_path, *months_between(ns("2022-01-01"), ns("2025-01-01")), series=series)
    read_bars(tmp_path, all_series[0])
    start = time.perf_counter()
    rows = [len(read_bars(tmp_path, series)) for series in all_series]
    took_s = time.perf_counter() - start
    assert rows == [315_648] * 3
    print(f"{took_s:.3f} s")
    assert took_s < 1
