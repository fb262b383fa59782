"""What `python -m botscalp.ingest` asks a server on loopback for, what it keeps, and that it asks for nothing twice."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from csvs import klines_csv
from published import SERIES, interface_rows, name, publish, snapshot
from server import ArchiveServer

from botscalp.archive.plan import Span
from botscalp.data.manifest import Manifest, Series
from botscalp.data.store import read_bars, stored_series

TODAY = date(2024, 3, 20)


def test_a_month_where_there_is_one_and_days_where_there_is_none(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path
) -> None:
    manifest = ingest()
    wanted = [name("2024-01"), *(name(f"2024-02-{day}") for day in range(25, 30))]
    assert sorted(server.gets()) == sorted(wanted)
    assert sorted(manifest.sources) == sorted(wanted)
    assert {month: held.rows for month, held in manifest.months.items()} == {"2024-01": 31 * 288, "2024-02": 5 * 288}
    bars = read_bars(tmp_path / "bars", SERIES)
    expected = klines_csv(name("2024-01")) + b"".join(klines_csv(name(f"2024-02-{day}")) for day in range(25, 30))
    columns = np.loadtxt(expected.splitlines(), delimiter=",", usecols=range(1, 6)).T
    for column, values in zip((bars.open, bars.high, bars.low, bars.close, bars.volume), columns, strict=True):
        assert np.array_equal(column, values)
    assert not list((tmp_path / "bars").rglob("*.part")) and not list((tmp_path / "bars").rglob("*.zip"))


def test_a_second_run_asks_for_nothing(server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path) -> None:
    ingest()
    before = snapshot(tmp_path / "bars")
    server.requests.clear()
    ingest()
    assert server.requests == []
    assert snapshot(tmp_path / "bars") == before


def test_a_dry_run_says_how_much_and_touches_nothing(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest("dry_run=true")
    size_mb = sum(len(content) for content in server.files.values()) / 1e6
    assert capsys.readouterr().out == f"spot/BTCUSDT/5m: 6 files to fetch, {size_mb:.1f} MB, 2024-01 .. 2024-02\n"
    assert server.gets() == [] and not (tmp_path / "bars").exists()


def test_a_wider_request_fetches_the_difference(server: ArchiveServer, ingest: Callable[..., Manifest]) -> None:
    ingest("start=2024-02-27", "end=2024-02-28")
    assert sorted(server.gets()) == [name("2024-02-27"), name("2024-02-28")]
    server.requests.clear()
    assert not ingest("start=2024-02-27", "end=2024-02-28").months["2024-02"].complete
    assert server.gets() == []
    assert ingest("start=2024-01").months["2024-02"].complete
    assert sorted(server.gets()) == [name("2024-01"), *(name(f"2024-02-{day}") for day in (25, 26, 29))]


def test_a_month_that_appears_takes_the_place_of_its_days(
    server: ArchiveServer, ingest: Callable[..., Manifest]
) -> None:
    ingest("start=2024-02-27", "end=2024-02-28")
    publish(server, "2024-02")
    month = ingest("start=2024-02-27", "end=2024-02-28").months["2024-02"]
    assert [source.name for source in month.sources] == [name("2024-02")]
    assert (month.rows, month.complete) == (29 * 288, True)


def test_a_revised_file_is_noticed_and_fetched(server: ArchiveServer, ingest: Callable[..., Manifest]) -> None:
    old = ingest().sources[name("2024-01")].sha256
    rows = klines_csv(name("2024-01")).splitlines(keepends=True)
    server.add_csv("BTCUSDT-5m-2024-01", b"".join(rows[:-1]))
    server.requests.clear()
    assert ingest().revisions == ()
    assert server.gets() == []
    manifest = ingest("revisions=true")
    assert server.gets() == [name("2024-01")]
    (revision,) = manifest.revisions
    assert (revision.name, revision.old, revision.new) == (
        name("2024-01"),
        old,
        manifest.sources[name("2024-01")].sha256,
    )
    assert manifest.months["2024-01"].rows == 31 * 288 - 1
    server.requests.clear()
    assert ingest("revisions=true").revisions == (revision,)
    assert server.gets() == []


def test_a_day_that_comes_after_all_is_fetched_on_request(
    server: ArchiveServer, ingest: Callable[..., Manifest]
) -> None:
    """A month is complete without days that are late; until they come they are a gap of it, at its edge, too."""
    publish(server, *(f"2024-03-{day:02d}" for day in range(1, 31)))
    words = ["start=2024-03", "end=2024-03"]
    month = ingest(*words).months["2024-03"]
    assert (month.complete, month.end, sum(gap.bars for gap in month.gaps)) == (True, "2024-04-01T00:00:00Z", 288)
    publish(server, "2024-03-31")
    server.requests.clear()
    assert ingest(*words).months["2024-03"] == month and server.requests == []
    whole = ingest(*words, "revisions=true").months["2024-03"]
    assert (whole.rows, whole.gaps, whole.complete) == (31 * 288, (), True)
    assert server.gets() == [name("2024-03-31")]


def test_what_lies_before_the_first_month_is_asked_for_by_the_month(
    server: ArchiveServer, ingest: Callable[..., Manifest]
) -> None:
    ingest("start=2023-06")
    months = {path.rpartition("/")[2] for method, path, _ in server.requests if "/monthly/" in path}
    assert {name(f"2023-{month:02d}") for month in range(6, 13)} <= months
    assert not any("5m-2023-06-" in path for _, path, _ in server.requests)
    server.requests.clear()
    ingest("start=2023-06")
    assert len(server.requests) == 7


def test_days_that_are_not_over_are_not_asked_for(server: ArchiveServer, ingest: Callable[..., Manifest]) -> None:
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in (3, 2, 1)]
    publish(server, *days[:2])
    manifest = ingest(f"start={days[0]}", "end=null")
    assert sorted(manifest.sources) == [name(day) for day in days[:2]]
    assert not manifest.months[days[1][:7]].complete
    asked = {path.rpartition("/")[2] for _, path, _ in server.requests}
    assert name(days[2]) in asked and name(today.isoformat()) not in asked
    publish(server, days[2])
    server.requests.clear()
    ingest(f"start={days[0]}", "end=null")
    assert server.gets() == [name(days[2])]


def test_recent_bars_follow_the_archive_and_give_way_to_it(
    server: ArchiveServer, ingest: Callable[..., Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    server.klines["spot", "BTCUSDT", "5m"] = interface_rows("2024-02-28", "2024-02-29", "2024-03-01")
    words = ["start=2024-02-28", "end=2024-03-01", "recent=true"]
    months = ingest(*words).months
    assert "288 recent rows, from 2024-03-01 00:00:00 UTC, of the exchange itself" in capsys.readouterr().out
    assert {name: (month.rows, month.recent_rows) for name, month in months.items()} == {
        "2024-02": (576, 0),
        "2024-03": (288, 288),
    }
    server.requests.clear()
    assert ingest(*words).months == months
    assert [path for method, path, _ in server.requests if method == "GET"] == []
    publish(server, "2024-03-01")
    assert (ingest(*words).months["2024-03"].rows, ingest(*words).months["2024-03"].recent_rows) == (288, 0)


def test_the_last_days_may_be_the_exchange_s_alone(server: ArchiveServer, ingest: Callable[..., Manifest]) -> None:
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    server.klines["spot", "BTCUSDT", "5m"] = interface_rows(yesterday)
    month = ingest(f"start={yesterday}", f"end={yesterday}", "recent=true").months[yesterday[:7]]
    assert month.rows == month.recent_rows == 288


def test_several_symbols_markets_and_funding(
    server: ArchiveServer, ingest: Callable[..., Manifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        publish(server, "2024-01", series=Series(market="um", symbol=symbol, interval="1h"))
    rates = b"calc_time,funding_interval_hours,last_funding_rate\n" + b"".join(
        b"%d,8,0.00010000\n" % (1_704_067_200_000 + 28_800_000 * row) for row in range(93)
    )
    server.add_csv("BTCUSDT-fundingRate-2024-01", rates, market="um")
    ingest("symbols=[ETHUSDT,BTCUSDT]", "market=um", "interval=1h", "end=2024-01")
    assert capsys.readouterr().out.splitlines()[-1] == (
        "python -m botscalp.train data=binance data.market=um data.interval=1h "
        f"'data.symbols=[ETHUSDT,BTCUSDT]' data.store={tmp_path / 'bars'}"
    )
    ingest("kind=funding", "market=um", "end=2024-01")
    held = {str(series) for series in stored_series(tmp_path / "bars")}
    assert held == {"um/BTCUSDT/1h", "um/BTCUSDT/funding", "um/ETHUSDT/1h"}


def test_spans_take_in_both_ends() -> None:
    def span(start: str, end: str | None) -> tuple[str, str]:
        found = Span.of(start, end, today=TODAY)
        return found.first.isoformat(), found.last.isoformat()

    assert span("2022", "2022") == ("2022-01-01", "2022-12-31")
    assert span("2022-01", "2024-02") == ("2022-01-01", "2024-02-29")
    assert span("2023-12-31", "2024-01-01") == ("2023-12-31", "2024-01-01")
    assert span("2024-03", None) == span("2024-03", "2030") == ("2024-03-01", "2024-03-20")
    assert Span.of("2023-11-30", "2024-01-01", today=TODAY).months == ["2023-11", "2023-12", "2024-01"]
