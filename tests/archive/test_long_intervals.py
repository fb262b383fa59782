"""Bars of three days and of weeks, which no month holds a whole number of: made of real minutes, served, stored and read.

Minutes of January to April 2024 make them, so that files, resampling and the store can be compared to the last bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from csvs import bars_csv
from published import rows_of_csv, snapshot
from runs import composed
from server import ArchiveServer, months_csv, served

from botscalp.archive.health import health_of
from botscalp.data.bars import clipped
from botscalp.data.files import FileSource
from botscalp.data.grid import Grid, grid_of
from botscalp.data.manifest import Manifest, Series, covered_ns, month_span_ns
from botscalp.data.resample import resample
from botscalp.data.store import read_bars, read_manifest, read_table
from botscalp.errors import UserError
from botscalp.times import DAY_NS, parse_interval, parse_time_ns, time_text, utc_text
from botscalp.types import Bars

MINUTES = "binance-spot-BTCUSDT-1m-2024-01_04.parquet"
MONTHS = ("2024-01", "2024-02", "2024-03")
QUARTER = ("start=2024-01", "end=2024-03")
DAYS = {"3d, of which one opens on January 1": "1970-01-02", "3d, of which one opens on January 2": "1970-01-03"}

Ingest = Callable[..., Manifest]


@dataclass(frozen=True)
class Long:
    """What the archive is made to hold of one interval."""

    series: Series
    grid: Grid
    bars: Bars
    """those that open in January to March; the last closes with March or in April"""

    def csv(self, month: str, *, without: int | None = None) -> bytes:
        """The bars that open in the month, but for the one of that place."""
        rows = bars_csv(clipped(self.bars, *month_span_ns(month))).splitlines(keepends=True)
        return b"".join(row for row in rows if without is None or row is not rows[without])

    def name(self, month: str) -> str:
        return f"BTCUSDT-{self.series.interval}-{month}"

    def publish(self, server: ArchiveServer, *months: str) -> None:
        for month in months:
            server.add_csv(self.name(month), self.csv(month))

    def words(self, *more: str) -> tuple[str, ...]:
        return (f"interval={self.series.interval}", *QUARTER, *more)


@pytest.fixture(scope="module")
def minutes(real_data: Path) -> Bars:
    (bars,) = FileSource(path=str(real_data / MINUTES), symbols=("BTCUSDT",), start=None, end=None).load()
    return bars


@pytest.fixture(scope="module")
def minute_csvs(real_data: Path) -> dict[str, bytes]:
    return months_csv(real_data / MINUTES)


def made(minutes: Bars, interval: str, opens: str) -> Long:
    grid = grid_of(parse_interval(interval), parse_time_ns(opens, key=""))
    bars = clipped(resample(minutes, grid).bars, month_span_ns(MONTHS[0])[0], month_span_ns(MONTHS[-1])[1])
    return Long(series=Series(market="spot", symbol="BTCUSDT", interval=interval), grid=grid, bars=bars)


@pytest.fixture(params=["1w", *DAYS])
def long(request: pytest.FixtureRequest, minutes: Bars) -> Long:
    interval = request.param.split(",")[0]
    return made(minutes, interval, DAYS.get(request.param, "1970-01-01"))


@pytest.fixture
def three_days(minutes: Bars) -> Long:
    return made(minutes, "3d", "1970-01-03")


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    """An empty one."""
    with served() as server:
        yield server


def check_equal(bars: Bars, expected: Bars) -> None:
    for (name, column), (_, other) in zip(bars.columns(), expected.columns(), strict=True):
        assert np.array_equal(column, other), name


def test_what_is_made_is_what_is_meant(minutes: Bars) -> None:
    """Monday, and two phases; each has a bar that opens in one month and closes in the next."""
    weeks, *days = (made(minutes, name[:2], opens) for name, opens in {"1w": "1970-01-01", **DAYS}.items())
    assert (weeks.bars.open_time_ns // DAY_NS % 7 == 4).all() and time_text(int(weeks.bars.open_time_ns[4]))[:10] == (
        "2024-01-29"
    )
    assert [time_text(int(one.bars.open_time_ns[0]))[:10] for one in days] == ["2024-01-01", "2024-01-02"]
    for one in (weeks, *days):
        ends = [month_span_ns(month)[1] for month in MONTHS]
        assert any(((one.bars.open_time_ns < end) & (one.bars.close_time_ns > end)).any() for end in ends)


def test_every_bar_comes_as_it_is_and_no_day_is_asked_for(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long
) -> None:
    long.publish(server, *MONTHS)
    manifest = ingest(*long.words(), series=long.series)
    check_equal(read_bars(tmp_path / "bars", long.series), long.bars)
    assert sorted(server.gets()) == [f"{long.name(month)}.zip" for month in MONTHS]
    assert not any("/daily/" in path for _, path, _ in server.requests)
    assert all(one.complete and not one.gaps and not one.repairs for one in manifest.months.values())
    first_ns, end_ns = int(long.bars.open_time_ns[0]), int(long.bars.close_time_ns[-1])
    assert manifest.grid == long.grid and covered_ns(manifest) == [(first_ns, end_ns)]
    before = snapshot(tmp_path / "bars")
    server.requests.clear()
    ingest(*long.words("recent=true"), series=long.series)
    assert server.requests == [] and snapshot(tmp_path / "bars") == before


def test_a_month_without_a_file_costs_one_request(server: ArchiveServer, ingest: Ingest, long: Long) -> None:
    long.publish(server, *MONTHS[:2])
    ingest(*long.words(), series=long.series)
    server.requests.clear()
    ingest(*long.words(), series=long.series)
    assert [(method, path.rpartition("/")[2]) for method, path, _ in server.requests] == [
        ("HEAD", f"{long.name(MONTHS[2])}.zip")
    ]


def test_a_whole_store_has_no_gap_to_report(server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long) -> None:
    long.publish(server, *MONTHS)
    ingest(*long.words(), series=long.series)
    health = health_of(tmp_path / "bars", long.series)
    assert (health.bars, health.expected, health.coverage) == (len(long.bars), len(long.bars), 1.0)
    assert (health.gaps, health.unfetched, health.zero_volume) == ((), (), ())
    opens = [time_text(int(time_ns))[:10] for time_ns in long.bars.open_time_ns]
    assert [(day.day, day.expected, day.bars) for day in health.calendar] == [(day, 1, 1) for day in opens]


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_bar_that_a_file_lacks_is_a_gap(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long, month: str, place: int
) -> None:
    """Also one at the end of a month, which closes in the next."""
    long.publish(server, *MONTHS)
    server.add_csv(long.name(month), long.csv(month, without=place))
    manifest = ingest(*long.words(), series=long.series)
    lost_ns = int(clipped(long.bars, *month_span_ns(month)).open_time_ns[place])
    expected = (utc_text(lost_ns), utc_text(lost_ns + long.grid.step_ns), 1)
    assert [(one.start, one.end, one.bars) for one in manifest.months[month].gaps] == [expected]
    health = health_of(tmp_path / "bars", long.series)
    assert [(one.start, one.end, one.bars) for one in health.gaps] == [expected]
    assert (health.bars, health.expected) == (len(long.bars) - 1, len(long.bars))
    long.publish(server, month)
    assert all(not one.gaps for one in ingest(*long.words("revisions=true"), series=long.series).months.values())


def test_a_month_that_nobody_fetched_is_named_by_when_its_bars_open(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long
) -> None:
    long.publish(server, *MONTHS)
    for month in (MONTHS[0], MONTHS[2]):
        ingest(f"interval={long.series.interval}", f"start={month}", f"end={month}", series=long.series)
    february = clipped(long.bars, *month_span_ns(MONTHS[1]))
    (stretch,) = health_of(tmp_path / "bars", long.series).unfetched
    assert (stretch.start, stretch.bars) == (utc_text(int(february.open_time_ns[0])), len(february))
    with pytest.raises(UserError, match=rf"has no {long.series.interval} bars of BTCUSDT from") as refused:
        loaded(tmp_path, long)
    assert "start=2024-02 end=2024-02" in refused.value.remedy


def loaded(folder: Path, long: Long, *more: str) -> Bars:
    """The bars as every command gets them."""
    words = ("data=binance", f"data.store={folder / 'bars'}", f"data.interval={long.series.interval}")
    (bars,) = composed(*words, "data.symbols=[BTCUSDT]", "data.start=null", "data.end=null", *more).data.load()
    return bars


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), ("2024-01-01", "2024-04-01"), ("2024-01-03T12:00", "2024-02-29")]
)
def test_they_are_read_by_the_configuration(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long, start: str | None, end: str | None
) -> None:
    """A range is that of the bars which open in it, and may begin before the first one of the grid."""
    long.publish(server, *MONTHS)
    ingest(*long.words(), series=long.series)
    bounds = [None if time is None else parse_time_ns(time, key="") for time in (start, end)]
    more = [f"data.{key}={time}" for key, time in (("start", start), ("end", end)) if time]
    check_equal(loaded(tmp_path, long, *more), clipped(long.bars, *bounds))


def test_minutes_make_the_same_bars_to_the_last_digit(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long, minute_csvs: dict[str, bytes]
) -> None:
    """All minutes and a single month of long bars are stored: that month says how three days open."""
    for month, csv in minute_csvs.items():
        server.add_csv(f"BTCUSDT-1m-{month}", csv)
    minutes = Series(market="spot", symbol="BTCUSDT", interval="1m")
    ingest("interval=1m", "start=2024-01", "end=2024-04", series=minutes)
    long.publish(server, MONTHS[1])
    ingest(f"interval={long.series.interval}", "start=2024-02", "end=2024-02", series=long.series)
    check_equal(loaded(tmp_path, long, "data.start=2024-01-01", "data.end=2024-04-01"), long.bars)
    everything = loaded(tmp_path, long, "data.start=2024-01-01", "data.end=2024-05-01")
    assert everything.close_time_ns[-1] <= parse_time_ns("2024-05-01", key=""), "what is not closed is left out"


def test_a_file_beside_the_grid_of_the_others_is_refused(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, three_days: Long, minutes: Bars
) -> None:
    """And spoils no other: March comes after it in the same run."""
    three_days.publish(server, MONTHS[0])
    ingest(*three_days.words(), series=three_days.series)
    made(minutes, "3d", "1970-01-02").publish(server, MONTHS[1])
    three_days.publish(server, MONTHS[2])
    with pytest.raises(UserError) as refused:
        ingest(*three_days.words("at_once=1"), series=three_days.series)
    error = refused.value
    assert (error.key, error.value) == ("file", "BTCUSDT-3d-2024-02.zip")
    assert error.problem == (
        "opens a bar at 2024-02-03 00:00:00 UTC, where the grid of BTCUSDT-3d-2024-01.zip in the store has one at "
        "2024-02-01 00:00:00 UTC"
    )
    assert f"delete {three_days.series.folder(tmp_path / 'bars')} and ingest it again" in error.remedy
    assert sorted(read_manifest(tmp_path / "bars", three_days.series).months) == [MONTHS[0], MONTHS[2]]
    assert not list((tmp_path / "bars").rglob("*.zip"))
    three_days.publish(server, MONTHS[1])
    ingest(*three_days.words(), series=three_days.series)
    check_equal(read_bars(tmp_path / "bars", three_days.series), three_days.bars)


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        (
            "3d",
            "does not open on the grid of 3d, as the bar of 2024-01-02 00:00:00 UTC does; so do 9 other",
        ),
        (
            "1w",
            "does not open on the grid of 1w, as the bar of 2024-01-01 00:00:00 UTC does; so do 9 other",
        ),
    ],
)
def test_a_file_on_no_grid_is_refused_by_line(
    server: ArchiveServer, ingest: Ingest, minutes: Bars, three_days: Long, interval: str, says: str
) -> None:
    """Rows of three days on two phases; rows of three days where weeks belong, the first of them not on a Monday."""
    rows = three_days.csv(MONTHS[0]).splitlines(keepends=True)
    strange = made(minutes, "3d", "1970-01-02").csv(MONTHS[0]).splitlines(keepends=True)
    server.add_csv(f"BTCUSDT-{interval}-{MONTHS[0]}", b"".join([*rows[:1], *strange[1:]]))
    with pytest.raises(UserError, match=says):
        ingest(f"interval={interval}", "start=2024-01", "end=2024-01", series=three_days.series)


def test_recent_bars_belong_to_the_month_in_which_they_open(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long
) -> None:
    """January is a file, the rest comes by and by; a month's last bar leaves no hole behind it, and files take over."""
    rows = rows_of_csv(bars_csv(long.bars))
    key = ("spot", "BTCUSDT", long.series.interval)
    long.publish(server, MONTHS[0])
    words = long.words("recent=true")
    opening = {month: len(clipped(long.bars, *month_span_ns(month))) for month in MONTHS}
    for count in (sum(opening.values()) - opening[MONTHS[2]], len(rows)):
        server.klines[key] = rows[:count]
        manifest = ingest(*words, series=long.series)
        assert covered_ns(manifest) == [(int(long.bars.open_time_ns[0]), int(long.bars.close_time_ns[count - 1]))]
    assert {name: (month.rows, month.recent_rows) for name, month in manifest.months.items()} == {
        MONTHS[0]: (opening[MONTHS[0]], 0),
        **{month: (opening[month], opening[month]) for month in MONTHS[1:]},
    }
    check_equal(read_bars(tmp_path / "bars", long.series), long.bars)
    check_equal(loaded(tmp_path, long), long.bars)
    assert health_of(tmp_path / "bars", long.series).unfetched == ()
    server.requests.clear()
    assert ingest(*words, series=long.series) == manifest
    assert {method for method, _, _ in server.requests} == {"HEAD"}
    long.publish(server, MONTHS[1])
    ingest(*words, series=long.series)
    recent = read_table(tmp_path / "bars", long.series)["recent"].to_numpy()
    assert np.flatnonzero(recent).tolist() == list(range(len(long.bars) - opening[MONTHS[2]], len(long.bars)))


