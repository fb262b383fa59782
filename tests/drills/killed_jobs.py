"""Sweeps, ingests and re-scores that are killed and typed again."""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from botscalp.data.manifest import Series
from botscalp.data.store import read_bars, read_manifest, stored_series
from tests.archive.published import publish, snapshot
from tests.archive.server import ArchiveServer
from tests.drills.killed_runs import fits_in, made_anew
from tests.drills.kills import finished, killed_when, started
from tests.runs import Run

JOBS = ("-m", "model=linear,gru", "label.horizon=3,6")
"""four of them"""


@dataclass(frozen=True)
class SweepAgain:
    """A sweep that was killed, typed again with resume=true each time, and came to its end."""

    jobs: list[Run]
    caught_at: list[int]
    """the number of the job at which each kill found it"""
    fitted_again: set[str]


def sweep_killed(words: Sequence[str], cwd: Path, *, kills: int, job_s: float, seed: int) -> SweepAgain:
    """Kill it at random moments of each job in turn, of the first ones more often."""
    rng = random.Random(seed)
    cwd.mkdir()
    fits, anew, caught_at = fits_in(cwd), set[str](), list[int]()
    for job in sorted(number % 4 for number in range(kills)):
        before = _ended(cwd)
        process = started("train", [*words, *["resume=true"] * bool(caught_at)], cwd)
        if killed_when(process, lambda before=before, job=job: _ended(cwd) - before >= job, rng.uniform(0, job_s)):
            caught_at.append(_ended(cwd) - before)
            print(f"sweep kill {len(caught_at)}: at job {caught_at[-1]}", flush=True)
        anew |= made_anew(fits, fits := fits_in(cwd))
    folder = finished("train", [*words, "resume=true"], cwd)
    return SweepAgain([Run(folder / str(job)) for job in range(4)], caught_at, anew | made_anew(fits, fits_in(cwd)))


def _ended(cwd: Path) -> int:
    """Jobs that came to a summary, of all sweeps so far."""
    return len(list(cwd.glob("mlruns/runs/*/*/*/summary.json")))


@dataclass(frozen=True)
class IngestAgain:
    """An ingest that was killed and typed again until it came to its end."""

    same: bool
    """as one that nobody disturbed"""
    moments: int
    """different ones, by what the kills left"""
    kills: int
    fetched_again: list[str]
    """files of months that were in the store already"""


def published_series(server: ArchiveServer, months: int) -> list[str]:
    """Two symbols' months and days of one more, and the words that ask for them."""
    days = [f"2024-{months + 1:02}-{day:02}" for day in range(1, 9)]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        series = Series(market="spot", symbol=symbol, interval="1h")
        publish(server, *(f"2024-{month:02}" for month in range(1, months + 1)), *days, series=series)
    span = ["start=2024-01", f"end=2024-{months + 1:02}", f"base_url={server.url}", "recent=false"]
    return ["symbols=[BTCUSDT,ETHUSDT]", "interval=1h", *span]


def ingest_killed(server: ArchiveServer, words: Sequence[str], cwd: Path, *, kills: int, seed: int) -> IngestAgain:
    """Kill it some time after one of its requests: while it plans, downloads, parses or writes."""
    rng = random.Random(seed)
    calm, cwd = cwd / "calm", cwd / "killed"
    for folder in (calm, cwd):
        folder.mkdir(parents=True)
    began = time.monotonic()
    finished("ingest", words, calm)
    calm_s = time.monotonic() - began
    for path in server.files:
        server.faults[path] = ["always slow"]
    left, again, killed = set[tuple[str, ...]](), list[str](), 0
    reference, same = snapshot(calm / "bars"), True
    while killed < kills:
        there, heard = _months_there(cwd / "bars"), len(server.requests)
        process = started("ingest", words, cwd)
        files = rng.randint(0, 2 * len(server.files) // kills)  # 0: while it plans
        asked_for = partial(_asked_for, server, heard, files)
        due = killed_when(process, asked_for, rng.uniform(0, rng.choice((0.3, calm_s / 2))))
        again += _fetched(server, heard) & there
        if not due:  # all is there: the rest of the kills fall on another store
            same = same and snapshot(cwd / "bars") == reference
            cwd = cwd.with_name(f"killed{killed}")
            cwd.mkdir()
            continue
        killed += 1
        check_what_a_kill_left(cwd / "bars")
        left.add(tuple(sorted(str(path.relative_to(cwd)) for path in cwd.rglob("*"))))
        print(f"ingest kill {killed}: {len(_months_there(cwd / 'bars'))} files read into the store", flush=True)
    there, heard = _months_there(cwd / "bars"), len(server.requests)
    finished("ingest", words, cwd)
    again += _fetched(server, heard) & there
    return IngestAgain(same and snapshot(cwd / "bars") == reference, len(left), killed, again)


def _months_there(store: Path) -> set[str]:
    """The names of the files that the store has read."""
    if not store.exists():
        return set()
    return {
        source.name
        for series in stored_series(store)
        for month in read_manifest(store, series).months.values()
        for source in month.sources
    }


def _asked_for(server: ArchiveServer, since: int, files: int) -> bool:
    return len(server.requests) > since and len(_fetched(server, since)) >= files


def _fetched(server: ArchiveServer, since: int) -> set[str]:
    requests = server.requests[since:]
    return {path.rpartition("/")[2] for method, path, _ in requests if method == "GET" and path.endswith(".zip")}


def check_what_a_kill_left(store: Path) -> None:
    """Whatever has a final name is whole: manifests, months that they describe."""
    for path in store.rglob("manifest.json"):
        json.loads(path.read_text())
    for path in store.rglob("*.parquet"):
        pq.read_table(path)
    for series in stored_series(store):
        if read_manifest(store, series).months:
            read_bars(store, series)


@dataclass(frozen=True)
class RescoreAgain:
    """A re-scoring that was killed and typed again."""

    same: bool
    """as one that nobody disturbed"""
    original_untouched: bool
    kills: int


def rescore_killed(run: Run, words: Sequence[str], cwd: Path, *, kills: int, lasts_s: float, seed: int) -> RescoreAgain:
    """Kill it at random moments of its life, then let it come to its end and hold it against the first."""
    rng = random.Random(seed)
    words = [f"run={run.folder}", *words]
    before = contents(run.folder)
    first = finished("backtest", words, cwd)
    killed = 0
    while killed < kills:
        process = started("backtest", words, cwd)
        killed += killed_when(process, lambda: True, rng.uniform(0, lasts_s))
    again = finished("backtest", words, cwd)
    return RescoreAgain(contents(first) == contents(again), contents(run.folder) == before, killed)


def contents(folder: Path) -> dict[str, str]:
    """Hashes of the folder's files by their names; its log is of its own time."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "log.txt"
    }


def by_number(numbers: Sequence[int]) -> str:
    """How many of each; a kill at job 4 of four found all of them ended, and the sweep about to say so."""
    return ", ".join(f"{count} at job {number}" for number, count in sorted(Counter(numbers).items()))
