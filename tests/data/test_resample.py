"""Longer bars: against what the exchange prints itself, against exact decimals, and against a plain loop."""

import csv
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from csvs import parsed
from hypothesis import given
from hypothesis import strategies as st

from botscalp.data.bars import checked, clipped
from botscalp.data.files import FileSource
from botscalp.data.grid import Grid, grid_of
from botscalp.data.resample import resample, sums
from botscalp.errors import UserError
from botscalp.times import DAY_NS, UNITS_NS, parse_interval, parse_time_ns
from botscalp.types import Bars

MINUTE_NS = UNITS_NS["m"]
FIRST_NS = parse_time_ns("2024-01-01", key="")


def minutes(kept: Any, *, seed: int = 0) -> Bars:
    """Random minutes from 2024-01-01 00:00, of which these are there."""
    number = np.asarray(kept, dtype=np.int64)
    rng = np.random.default_rng(seed)
    open_, close = rng.integers(1_000, 2_000, (2, len(number))) / 100
    low, high = np.minimum(open_, close) - 0.5, np.maximum(open_, close) + 0.25
    volume = rng.integers(0, 10**9, len(number)) / 1e5
    return Bars(
        symbol="BTCUSDT",
        interval_ns=MINUTE_NS,
        open_time_ns=FIRST_NS + number * MINUTE_NS,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trades=rng.integers(1, 99, len(number)).astype(float),
    )


@given(
    st.sets(st.integers(0, 3_000), min_size=1, max_size=60).map(sorted),
    st.sampled_from(["1m", "5m", "7m", "1h", "1d", "3d", "1w"]),
    st.integers(0, 10_000),
)
def test_every_bar_is_what_a_plain_loop_makes_of_its_minutes(kept: list[int], interval: str, opens: int) -> None:
    fine, interval_ns = minutes(kept), parse_interval(interval)
    grid = grid_of(interval_ns, FIRST_NS + opens * MINUTE_NS)
    made = resample(fine, grid)
    assert grid.holds(made.bars.open_time_ns).all()
    checked(made.bars, key="", value="")
    assert made.bars.quote_volume is None and made.bars.taker_buy_volume is None
    members: list[int] = []
    for row, (start_ns, end_ns) in enumerate(zip(made.bars.open_time_ns, made.bars.close_time_ns, strict=True)):
        inside = np.flatnonzero((fine.open_time_ns >= start_ns) & (fine.open_time_ns < end_ns))
        members += inside.tolist()
        assert made.bars.open[row] == fine.open[inside[0]] and made.bars.close[row] == fine.close[inside[-1]]
        assert made.bars.high[row] == fine.high[inside].max() and made.bars.low[row] == fine.low[inside].min()
        assert made.bars.volume[row] == float(sum(Decimal(repr(volume)) for volume in fine.volume[inside].tolist()))
        assert made.bars.trades is not None and fine.trades is not None
        assert made.bars.trades[row] == fine.trades[inside].sum()
        assert made.complete[row] == (len(inside) == interval_ns // MINUTE_NS)
    assert members == list(range(len(fine)))


@given(st.integers(1, 2_000), st.sampled_from(["5m", "1h"]))
def test_more_minutes_change_no_finished_bar(end: int, interval: str) -> None:
    fine, interval_ns = minutes(np.arange(2_000)), parse_interval(interval)
    whole, prefix = (resample(some, grid_of(interval_ns)).bars for some in (fine, fine[:end]))
    finished = end // (interval_ns // MINUTE_NS)
    for (_, one), (_, other) in zip(whole[:finished].columns(), prefix[:finished].columns(), strict=True):
        assert (one == other).all()


def test_numbers_of_any_length_are_added_as_doubles() -> None:
    column = np.array([0.1, 1 / 3, 2e300, 5.0])
    assert sums(column, np.array([0, 2])).tolist() == [0.1 + 1 / 3, 2e300 + 5.0]


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 5, 8]))
def test_sums_are_the_doubles_nearest_to_the_decimals(seed: int, decimals: int) -> None:
    """Sums of few units, and of more than a double counts: what 15 digits hold is added to 16."""
    units = np.random.default_rng(seed).integers([[1], [8 * 10**14]], [[10**6], [10**15]], (2, 200))
    column = np.array([int(one) / 10**decimals for one in units.ravel()])
    rows = range(0, 400, 20)
    exact = [float(sum(Decimal(repr(one)) for one in column[row : row + 20].tolist())) for row in rows]
    assert sums(column, np.array(rows)).tolist() == exact


def test_a_sum_is_rounded_once() -> None:
    """Divided as an extended double and then cut to a double, this one was off by a last bit."""
    assert sums(np.array([6766044.63244579, 6569014.49925677]), np.array([0])).tolist() == [13335059.13170256]


