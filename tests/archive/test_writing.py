"""Files become months: merged, replaced, noted; whole or not at all, however many processes write and die."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from csvs import SERIES, klines_csv, part, recent_part, store_months

from botscalp.archive.health import health_of
from botscalp.archive.klines import parse_funding, parse_klines
from botscalp.archive.summary import stored
from botscalp.archive.writing import Part, write_month
from botscalp.data.manifest import FUNDING, Series, covered_ns, month_span_ns, source_span_ns, uncovered_ns
from botscalp.data.store import read_manifest, read_table
from botscalp.errors import UserError

MONTH = "BTCUSDT-5m-2024-01.zip"
DAYS = [f"BTCUSDT-5m-2024-01-{day:02d}.zip" for day in range(1, 32)]


def day_of(month_csv: bytes, day: int) -> bytes:
    """The lines of a month's CSV that a day's file has."""
    return b"".join(month_csv.splitlines(keepends=True)[288 * (day - 1) : 288 * day])


MONTH_CSV = klines_csv(MONTH)


def test_days_in_any_order_are_the_month(tmp_path: Path) -> None:
    days = [part(name, day_of(MONTH_CSV, day)) for day, name in enumerate(DAYS, 1)]
    write_month(tmp_path / "whole", SERIES, "2024-01", [part(MONTH, MONTH_CSV)], complete=True)
    write_month(tmp_path / "days", SERIES, "2024-01", days[::-1], complete=True)
    for number in np.random.default_rng(0).permutation(31):
        last = write_month(tmp_path / "each", SERIES, "2024-01", [days[number]], complete=False)
    assert (last.rows, last.gaps, len(last.sources)) == (8928, (), 31)
    files = [SERIES.parquet(tmp_path / name, "2024-01").read_bytes() for name in ("whole", "days", "each")]
    assert files[0] == files[1] == files[2]


def test_what_the_month_s_file_replaces(tmp_path: Path) -> None:
    """Days, their repairs and the recent bars; the month's own rows and sources stand alone then."""
    twice = part(DAYS[0], day_of(MONTH_CSV, 1) + day_of(MONTH_CSV, 1)[-100:].split(b"\n", 1)[1])
    first = write_month(tmp_path, SERIES, "2024-01", [twice, recent_part(DAYS[2])], complete=False)
    assert first.rows == 576 and first.recent_rows == 288
    assert (first.start, first.end) == ("2024-01-01T00:00:00Z", "2024-01-04T00:00:00Z")
    assert first.gaps == (), "nobody asked for the day in between"
    month = write_month(tmp_path, SERIES, "2024-01", [part(MONTH, MONTH_CSV)], complete=True)
    assert (month.rows, month.recent_rows, month.repairs, month.gaps) == (8928, 0, (), ())
    assert [source.name for source in month.sources] == [MONTH]
    assert read_manifest(tmp_path, SERIES).revisions == ()


def test_recent_bars_never_replace_the_archive_s(tmp_path: Path) -> None:
    other = klines_csv(DAYS[0]).replace(b",0\n", b",0\n", 1)
    write_month(tmp_path, SERIES, "2024-01", [part(DAYS[0], day_of(MONTH_CSV, 1))], complete=False)
    two_days = recent_part(DAYS[0], other), recent_part(DAYS[1])
    month = write_month(tmp_path, SERIES, "2024-01", two_days, complete=False)
    assert (month.rows, month.recent_rows, len(month.sources)) == (576, 288, 1)
    table = read_table(tmp_path, SERIES)
    assert table["recent"].to_pylist() == [False] * 288 + [True] * 288
    newer = write_month(tmp_path, SERIES, "2024-01", [recent_part(DAYS[1])], complete=False)
    assert newer == month
    filed = write_month(tmp_path, SERIES, "2024-01", [part(DAYS[1])], complete=False)
    assert filed.recent_rows == 0 and read_table(tmp_path, SERIES).drop(["recent"]) == table.drop(["recent"])


def test_recent_bars_count_wherever_they_lie(tmp_path: Path) -> None:
    """A day's file may be late, or refused, and the next day's come: the recent bars before it still speak for theirs."""
    half = b"".join(klines_csv(DAYS[4]).splitlines(keepends=True)[:144])
    noon_ns = source_span_ns(DAYS[4])[0] + 144 * SERIES.interval_ns
    some = replace(recent_part(DAYS[4], half), end_ns=noon_ns)
    write_month(tmp_path, SERIES, "2024-01", [some], complete=False)
    month = write_month(tmp_path, SERIES, "2024-01", [part(DAYS[5])], complete=False)
    manifest = read_manifest(tmp_path, SERIES)
    assert manifest.months["2024-01"] == month and month.gaps == ()
    assert covered_ns(manifest) == [(source_span_ns(DAYS[4])[0], noon_ns), source_span_ns(DAYS[5])]
    assert uncovered_ns(manifest, *month_span_ns("2024-01")) == [
        (month_span_ns("2024-01")[0], source_span_ns(DAYS[4])[0]),
        (noon_ns, source_span_ns(DAYS[5])[0]),
        (source_span_ns(DAYS[5])[1], month_span_ns("2024-01")[1]),
    ]
    assert "1 hole not fetched" in stored(tmp_path, SERIES)
    health = health_of(tmp_path, SERIES)
    assert (health.bars, health.expected) == (432, 432)
    whole = write_month(tmp_path, SERIES, "2024-01", [part(DAYS[4])], complete=False)
    assert (whole.recent, whole.recent_rows) == ((), 0)
    older = replace(manifest, months={"2024-01": replace(month, recent=(), sources=())})  # as written without them
    assert covered_ns(older) == [(source_span_ns(DAYS[4])[0], source_span_ns(DAYS[5])[1])]


