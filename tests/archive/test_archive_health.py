"""The health report against bars with planted oddities, against brute force, and on the exchange's outage."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from csvs import part
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from botscalp.archive.health import FAR, Health, health_of
from botscalp.archive.health_figure import IDLE, MISSING, NOTHING, OUTSIDE, WHOLE, state_of
from botscalp.archive.health_report import health_report
from botscalp.archive.health_table import MOST_LINES, tell
from botscalp.archive.klines import Parsed
from botscalp.archive.writing import Part, write_month
from botscalp.data.manifest import Series, SourceFile, month_span_ns
from botscalp.errors import UserError
from botscalp.times import UNITS_NS, utc_text
from botscalp.types import Bool

HOUR_NS = UNITS_NS["h"]
HOURLY = Series(market="spot", symbol="BTCUSDT", interval="1h")


def source(name: str, *, overridden: bool = False) -> SourceFile:
    return SourceFile(
        **{"name": name, "url": f"http://archive.test/{name}", "sha256": "1" * 64, "published_sha256": "0" * 64},
        **{"size_bytes": 1, "rows": 1, "fetched": "2024-07-01T00:00:00Z", "overridden": overridden},
    )


def hourly(number: np.ndarray, volume: np.ndarray, spikes: dict[int, float] | None = None) -> Parsed:
    """Hours that open at these numbers since 1970: each from 100 to 101 and back, or up to what a spike says."""
    import pyarrow as pa

    high = np.array([(spikes or {}).get(int(one), 101.0) for one in number])
    columns = {name: np.full(len(number), 100.0) for name in ("open", "high", "low", "close")} | {"high": high}
    more = ("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")
    columns |= {"volume": volume.astype(float), **{name: np.zeros(len(number)) for name in more}}
    times = pa.array(number * HOUR_NS // 1_000_000, pa.timestamp("ms", "UTC"))
    return Parsed(table=pa.table({"open_time": times, **columns}), repairs=())


def write(store: Path, month: str, present: Bool, traded: Bool, spikes: dict[int, float] | None = None) -> None:
    """The month's hours that are present."""
    start_ns, end_ns = month_span_ns(month)
    number = np.arange(start_ns // HOUR_NS, end_ns // HOUR_NS)
    parsed = hourly(number[present], traded[present], spikes)
    one = Part(source=source(f"BTCUSDT-1h-{month}.zip"), parsed=parsed, start_ns=start_ns, end_ns=end_ns)
    write_month(store, HOURLY, month, [one], complete=True)


def hours(month: str) -> Bool:
    start_ns, end_ns = month_span_ns(month)
    return np.ones((end_ns - start_ns) // HOUR_NS, bool)


def test_planted_oddities_are_found_with_their_times(tmp_path: Path) -> None:
    """Five hours missing over the turn of the month, three without trades over another, a spike of 50 %."""
    january, february, march = (hours(month) for month in ("2024-01", "2024-02", "2024-03"))
    january[-2:] = False
    february[:3] = False
    idle_february, idle_march = hours("2024-02"), hours("2024-03")
    idle_february[-1] = idle_march[:2] = False
    spike = month_span_ns("2024-02")[0] // HOUR_NS + 100
    write(tmp_path, "2024-01", january, january)
    write(tmp_path, "2024-02", february, idle_february, {spike: 150.0})
    write(tmp_path, "2024-03", march, idle_march)
    health = health_of(tmp_path, HOURLY)
    assert (health.bars, health.expected) == (91 * 24 - 5, 91 * 24)
    assert [(one.start, one.end, one.bars) for one in health.gaps] == [
        ("2024-01-31T22:00:00Z", "2024-02-01T03:00:00Z", 5)
    ]
    assert [(one.start, one.end, one.bars) for one in health.zero_volume] == [
        ("2024-02-29T23:00:00Z", "2024-03-01T02:00:00Z", 3)
    ]
    assert [(one.time, one.true_range_bps, one.medians) for one in health.outliers] == [
        ("2024-02-05T04:00:00Z", pytest.approx(5_000.0), pytest.approx(50.0))
    ]
    days = {day.day: day for day in health.calendar}
    assert len(days) == 91
    assert (days["2024-01-31"].bars, days["2024-02-01"].bars, days["2024-02-29"].zero_volume) == (22, 21, 1)
    assert [state_of(days[day]) for day in ("2024-01-30", "2024-01-31", "2024-03-01")] == [WHOLE, MISSING, IDLE]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.5, 0.99, 1.0]), skipped=st.booleans())
