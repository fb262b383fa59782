"""Binance's own files, served as the archive serves them, come into the store as they are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_dir
from server import ArchiveServer, served

from botscalp.config import CONF
from botscalp.data.manifest import Manifest, Series
from botscalp.data.store import read_bars, read_manifest, read_table
from botscalp.ingest import fetch
from botscalp.times import parse_time_ns


@pytest.fixture(scope="module")
def server(real_data: Path) -> Iterator[ArchiveServer]:
    archive = real_data / "archive"
    with served() as server:
        for path in sorted(archive.glob("spot-daily-*-zip/*.zip")):
            server.add(path)
        for path in sorted((archive / "spot-daily-1m-csv").glob("*.csv")):
            server.add_csv(path.stem, path.read_bytes())
        (um,) = (archive / "um").glob("*.csv")
        server.add_csv("BTCUSDT-5m-2025-01", um.read_bytes(), market="um")
        yield server


@pytest.fixture
def ingest(server: ArchiveServer, tmp_path: Path) -> Callable[..., Manifest]:
    """ingest(series, first, last): what the store then holds of the series."""

    def run(series: Series, start: str, end: str) -> Manifest:
        words = [
            *(f"symbols=[{series.symbol}]", f"market={series.market}", f"interval={series.interval}"),
            *(f"start={start}", f"end={end}", f"store={tmp_path}", f"base_url={server.url}", "recent=false"),
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            fetch(compose("ingest", overrides=words))
        return read_manifest(tmp_path, series)

    return run


def spot(symbol: str, interval: str = "1m") -> Series:
    return Series(market="spot", symbol=symbol, interval=interval)


def test_january_2024_comes_equal_bar_for_bar(ingest: Callable[..., Manifest], real_data: Path, tmp_path: Path) -> None:
    manifest = ingest(spot("BTCUSDT"), "2024-01", "2024-01")
    month = manifest.months["2024-01"]
    assert (month.rows, month.complete, len(month.sources), month.gaps, month.repairs) == (44_640, True, 31, (), ())
    stored = read_table(tmp_path, spot("BTCUSDT"))
    known = pq.read_table(real_data / "binance-spot-BTCUSDT-1m-2024-01_04.parquet").slice(0, 44_640)
    for column in stored.column_names:
        if column != "recent":
            assert np.array_equal(stored[column].to_numpy(), known[column].to_numpy()), column


def test_the_outage_of_2023_shows_as_a_gap(ingest: Callable[..., Manifest]) -> None:
    for symbol in ("BTCUSDT", "SOLUSDT"):
        month = ingest(spot(symbol), "2023-03-24", "2023-03-24").months["2023-03"]
        assert month.rows == 1_360
        assert sum(gap.bars for gap in month.gaps) == 80


def test_a_minute_that_is_missing_is_named(ingest: Callable[..., Manifest]) -> None:
    (gap,) = ingest(spot("SOLUSDT"), "2023-02-14", "2023-02-14").months["2023-02"].gaps
    assert gap.bars == 1


def test_first_and_broken_days(ingest: Callable[..., Manifest]) -> None:
    assert ingest(spot("BTCUSDT"), "2018-02-08", "2018-02-08").months["2018-02"].rows == 29
    assert ingest(spot("BTCUSDT"), "2017-08-17", "2017-08-17").months["2017-08"].rows > 0


def test_milliseconds_and_microseconds_meet(ingest: Callable[..., Manifest], tmp_path: Path) -> None:
    manifest = ingest(spot("BTCUSDT"), "2024-12-31", "2025-01-01")
    assert {name: month.gaps for name, month in manifest.months.items()} == {"2024-12": (), "2025-01": ()}
    bars = read_bars(tmp_path, spot("BTCUSDT"))
    assert len(bars) == 2 * 1_440
    assert bars.open_time_ns[0] == parse_time_ns("2024-12-31", key="")
    assert (np.diff(bars.open_time_ns) == bars.interval_ns).all()


def test_futures_with_a_header(ingest: Callable[..., Manifest], tmp_path: Path) -> None:
    series = Series(market="um", symbol="BTCUSDT", interval="5m")
    month = ingest(series, "2025-01", "2025-01").months["2025-01"]
    assert month.rows == 2 * 288
    bars = read_bars(tmp_path, series)
    assert (bars.open[0], bars.close[0]) == (93548.80, 93648.40)
    assert bars.trades is not None and bars.trades[0] == 8176
