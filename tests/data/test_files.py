"""Files: formats and spellings read alike, faults refused with their place, Binance's own files as they come."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from botscalp.data.bars import digest
from botscalp.data.files import FileSource
from botscalp.errors import UserError
from botscalp.times import UNITS_NS, parse_time_ns
from botscalp.types import Bars

ROWS = 12


def table() -> pd.DataFrame:
    """Twelve 5m bars with Binance's columns; prices that no short decimal holds, a gap after the fifth."""
    rng = np.random.default_rng(1)
    time = pd.date_range("2024-01-01", periods=ROWS + 3, freq="5min", tz="UTC").delete([5, 6, 7])
    open_, close = 40_000 * np.exp(1e-3 * rng.standard_normal((2, ROWS)))
    volume = rng.lognormal(size=ROWS)
    return pd.DataFrame(
        {
            "open_time": time,
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) / 1.001,
            "close": close,
            "volume": volume,
            "close_time": time + pd.Timedelta(minutes=5) - pd.Timedelta(milliseconds=1),
            "quote_volume": volume * close,
            "trades": rng.integers(1, 900, ROWS),
            "taker_buy_volume": volume * rng.random(ROWS),
            "taker_buy_quote_volume": volume,
            "ignore": 0,
        }
    )


def milliseconds(frame: pd.DataFrame) -> pd.DataFrame:
    """With both times as Binance writes them."""
    times = {name: frame[name].dt.as_unit("ms").astype("int64") for name in ("open_time", "close_time")}
    return frame.assign(**times)


def load(path: Path, *symbols: str, start: str | None = None, end: str | None = None) -> tuple[Bars, ...]:
    return FileSource(path=str(path), symbols=symbols or ("BTCUSDT",), start=start, end=end).load()


def written(frame: pd.DataFrame, path: Path, header: bool = True) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".feather":
        frame.to_feather(path)
    else:
        frame.to_csv(path, index=False, header=header)
    return path


@pytest.mark.parametrize("name", ["b.parquet", "b.feather", "b.csv", "b.csv.gz", "b.zip", "B.CSV"])
def test_every_format_gives_the_same_bars_to_the_last_bit(tmp_path: Path, name: str) -> None:
    (bars,) = load(written(table(), tmp_path / name))
    expected = table()
    assert bars.interval_ns == 5 * UNITS_NS["m"]
    assert np.array_equal(bars.open_time_ns, expected.open_time.dt.as_unit("ns").astype("int64"))
    for column in ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume"):
        values = getattr(bars, column)
        assert values.dtype == np.float64 and np.array_equal(values, expected[column]), column


@pytest.mark.parametrize(
    "spelling",
    [
        "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
        "Taker buy base asset volume,Taker buy quote asset volume,Ignore",
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore",
    ],
)
def test_binances_headers_and_no_header_read_alike(tmp_path: Path, spelling: str) -> None:
    plain = load(written(milliseconds(table()), tmp_path / "plain.csv", header=False))
    headed = load(written(milliseconds(table()).set_axis(spelling.split(","), axis=1), tmp_path / "headed.csv"))
    assert digest(plain[0]) == digest(headed[0])
    assert plain[0].taker_buy_volume is not None


@pytest.mark.parametrize("name", ["timestamp", "Time", "DATE", "datetime", "open_time", "Open Time"])
def test_plain_prices_and_volume_suffice(tmp_path: Path, name: str) -> None:
    frame = table().loc[:, :"volume"].rename(columns={"open_time": name, "close": "Close", "high": "HIGH"})
    (bars,) = load(written(frame, tmp_path / "b.csv"))
    assert len(bars) == ROWS and bars.trades is None and bars.taker_buy_volume is None and bars.quote_volume is None


@pytest.mark.parametrize(
    "spelling",
    [
        "t,o,h,l,c,v",
        "unix,open,high,low,close,Volume BTC",
        "Date,Open,High,Low,Close,Volume USDT,Volume BTC",
        "Gmt time;Open;High;Low;Close;Vol.",
        "Timestamp\tOpen\tHigh\tLow\tClose\tVolume",
    ],
)
def test_headers_of_other_vendors(tmp_path: Path, spelling: str) -> None:
    separator = next(one for one in ",;\t" if one in spelling)
    names = spelling.split(separator)
    columns = ["open_time", "open", "high", "low", "close", *["quote_volume"] * (len(names) > 6), "volume"]
    frame = table()[columns].set_axis(names, axis=1)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=separator)
    (bars,) = load(tmp_path / "b.csv")
    assert np.array_equal(bars.volume, table().volume) and np.array_equal(bars.open, table().open)
    assert bars.quote_volume is None if len(names) == 6 else np.array_equal(bars.quote_volume, table().quote_volume)