def test_stretches_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float, skipped: bool
) -> None:
    """Every hour is there, missing, without trades or not fetched; each stretch is as long as it can be."""
    store, rng = tmp_path_factory.mktemp("store"), np.random.default_rng(seed)
    months = ["2024-01", "2024-03"] if skipped else ["2024-01", "2024-02"]
    state: dict[int, str] = {}
    for month in months:
        present, traded = rng.random(len(hours(month))) < share, rng.random(len(hours(month))) < share
        present[rng.integers(len(present))] = True
        write(store, month, present, traded)
        first = month_span_ns(month)[0] // HOUR_NS
        for row, (there, busy) in enumerate(zip(present.tolist(), traded.tolist(), strict=True)):
            state[first + row] = ("traded" if busy else "idle") if there else "missing"
    health = health_of(store, HOURLY)
    first, last = min(state), max(state)
    for kind, found in (("missing", health.gaps), ("idle", health.zero_volume), ("unfetched", health.unfetched)):
        expected, length = [], 0
        for number in range(first, last + 2):
            here = number <= last and state.get(number, "unfetched") == kind
            length += here
            if not here and length:
                expected.append((utc_text((number - length) * HOUR_NS), utc_text(number * HOUR_NS), length))
                length = 0
        assert [(one.start, one.end, one.bars) for one in found] == expected, kind
    assert sum(day.bars for day in health.calendar) == health.bars == sum(one != "missing" for one in state.values())
    assert sum(day.expected for day in health.calendar) == health.expected == len(state)
    assert {day.day[:7] for day in health.calendar} == set(months)


