"""data=binance: bars of the store, stored as such or resampled, and the exact command where they are missing."""

import logging
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from csvs import klines_csv, part, recent_part, store_months
from hydra import compose, initialize_config_dir
from runs import composed

from botscalp.archive.writing import write_month
from botscalp.config import CONF
from botscalp.data.binance import BinanceSource
from botscalp.data.grid import grid_of
from botscalp.data.manifest import Series
from botscalp.data.resample import resample
from botscalp.data.store import read_bars
from botscalp.errors import UserError
from botscalp.times import UNITS_NS, parse_interval, time_text

ETH, BTC = (Series(market="spot", symbol=symbol, interval="5m") for symbol in ("ETHUSDT", "BTCUSDT"))
MINUTES = Series(market="um", symbol="BTCUSDT", interval="1m")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of BTCUSDT and ETHUSDT at 5m, and a day and a half of BTCUSDT futures at 1m, a minute of them missing."""
    folder = tmp_path_factory.mktemp("store")
    for series in (BTC, ETH):
        store_months(folder, "2024-01", "2024-02", series=series)
    first, second = (f"BTCUSDT-1m-2024-01-{day}.zip" for day in ("03", "04"))
    half = b"".join(klines_csv(second, interval="1m").splitlines(keepends=True)[:723])
    holed = klines_csv(first, interval="1m").splitlines(keepends=True)
    del holed[61]
    days = [part(first, b"".join(holed), interval="1m")]
    write_month(folder, MINUTES, "2024-01", days, complete=False)
    rows = part(second, half, interval="1m")
    start_ns = rows.start_ns
    recent = replace(rows, source=None, end_ns=start_ns + 723 * UNITS_NS["m"])
    write_month(folder, MINUTES, "2024-01", [recent], complete=False)
    return folder


def source(store: Path, **changed: Any) -> BinanceSource:
    values = {"market": "spot", "symbols": ("BTCUSDT",), "interval": "5m", "start": None, "end": None}
    return BinanceSource(**values | {"store": str(store)} | changed)


def test_stored_bars(store: Path) -> None:
    one = source(store, symbols=("ETHUSDT", "BTCUSDT"))
    eth, btc = one.load()
    assert one.real and one.source == "binance"
    assert (eth.symbol, btc.symbol, len(eth), len(btc)) == ("ETHUSDT", "BTCUSDT", 60 * 288, 60 * 288)
    (part_,) = source(store, start="2024-01-31", end="2024-02-02").load()
    assert len(part_) == 2 * 288 and time_text(int(part_.open_time_ns[0])) == "2024-01-31 00:00:00 UTC"


def test_by_the_configuration(store: Path) -> None:
    experiment = composed("data=binance", f"data.store={store}", "data.symbols=[BTCUSDT]", "data.end=2024-02-01")
    (bars,) = experiment.data.load()
    assert len(bars) == 31 * 288


def test_minutes_become_longer_bars(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One bar lacks a minute; the last one, of which three minutes of five are there, is not finished and left out."""
    with caplog.at_level(logging.INFO):
        (bars,) = source(store, market="um").load()
    minutes = read_bars(store, MINUTES)
    expected = resample(minutes, grid_of(parse_interval("5m")))
    assert len(bars) == len(expected.bars) - 1 == 288 + 144
    assert all(
        (one[1] == other[1][:-1]).all() for one, other in zip(bars.columns(), expected.bars.columns(), strict=True)
    )
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "BTCUSDT: 5m bars are resampled from the stored 1m" in said
    assert "BTCUSDT: 1 bars lack some of their minutes, first that of 2024-01-03 01:00:00 UTC" in said


@pytest.mark.parametrize(
    ("start", "end"), [("2024-01-03T10:02", "2024-01-04T01:01"), ("2024-01-03T10:00", "2024-01-04")]
)
def test_a_range_of_resampled_bars_is_a_range_of_all(store: Path, start: str, end: str) -> None:
    (whole,) = source(store, market="um").load()
    (bars,) = source(store, market="um", start=start, end=end).load()
    inside = (whole.open_time_ns >= np.datetime64(start, "ns").astype(int)) & (
        whole.open_time_ns < np.datetime64(end, "ns").astype(int)
    )
    assert all((one[1] == other[1][inside]).all() for one, other in zip(bars.columns(), whole.columns(), strict=True))