def test_a_sum_that_no_integer_holds_is_one_of_doubles() -> None:
    column = np.full(2_000, 2.0**52)
    assert sums(column, np.array([0])).tolist() == [2_000 * 2.0**52]
    assert sums(np.full(5_000, 2.0**52), np.array([0])).tolist() == [5_000 * 2.0**52]


def test_only_multiples() -> None:
    five = resample(minutes(np.arange(100)), grid_of(5 * MINUTE_NS)).bars
    with pytest.raises(UserError, match="is no multiple of 5m"):
        resample(five, grid_of(12 * MINUTE_NS))
    with pytest.raises(UserError, match="opens in the middle of the 5m bars"):
        resample(five, Grid(35 * MINUTE_NS, 3 * MINUTE_NS))


def test_the_first_bars_of_1970_are_bars() -> None:
    """Those before the grid's phase have a number below 0."""
    fine = minutes(np.arange(10))
    made = resample(replace(fine, open_time_ns=fine.open_time_ns - FIRST_NS), grid_of(UNITS_NS["w"]))
    assert len(made.bars) == 1 and made.bars.open[0] == fine.open[0]


def real(folder: Path, name: str, symbol: str, start: str, end: str) -> Bars:
    (bars,) = FileSource(path=str(folder / name), symbols=(symbol,), start=start, end=end).load()
    return bars


def test_hours_that_the_exchange_printed(real_data: Path) -> None:
    """Every column of a week of native hours, to the last bit."""
    fine = real(real_data, "binance-spot-BTCUSDT-1m-2024-01_04.parquet", "BTCUSDT", "2024-01-08", "2024-01-15")
    made = resample(fine, grid_of(UNITS_NS["h"]))
    assert made.complete.all() and len(made.bars) == 168
    for day in range(8, 15):
        path = real_data / f"archive/spot-daily-1h-zip/BTCUSDT-1h-2024-01-{day:02d}.zip"
        table = parsed(ZipFile(path).read(f"{path.stem}.csv"), path.name, interval="1h").table
        start_ns = parse_time_ns(f"2024-01-{day:02d}", key="")
        bars = clipped(made.bars, start_ns, start_ns + DAY_NS)
        for name, column in bars.columns():
            if name != "open_time_ns":
                assert (column == table[name].to_numpy()).all(), name


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_five_minutes_of_four_months(real_data: Path, symbol: str) -> None:
    """Equal to the resampled file that others made; its quote volumes are sums of doubles, off in the last bit."""
    fine = real(real_data, f"binance-spot-{symbol}-1m-2024-01_04.parquet", symbol, "2024-01-01", "2024-05-01")
    native = real(real_data, f"binance-spot-{symbol}-5m.parquet", symbol, "2024-01-01", "2024-05-01")
    made = resample(fine, grid_of(5 * MINUTE_NS)).bars
    for (name, column), (_, expected) in zip(made.columns(), native.columns(), strict=True):
        if name == "quote_volume":
            assert (np.abs(column - expected) <= 2 * np.spacing(expected)).all()
        else:
            assert (column == expected).all(), name


def test_quote_volumes_are_the_exact_sums_of_the_exchange_s_decimals(real_data: Path) -> None:
    path = real_data / "archive/spot-daily-1m-zip/BTCUSDT-1m-2024-03-14.zip"
    text = ZipFile(path).read(f"{path.stem}.csv")
    exact = [Decimal(row[7]) for row in csv.reader(StringIO(text.decode()))]
    column = parsed(text, path.name, interval="1m").table["quote_volume"].to_numpy()
    for length in (5, 15, 60, 1_440):
        expected = [float(sum(exact[row : row + length])) for row in range(0, 1_440, length)]
        assert sums(column, np.arange(0, 1_440, length)).tolist() == expected


def test_the_outage_leaves_incomplete_bars(real_data: Path) -> None:
    """2023-03-24: 12:40 to 14:00 is missing; the hour of 12:00 has 40 of its minutes, that of 13:00 none."""
    path = real_data / "archive/spot-daily-1m-zip/BTCUSDT-1m-2023-03-24.zip"
    table = parsed(ZipFile(path).read(f"{path.stem}.csv"), path.name, interval="1m").table
    names = [name for name in table.column_names if name not in ("open_time", "taker_buy_quote_volume")]
    fine = Bars(
        symbol="BTCUSDT",
        interval_ns=MINUTE_NS,
        open_time_ns=table["open_time"].to_numpy().astype("datetime64[ns]").astype(np.int64),
        **{name: table[name].to_numpy() for name in names},
    )
    hours = resample(fine, grid_of(UNITS_NS["h"]))
    assert len(hours.bars) == 23 and np.flatnonzero(~hours.complete).tolist() == [12]
    assert resample(fine, grid_of(5 * MINUTE_NS)).complete.all()