def test_a_file_with_its_newest_row_first_is_read_from_the_end(tmp_path: Path) -> None:
    (plain,), (turned,) = (load(written(one, tmp_path / "b.csv")) for one in (table(), table()[::-1]))
    assert digest(plain) == digest(turned)


def test_all_columns_that_a_file_lacks_are_named_at_once(tmp_path: Path) -> None:
    frame = table()[["open_time", "close"]].set_axis(["when", "close"], axis=1)
    with pytest.raises(UserError, match=r"no column open_time and none open and none high and none low") as error:
        load(written(frame, tmp_path / "b.csv"))
    assert "volume; its columns are: when, close" in str(error.value) and "rename" in error.value.remedy


def test_times_may_be_the_index_of_a_table(tmp_path: Path) -> None:
    for index in (table().set_index("open_time"), table().set_index("open_time").rename_axis(None)):
        index.to_parquet(tmp_path / "b.parquet")
        assert len(load(tmp_path / "b.parquet")[0]) == ROWS


def test_times_of_every_kind_mean_the_same(tmp_path: Path) -> None:
    time = table().open_time
    ns = time.dt.as_unit("ns").astype("int64")
    kinds = {
        "s": ns // 10**9,
        "ms": ns // 10**6,
        "us": ns // 10**3,
        "ns": ns,
        "float": (ns // 10**9).astype(float),
        "digits": (ns // 10**6).astype(str),
        "naive": time.dt.tz_localize(None),
        "text": time.dt.strftime("%Y-%m-%d %H:%M:%S"),
        "offset": time.dt.tz_convert("Europe/Berlin").astype(str),
        "nullable": (ns // 10**6).astype("Int64"),
    }
    for kind, column in kinds.items():
        (bars,) = load(written(table().assign(open_time=column), tmp_path / f"{kind}.parquet"))
        assert np.array_equal(bars.open_time_ns, ns), kind


@pytest.mark.parametrize(
    ("column", "row", "value", "reason"),
    [
        ("open_time", 4, "1704067200000000", "changes from ms to us at row 4"),
        ("open_time", 4, "17", "row 4, counted from 0: open_time '17' is no time"),
        ("open_time", 4, "open_time", "row 4, counted from 0: open_time 'open_time' is no time"),
        ("open_time", 4, "", "row 4, counted from 0, has no open_time"),
        ("open_time", 4, "1704067200001", "row 4 of BTCUSDT.*goes back in time"),
        ("close", 7, "n/a!", "row 7, counted from 0: close 'n/a!' is no number"),
        ("close", 7, "", r"row 7 of BTCUSDT.*2024-01-01 00:50:00 UTC, has no positive finite price \(close nan\)"),
        ("volume", 2, "1,000", "row 2, counted from 0: volume '1,000' is no number"),
    ],
)
def test_a_bad_cell_is_refused_with_its_place(tmp_path: Path, column: str, row: int, value: str, reason: str) -> None:
    frame = milliseconds(table()).astype(str)
    frame.loc[row, column] = value
    with pytest.raises(UserError, match=reason):
        load(written(frame, tmp_path / "b.csv"))


def test_times_with_fractions_are_refused(tmp_path: Path) -> None:
    seconds = table().open_time.dt.as_unit("s").astype("int64") + 0.5
    with pytest.raises(UserError, match=r"row 0, counted from 0: open_time '1704067200.5' is no time"):
        load(written(table().assign(open_time=seconds), tmp_path / "b.parquet"))


def test_times_that_are_no_iso_text_are_refused(tmp_path: Path) -> None:
    frame = table().assign(open_time=table().open_time.dt.strftime("%d/%m/%Y %H:%M"))
    with pytest.raises(UserError, match=r"row 0, counted from 0: open_time '01/01/2024 00:00' is no time"):
        load(written(frame, tmp_path / "b.csv"))


def test_a_missing_column_names_those_found(tmp_path: Path) -> None:
    path = written(table().rename(columns={"volume": "amount"}), tmp_path / "b.csv")
    with pytest.raises(UserError, match=r"no column volume; its columns are: open_time, .*amount"):
        load(path)
    path = written(table().loc[:, :"volume"], tmp_path / "c.csv", header=False)
    with pytest.raises(UserError, match="has no header and 6 columns"):
        load(path)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    written(table(), tmp_path / "BTCUSDT-5m.parquet")
    with pytest.raises(UserError, match=r"no such file\n.*there is BTCUSDT-5m.parquet"):
        load(tmp_path / "BTCUSD-5m.parquet")
    with pytest.raises(UserError, match=rf"no such file\n.*in {tmp_path.parent} there is {tmp_path.name}"):
        load(tmp_path.with_name(tmp_path.name + "x") / "bars" / "b.csv")
    with pytest.raises(UserError, match=r"is a folder\n.*BTCUSDT-5m.parquet"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["b.parquet", "b.feather", "b.csv.gz", "b.zip"])
def test_half_a_file_is_refused(tmp_path: Path, name: str) -> None:
    path = written(table(), tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cannot be read"):
        load(path)


def test_what_holds_no_bars_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bars.txt").touch()
    for name, reason in (("empty.csv", "cannot be read"), ("bars.txt", "no known suffix")):
        with pytest.raises(UserError, match=reason):
            load(tmp_path / name)
    with pytest.raises(UserError, match="holds no rows"):
        load(written(table()[:0], tmp_path / "header.csv"))


def test_start_and_end_cut_and_an_empty_range_names_the_span(tmp_path: Path) -> None:
    path = written(table(), tmp_path / "b.parquet")
    (bars,) = load(path, start="2024-01-01T00:10", end="2024-01-01T00:45")
    minutes = (bars.open_time_ns - parse_time_ns("2024-01-01", key="")) // UNITS_NS["m"]
    assert minutes.tolist() == [10, 15, 20, 40], "missing bars stay missing"
    with pytest.raises(
        UserError, match=r"data.start=2024-02-01 .*spans 2024-01-01 00:00:00 UTC to 2024-01-01 01:15:00"
    ):
        load(path, start="2024-02-01")
    with pytest.raises(UserError, match=r"data.end=2024-01-01: does not follow data.start=2024-01-02"):
        load(path, start="2024-01-02", end="2024-01-01")
    with pytest.raises(UserError, match=r"^data.end=soon"):
        load(path, end="soon")


def test_symbols_fill_the_pattern_in_order(tmp_path: Path) -> None:
    for symbol in ("AAA", "BBB"):
        written(table().assign(symbol=symbol), tmp_path / f"{symbol}.parquet")
    assert [bars.symbol for bars in load(tmp_path / "{symbol}.parquet", "BBB", "AAA")] == ["BBB", "AAA"]
    with pytest.raises(UserError, match=r"one file for 2 symbols\n.*put \{symbol\}"):
        load(tmp_path / "AAA.parquet", "AAA", "BBB")
    with pytest.raises(UserError, match="names a symbol twice"):
        load(tmp_path / "{symbol}.parquet", "AAA", "AAA")
    with pytest.raises(UserError, match=r"data.symbols=AAA: .* holds BBB"):
        load(tmp_path / "BBB.parquet", "AAA")
    hourly = table().assign(open_time=pd.date_range("2024-01-01", periods=ROWS, freq="1h", tz="UTC"))
    written(hourly, tmp_path / "CCC.parquet")
    with pytest.raises(UserError, match="1h bars of CCC beside 5m bars of AAA"):
        load(tmp_path / "{symbol}.parquet", "AAA", "CCC")


def test_a_file_named_after_another_symbol_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(table(), tmp_path / "binance-ETHUSDT-5m.csv")
    with caplog.at_level(logging.WARNING):
        load(path, "ETHUSDT")
        assert not caplog.messages
        load(path, "BTCUSDT")
    assert "loaded as BTCUSDT" in caplog.text and "data.symbols=[ETHUSDT]" in caplog.text


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(table(), tmp_path / "b.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert digest(load(Path("~/b.csv"))[0]) == digest(load(Path("b.csv"))[0])


# The facts below were read off the exchange's own files.


def bar_at(bars: Bars, time: str) -> dict[str, float]:
    (row,) = np.flatnonzero(bars.open_time_ns == parse_time_ns(time, key=""))
    return {name: float(column[row]) for name, column in bars.columns()}


def test_known_extremes_of_real_bars(real_data: Path) -> None:
    btc, _, sol = load(real_data / "binance-spot-{symbol}-5m.parquet", "BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert btc.interval_ns == 5 * UNITS_NS["m"] and len(btc) == 315_632 and len(sol) == 261_200
    assert bar_at(btc, "2024-03-14T07:05")["high"] == 73_777.00
    in_2022 = btc.open_time_ns < parse_time_ns("2023-01-01", key="")
    lowest = int(btc.low[in_2022].argmin())
    assert btc.low[lowest] == 15_476.00 and str(btc.open_time_ns[lowest].astype("datetime64[ns]"))[:10] == "2022-11-21"
    assert sol.low.min() == 8.00
    (minutes,) = load(real_data / "binance-spot-BTCUSDT-1m-2024-01_04.parquet")
    assert (minutes.low.min(), minutes.high.max()) == (38_555.00, 73_777.00)


def test_the_one_gap_of_real_bars_stays_a_gap(real_data: Path) -> None:
    (btc,) = load(real_data / "binance-spot-BTCUSDT-5m.parquet")
    steps = np.diff(btc.number)
    (before,) = np.flatnonzero(steps != 1)
    assert steps[before] == 17
    assert str(btc.close_time_ns[before].astype("datetime64[ns]"))[:16] == "2023-03-24T12:40"
    assert str(btc.open_time_ns[before + 1].astype("datetime64[ns]"))[:16] == "2023-03-24T14:00"


def test_futures_bars_have_prices_and_volume_only(real_data: Path) -> None:
    (bars,) = load(real_data / "binance-um-BTCUSDT-15m-2024.parquet")
    assert len(bars) == 35_136 and bars.interval_ns == 15 * UNITS_NS["m"] and bars.taker_buy_volume is None


def test_a_zip_of_the_archive_equals_the_table_made_from_it(real_data: Path) -> None:
    (zipped,) = load(real_data / "archive/spot-daily-1m-zip/BTCUSDT-1m-2024-01-01.zip")
    whole = real_data / "binance-spot-BTCUSDT-1m-2024-01_04.parquet"
    (stored,) = load(whole, start="2024-01-01", end="2024-01-02")
    assert len(zipped) == 1440 and digest(zipped) == digest(stored)


def test_the_archive_changed_from_milliseconds_to_microseconds(real_data: Path) -> None:
    folder = real_data / "archive/spot-daily-1m-csv"
    (old,), (new,) = load(folder / "BTCUSDT-1m-2024-12-31.csv"), load(folder / "BTCUSDT-1m-2025-01-01.csv")
    assert len(old) == len(new) == 1440
    assert old.close_time_ns[-1] == new.open_time_ns[0] == parse_time_ns("2025-01-01", key="")
    assert bar_at(new, "2025-01-01")["taker_buy_volume"] == 3.95157


def test_the_two_units_in_one_file_are_refused(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "archive/spot-daily-1m-csv"
    both = tmp_path / "both.csv.gz"
    both.write_bytes(
        gzip.compress(b"".join((folder / f"BTCUSDT-1m-{day}.csv").read_bytes() for day in ("2024-12-31", "2025-01-01")))
    )
    with pytest.raises(UserError, match="changes from ms to us at row 1440"):
        load(both)


def test_odd_days_of_the_archive(real_data: Path) -> None:
    archive = real_data / "archive"
    (futures,) = load(archive / "um/BTCUSDT-5m-2025-01-first-two-days.csv")
    assert len(futures) == 576 and bar_at(futures, "2025-01-01T00:05")["trades"] == 4688
    (first_day,) = load(archive / "spot-daily-1m-csv/BTCUSDT-1m-2017-08-17.csv")
    assert bar_at(first_day, "2017-08-17T04:01")["volume"] == 0
    (outage,) = load(archive / "spot-daily-1m-csv/BTCUSDT-1m-2018-02-08.csv")
    assert len(outage) == 29
    (halt,) = load(archive / "spot-daily-1m-zip/BTCUSDT-1m-2023-03-24.zip")
    assert len(halt) == 1360 and int((halt.volume == 0).sum()) == 72
    (sol,) = load(archive / "spot-daily-1m-zip/SOLUSDT-1m-2023-02-14.zip", "SOLUSDT")
    assert len(sol) == 1439 and np.count_nonzero(np.diff(sol.number) == 2) == 1
    (hourly,) = load(archive / "spot-daily-1h-zip/BTCUSDT-1h-2024-01-08.zip")
    assert hourly.interval_ns == UNITS_NS["h"] and len(hourly) == 24