@pytest.mark.parametrize(
    ("changed", "problem", "command"),
    [
        (
            {"symbols": ("BTCUSDT", "SOLUSDT"), "start": "2024-01-15", "end": "2024-02-01"},
            "holds no 5m bars of SOLUSDT",
            "symbols=[SOLUSDT] interval=5m start=2024-01 end=2024-01 market=spot",
        ),
        ({"interval": "1h"}, "holds no 1h bars of BTCUSDT", "symbols=[BTCUSDT] interval=1h start=2022-01 market=spot"),
        (
            {"symbols": ("BTCUSDT", "ETHUSDT"), "start": "2023-11-05", "end": "2024-05-01"},
            "has no 5m bars of BTCUSDT from 2023-11-05 00:00:00 UTC to 2024-01-01 00:00:00 UTC and 1 more times; "
            "has no 5m bars of ETHUSDT",
            "symbols=[BTCUSDT,ETHUSDT] interval=5m start=2023-11 end=2024-04 market=spot",
        ),
        ({"interval": "7m"}, "holds no 1m bars of BTCUSDT", "interval=1m start=2022-01"),
        ({"market": "um", "end": "2024-01-05"}, "holds no 5m bars of BTCUSDT", "end=2024-01 market=um"),
        ({"market": "um", "interval": "1m", "end": "2024-01-05"}, "from 2024-01-04 12:03:00 UTC to", "interval=1m"),
    ],
)
def test_what_is_missing_is_named_with_the_command(
    store: Path, changed: dict[str, Any], problem: str, command: str
) -> None:
    with pytest.raises(UserError) as refused:
        source(store, **changed).load()
    error = refused.value
    assert error.key == "data.store" and problem in error.problem
    assert command in error.remedy and error.remedy.splitlines()[0].endswith(f"store={store}")


def test_the_command_is_one_that_ingest_takes(store: Path) -> None:
    with pytest.raises(UserError) as refused:
        source(store, end="2024-04-10").load()
    words = shlex.split(refused.value.remedy.splitlines()[0].removeprefix("fetch it: "))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("ingest", overrides=words[3:])
    assert (cfg.start, cfg.end, cfg.interval, cfg.market, list(cfg.symbols)) == (
        *("2024-03", "2024-04", "5m", "spot"),
        ["BTCUSDT"],
    )


def test_a_month_between_others_is_missed(tmp_path: Path) -> None:
    store_months(tmp_path, "2024-01", "2024-04", series=BTC)
    with pytest.raises(UserError, match="from 2024-02-01 00:00:00 UTC to 2024-04-01") as refused:
        source(tmp_path).load()
    assert "start=2024-02 end=2024-03" in refused.value.remedy
    assert len(source(tmp_path, end="2024-02-01").load()[0]) == 31 * 288


def test_days_that_were_never_fetched_are_missed_and_days_that_the_archive_lacks_are_not(tmp_path: Path) -> None:
    days = [part(f"BTCUSDT-5m-2024-01-{day}.zip") for day in ("02", "03", "06")]
    write_month(tmp_path, BTC, "2024-01", days, complete=False)
    with pytest.raises(UserError, match="from 2024-01-04 00:00:00 UTC to 2024-01-06 00:00:00 UTC"):
        source(tmp_path).load()
    assert len(source(tmp_path, end="2024-01-04").load()[0]) == 2 * 288
    write_month(tmp_path, BTC, "2024-01", days, complete=True)
    assert len(source(tmp_path).load()[0]) == 3 * 288


def test_a_damaged_file_is_named_by_the_user_s_key(tmp_path: Path) -> None:
    store_months(tmp_path, "2024-01", series=BTC)
    path = BTC.parquet(tmp_path, "2024-01")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="is not the file that was written") as refused:
        source(tmp_path).load()
    assert refused.value.key == "data.store"


def test_recent_bars_are_bars(tmp_path: Path) -> None:
    write_month(tmp_path, BTC, "2024-01", [recent_part("BTCUSDT-5m-2024-01-02.zip")], complete=False)
    assert len(source(tmp_path).load()[0]) == 288


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"symbols": ("BTCUSDT", "BTCUSDT")}, "data.symbols"),
        ({"symbols": ("../BTC",)}, "data.symbols"),
        ({"interval": "5"}, "data.interval"),
        ({"interval": "90s"}, "data.interval"),
        ({"interval": "1mo"}, "data.interval"),
        ({"start": "yesterday"}, "data.start"),
        ({"start": "2024-02", "end": "2024-02"}, "data.start"),
        ({"start": "2024-02-01", "end": "2024-02-01"}, "data.end"),
    ],
)
def test_what_cannot_be_asked_for(store: Path, changed: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError) as refused:
        source(store, **changed)
    assert refused.value.key == key