def test_the_bar_that_is_not_closed_is_left_out(
    server: ArchiveServer, ingest: Ingest, tmp_path: Path, long: Long
) -> None:
    """By the exchange's clock: a day before the last bar closes."""
    server.klines["spot", "BTCUSDT", long.series.interval] = rows_of_csv(bars_csv(long.bars))
    server.clock = lambda: float((long.bars.close_time_ns[-1] - DAY_NS) // 10**9)
    long.publish(server, *MONTHS[:2])
    ingest(*long.words("recent=true"), series=long.series)
    check_equal(read_bars(tmp_path / "bars", long.series), long.bars[:-1])


def test_recent_bars_beside_the_grid_are_refused(
    server: ArchiveServer, ingest: Ingest, three_days: Long, minutes: Bars
) -> None:
    three_days.publish(server, MONTHS[0])
    server.klines["spot", "BTCUSDT", "3d"] = rows_of_csv(bars_csv(made(minutes, "3d", "1970-01-02").bars))
    with pytest.raises(UserError, match="spot/BTCUSDT/3d, recent: opens a bar at 2024-02-0"):
        ingest(*three_days.words("recent=true"), series=three_days.series)


def test_months_are_refused_with_what_to_do_instead(ingest: Ingest) -> None:
    with pytest.raises(UserError, match="months have no one length") as refused:
        ingest("interval=1mo")
    assert (refused.value.key, refused.value.remedy) == ("interval", "take days: interval=1d")