def test_what_is_odd_about_recent_bars_is_noted_until_they_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = klines_csv(DAYS[0]).splitlines(keepends=True)
    name, twice = "spot/BTCUSDT/5m 2024-01, recent", b"".join([*lines, lines[-1]])
    start_ns, end_ns = source_span_ns(DAYS[0])
    odd = Part(
        source=None,
        parsed=parse_klines(twice, name=name, interval="5m", start_ns=start_ns, end_ns=end_ns),
        start_ns=start_ns,
        end_ns=end_ns,
    )
    for _ in range(2):
        month = write_month(tmp_path, SERIES, "2024-01", [odd], complete=False)
        assert month.repairs == odd.parsed.repairs and len(month.repairs) == 1
    assert [record.getMessage() for record in caplog.records] == list(month.repairs)
    assert write_month(tmp_path, SERIES, "2024-01", [part(DAYS[0])], complete=False).repairs == ()


def test_a_complete_month_speaks_for_all_of_it(tmp_path: Path) -> None:
    """Its last day never came: that is a gap like one in its middle."""
    month = write_month(tmp_path, SERIES, "2024-01", [part(name) for name in DAYS[:-1]], complete=True)
    assert [(gap.start, gap.bars) for gap in month.gaps] == [("2024-01-31T00:00:00Z", 288)]
    assert covered_ns(read_manifest(tmp_path, SERIES)) == [month_span_ns("2024-01")]


def test_a_revised_file_is_noted_and_its_rows_are_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store_months(tmp_path, "2024-01")
    revised = MONTH_CSV.replace(b".", b"1.", 0).splitlines(keepends=True)
    new = part(MONTH, b"".join(revised[:-1]), sha256="1" * 64)
    month = write_month(tmp_path, SERIES, "2024-01", [new], complete=True)
    (revision,) = read_manifest(tmp_path, SERIES).revisions
    assert (revision.name, revision.old, revision.new) == (MONTH, "0" * 64, "1" * 64)
    assert month.rows == 8927 and month.sources[0].sha256 == "1" * 64
    assert any("published anew" in record.getMessage() for record in caplog.records)
    write_month(tmp_path, SERIES, "2024-01", [new], complete=True)
    assert len(read_manifest(tmp_path, SERIES).revisions) == 1


def test_the_manifest_as_json(tmp_path: Path) -> None:
    store_months(tmp_path, "2024-02", "2024-01")
    text = (SERIES.folder(tmp_path) / "manifest.json").read_text()
    values = json.loads(text)
    assert values["schema"] == 1 and list(values["months"]) == ["2024-01", "2024-02"]
    month = values["months"]["2024-01"]
    assert month["sha256"] == sha256(SERIES.parquet(tmp_path, "2024-01").read_bytes()).hexdigest()
    assert {"rows", "sha256", "complete", "sources", "gaps", "repairs", "recent_rows"} <= set(month)
    assert read_manifest(tmp_path, SERIES).json() == text
    schema = pq.read_schema(SERIES.parquet(tmp_path, "2024-01"))
    assert str(schema.field("open_time").type) == "timestamp[ms, tz=UTC]" and schema.names[-1] == "recent"


def test_a_file_that_somebody_changed_is_no_base(tmp_path: Path) -> None:
    write_month(tmp_path, SERIES, "2024-01", [part(DAYS[0])], complete=False)
    path = SERIES.parquet(tmp_path, "2024-01")
    path.write_bytes(path.read_bytes()[:-10])
    for broken in (
        lambda: read_table(tmp_path, SERIES),
        lambda: write_month(tmp_path, SERIES, "2024-01", [part(DAYS[1])], complete=False),
    ):
        with pytest.raises(UserError, match="is not the file that was written") as refused:
            broken()
        assert (
            "delete that file and fetch the month again: python -m botscalp.ingest symbols=[BTCUSDT] interval=5m"
            in refused.value.remedy
        )
    path.unlink()
    assert read_manifest(tmp_path, SERIES).months == {}
    assert write_month(tmp_path, SERIES, "2024-01", [part(DAYS[1])], complete=False).rows == 288


def test_a_manifest_of_another_series_or_none_is_refused(tmp_path: Path) -> None:
    store_months(tmp_path, "2024-01")
    path = SERIES.folder(tmp_path) / "manifest.json"
    whole = path.read_text()
    for wrong, problem in (
        (whole[:500], "is no manifest of schema 1"),
        (whole.replace('"schema": 1', '"schema": 2'), "is of schema 2"),
        (whole.replace("BTCUSDT", "ETHUSDT"), "is of schema 1 and spot/ETHUSDT/5m"),
    ):
        path.write_text(wrong)
        with pytest.raises(UserError, match=problem):
            read_manifest(tmp_path, SERIES)