def test_days_that_nobody_fetched_are_no_gap_of_the_exchange(tmp_path: Path) -> None:
    """Of January the files of the 2nd and the 5th, the latter without its first hour."""
    parts = []
    for day, missing in (("2024-01-02", 0), ("2024-01-05", 1)):
        start_ns, end_ns = month_span_ns(day)
        number = np.arange(start_ns // HOUR_NS + missing, end_ns // HOUR_NS)
        name = source(f"BTCUSDT-1h-{day}.zip")
        parts.append(Part(source=name, parsed=hourly(number, number), start_ns=start_ns, end_ns=end_ns))
    write_month(tmp_path, HOURLY, "2024-01", parts, complete=False)
    health = health_of(tmp_path, HOURLY)
    assert (health.start, health.end) == ("2024-01-02T00:00:00Z", "2024-01-06T00:00:00Z")
    assert (health.bars, health.expected) == (47, 48)
    assert [(one.start, one.bars) for one in health.gaps] == [("2024-01-05T00:00:00Z", 1)]
    assert [(one.start, one.end) for one in health.unfetched] == [("2024-01-03T00:00:00Z", "2024-01-05T00:00:00Z")]
    assert [day.day for day in health.calendar] == ["2024-01-02", "2024-01-05"]


def test_what_a_day_is() -> None:
    from botscalp.archive.health import Day

    facts = [(0, 0, 0), (24, 24, 0), (24, 24, 1), (24, 23, 1), (24, 0, 0)]
    days = [Day(day="2024-01-01", expected=a, bars=b, zero_volume=c) for a, b, c in facts]
    assert [state_of(day) for day in days] == [OUTSIDE, WHOLE, IDLE, MISSING, NOTHING]


def test_repairs_revisions_and_overridden_checksums_are_told(tmp_path: Path) -> None:
    start_ns, end_ns = month_span_ns("2024-01")
    number = np.arange(start_ns // HOUR_NS, end_ns // HOUR_NS)
    name = "BTCUSDT-1h-2024-01.zip"
    parsed = hourly(number, np.ones(len(number)))
    first = Part(source=source(name), parsed=parsed, start_ns=start_ns, end_ns=end_ns)
    repaired = Parsed(table=parsed.table, repairs=(f"{name}: one row twice",))
    again = SourceFile(**vars(source(name, overridden=True)) | {"sha256": "2" * 64})
    write_month(tmp_path, HOURLY, "2024-01", [first], complete=True)
    second = Part(source=again, parsed=repaired, start_ns=start_ns, end_ns=end_ns)
    write_month(tmp_path, HOURLY, "2024-01", [second], complete=True)
    (health,) = health_report(tmp_path, [HOURLY])
    assert [one.name for one in health.revisions] == [name] and health.overridden == (name,)
    text = told([health])
    for line in ("repaired  BTCUSDT-1h-2024-01.zip: one row twice", f"checksum overridden  {name}", f"revised  {name}"):
        assert f"spot/BTCUSDT/1h  {line}" in text


def told(found: list[Health]) -> str:
    file = io.StringIO()
    tell(found, Console(file=file))
    return file.getvalue()


def test_the_terminal_shows_some_and_json_all(tmp_path: Path) -> None:
    present = hours("2024-01")
    present[5:700:20] = False
    write(tmp_path, "2024-01", present, present)
    (health,) = health_report(tmp_path, [HOURLY])
    lines = told([health]).splitlines()
    assert sum("  missing  2024" in line for line in lines) == MOST_LINES
    assert f"spot/BTCUSDT/1h  missing  and {35 - MOST_LINES} more in health.json" in lines
    assert "35 (35 bars)" in lines[1] and "95.296 %" in lines[1]
    values = json.loads((HOURLY.folder(tmp_path) / "health.json").read_text())
    assert values["schema"] == 1 and values["series"] == "spot/BTCUSDT/1h"
    assert len(values["gaps"]) == 35 and len(values["calendar"]) == 31
    assert values["coverage"] == pytest.approx(709 / 744)
    assert (HOURLY.folder(tmp_path) / "health.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_stored_is_an_error_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"python -m botscalp\.ingest symbols=\[BTCUSDT\] interval=1h"):
        health_of(tmp_path, HOURLY)


def test_funding_has_no_grid_to_be_held_against(tmp_path: Path) -> None:
    import pyarrow as pa

    series = Series(market="um", symbol="BTCUSDT", interval="funding")
    start_ns, end_ns = month_span_ns("2024-01")
    times = pa.array(np.arange(start_ns, end_ns, 8 * HOUR_NS) // 1_000_000, pa.timestamp("ms", "UTC"))
    table = pa.table({"funding_time": times, "funding_rate": np.full(len(times), 1e-4)})
    rates = Part(
        source=source("BTCUSDT-fundingRate-2024-01.zip"),
        parsed=Parsed(table=table, repairs=()),
        start_ns=start_ns,
        end_ns=end_ns,
    )
    write_month(tmp_path, series, "2024-01", [rates], complete=True)
    (health,) = health_report(tmp_path, [series])
    assert (health.bars, health.expected, health.gaps, health.calendar) == (93, None, (), ())
    assert not (series.folder(tmp_path) / "health.png").exists()


def test_the_outage_of_march_2023_shows(real_data: Path, tmp_path: Path) -> None:
    """The archive's own file: 1,360 bars, 72 of them without trades before 80 that do not exist."""
    path = real_data / "archive" / "spot-daily-1m-zip" / "BTCUSDT-1m-2023-03-24.zip"
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        csv = archive.read(name)
    series = Series(market="spot", symbol="BTCUSDT", interval="1m")
    write_month(tmp_path, series, "2023-03", [part(path.name, csv, interval="1m")], complete=False)
    command = [sys.executable, "-m", "botscalp.ingest", "report", f"store={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "missing  2023-03-24T12:40:00Z .. 2023-03-24T14:00:00Z  80 bars" in done.stdout
    assert "no trades  2023-03-24T11:28:00Z .. 2023-03-24T12:40:00Z  72 bars" in done.stdout
    assert "closes early in 1 of 1360 bars" in done.stdout and "\x1b" not in done.stdout
    other = subprocess.run([*command, "symbols=[ETHUSDT]"], capture_output=True, text=True, cwd=tmp_path)
    assert other.returncode == 2 and "holds no such series" in other.stderr


def test_far_is_what_its_note_says(real_data: Path) -> None:
    """Some 25 bars of a year of 5-minute bars of BTCUSDT."""
    import pandas as pd

    bars = pd.read_parquet(real_data / "binance-spot-BTCUSDT-5m.parquet", columns=["open_time", "high", "low", "close"])
    before = bars.close.shift(1)
    true_range = np.fmax(bars.high, before) / np.fmin(bars.low, before) - 1.0
    month = bars.open_time.dt.strftime("%Y-%m")
    median = true_range[true_range > 0].groupby(month).median()
    assert 20 < (true_range / month.map(median) > FAR).sum() / 3 < 30