def test_funding(tmp_path: Path) -> None:
    series = Series(market="um", symbol="BTCUSDT", interval=FUNDING)
    start_ns, end_ns = month_span_ns("2024-01")
    rows = parse_funding(
        b"1704067200000,0.00037409\n1704096000007,-0.0001\n", name="x", start_ns=start_ns, end_ns=end_ns
    )
    month = write_month(
        tmp_path, series, "2024-01", [Part(source=None, parsed=rows, start_ns=start_ns, end_ns=end_ns)], complete=False
    )
    assert (month.rows, month.gaps, month.recent_rows) == (2, (), 2)
    assert read_table(tmp_path, series).column_names == ["funding_time", "funding_rate", "recent"]


@pytest.mark.parametrize("moment", ["before the manifest", "after the manifest"])
def test_what_a_killed_process_leaves_is_settled(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before the manifest's rename the month is the old one, stopped after it the new one."""
    old = write_month(tmp_path, SERIES, "2024-01", [part(DAYS[0])], complete=False)
    rename = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if path.name.startswith("2024-01" if moment == "after the manifest" else "manifest"):
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", killed)
        write_month(tmp_path, SERIES, "2024-01", [part(DAYS[1])], complete=False)
    assert list(SERIES.folder(tmp_path).glob("*.pending"))
    month = read_manifest(tmp_path, SERIES).months["2024-01"]
    assert month == old if moment == "before the manifest" else month.rows == 576
    assert len(read_table(tmp_path, SERIES)) == month.rows
    assert not list(SERIES.folder(tmp_path).glob("*.pending"))
    assert write_month(tmp_path, SERIES, "2024-01", [part(DAYS[1])], complete=False).rows == 576


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from csvs import SERIES, klines_csv, part
from botscalp.archive.writing import write_month
import pyarrow.csv, pyarrow.parquet, pydantic, filelock
print("ready", flush=True)
for day in {days}:
    name = f"BTCUSDT-5m-2024-01-{{day:02d}}.zip"
    data = b"".join(klines_csv(name).splitlines(keepends=True)[{without}:])
    write_month(Path({store!r}), SERIES, "2024-01", [part(name, data)], complete=False)
    print("written", flush=True)
"""


def writer(store: Path, days: list[int], *, without: int = 0) -> subprocess.Popen[bytes]:
    """A process that writes these days one after the other, each without its first bars, once it has said "ready"."""
    code = WRITER.format(tests=str(Path(__file__).parent), days=days, store=str(store), without=without)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def test_two_processes_write_one_month(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "both", list(range(first, 32, 2))) for first in (1, 2)]
    seen = []
    while any(process.poll() is None for process in processes):
        seen.append(rows_read(tmp_path / "both"))
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    write_month(tmp_path / "one", SERIES, "2024-01", [part(name) for name in DAYS], complete=False)
    months = [read_manifest(tmp_path / name, SERIES).months["2024-01"] for name in ("both", "one")]
    assert months[0] == months[1]
    assert seen == sorted(seen) and len(set(seen)) > 1, "a reader sees it grow"
    assert len(read_table(tmp_path / "both", SERIES)) == 8928


def rows_read(store: Path) -> int:
    """What a reader finds while others write: always a whole state, never an error about a damaged file."""
    if not read_manifest(store, SERIES).months:
        return 0
    return len(read_table(store, SERIES))


@pytest.mark.slow
def test_killed_at_thirty_moments_and_gone_on(tmp_path: Path) -> None:
    """SIGKILL while days are written; each restart finds a whole store, and the last one the same as undisturbed."""
    rng = np.random.default_rng(0)
    store = tmp_path / "killed"
    left = set()
    for round_ in range(1, 31):
        process = writer(store, [int(day) for day in rng.permutation(np.arange(1, 32))], without=round_)
        assert process.stdout is not None
        for _ in range(rng.integers(2, 8)):
            before = time.perf_counter()
            assert process.stdout.readline() == b"written\n"
        # Somewhere in the next day, which takes as long as the last one.
        time.sleep(rng.uniform(0, time.perf_counter() - before))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        left |= {path.name for path in SERIES.folder(store).glob("*.pending")}
        months = read_manifest(store, SERIES).months
        assert rows_read(store) == sum(month.rows for month in months.values())
        assert not list(SERIES.folder(store).glob("*.pending"))
    assert "2024-01.parquet.pending" in left, "some were killed in the middle of a month"
    process = writer(store, list(range(1, 32)))
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    write_month(tmp_path / "one", SERIES, "2024-01", [part(name) for name in DAYS], complete=False)
    assert read_manifest(store, SERIES).months == read_manifest(tmp_path / "one", SERIES).months
    assert SERIES.parquet(store, "2024-01").read_bytes() == SERIES.parquet(tmp_path / "one", "2024-01").read_bytes()
