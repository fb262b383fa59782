"""Trains whose tracking database is lost, spoilt or locked in the middle, and commands that bring it up to date and are killed."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.drills.full_disks import SMALL
from tests.drills.page import Finding
from tests.forked import Done, forked
from tests.runs import Run

WORDS = (*SMALL, "data.end=2023-02-20", "wfo.windows=3", "report=false")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a run whose tracking failed, and what MLflow knows of it in the end."""

    trouble: str
    done: Done
    verdict: str
    spooled: bool
    runs: Sequence[tuple[str, str, int]]
    """verdict, status and windows of each"""
    kills: int
    """of commands in the middle of recording it"""
    left: int
    """files in the spool at the end"""

    @property
    def finished(self) -> bool:
        """Whether the run ended well, and said once that its record is kept."""
        said = self.done.stdout + self.done.stderr
        return self.done.code == 0 and "Traceback" not in said and said.count("the run goes on; its record") == 1

    @property
    def recorded(self) -> bool:
        """Whether all of it is in MLflow, once."""
        return self.spooled and not self.left and self.runs == [(self.verdict, "FINISHED", 3)]


@contextmanager
def removed(store: Path) -> Iterator[None]:
    """The database is deleted."""
    (store / "mlflow.db").unlink()
    yield


@contextmanager
def moved(store: Path) -> Iterator[None]:
    """It is moved away, and comes back when the run is over."""
    (store / "mlflow.db").rename(store / "away")
    yield
    (store / "away").rename(store / "mlflow.db")


@contextmanager
def overwritten(store: Path) -> Iterator[None]:
    """Something else is written over it; it is moved away when the run is over."""
    with (store / "mlflow.db").open("r+b") as file:
        file.write(b"no database " * 500_000)
    yield
    (store / "mlflow.db").rename(store / "spoilt")


@contextmanager
def replaced(store: Path) -> Iterator[None]:
    """Another file takes its place, an empty database."""
    (store / "mlflow.db").unlink()
    sqlite3.connect(store / "mlflow.db").close()
    yield


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """This process holds it until the run is over."""
    connection = sqlite3.connect(store / "mlflow.db", isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


TROUBLES = (removed, moved, overwritten, replaced, locked)


def troubled(
    folder: Path, fresh: Path, trouble: Callable[[Path], "contextmanager[None]"], *, killing: bool = False
) -> Told:
    """A train that meets the trouble once its first fit is done; what the next command on the store makes of it.

    Args:
        killing: whether commands that bring the store up to date are killed, until one is done before it is killed.
    """
    store = folder / "mlruns"
    shutil.copytree(fresh, store)
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(partial(forked, "train", WORDS, cwd=folder))
        while not list((store / "windows").glob("[!.]*")) and not training.done():
            time.sleep(0.01)
        with trouble(store):
            done = training.result()
    spooled = bool(list((store / "spool").glob("*")))
    kills = _killed_while_recording(store) if killing else 0
    forked("compare", ("study=botscalp",), cwd=folder)
    left = len(list((store / "spool").glob("*")))
    verdict = Run(done.folder).summary["verdict"]["outcome"] if done.code == 0 else ""
    told = Told(
        trouble=trouble.__name__, done=done, verdict=verdict, spooled=spooled, runs=_runs(store), kills=kills, left=left
    )
    print(
        f"  database {told.trouble}: {done.code}, spooled {spooled}, then {told.runs}, {kills} kills, {left} left",
        flush=True,
    )
    if not (told.finished and told.recorded):
        print(done.stdout[-3000:], done.stderr[-3000:], flush=True)
    return told


def _killed_while_recording(store: Path) -> int:
    """Kill commands after ever more time, until nothing is left for them to record; how many had begun to."""
    kills, after_s = 0, 0.2
    while list((store / "spool").glob("*.jsonl")):
        before = _changed_ns(store)
        forked("compare", ("study=botscalp",), cwd=store.parent, longest_s=after_s)
        kills += _changed_ns(store) != before and bool(list((store / "spool").glob("*.jsonl")))
        after_s += 0.15
    return kills


def _changed_ns(store: Path) -> int:
    database = store / "mlflow.db"
    return database.stat().st_mtime_ns if database.exists() else 0


def _runs(store: Path) -> list[tuple[str, str, int]]:
    from botscalp.pipeline.tracking.store import client_of

    client = client_of(store.rename(store.with_name("in-the-end")))  # this process may know another file by that name
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    parents = [run for run in runs if run.data.tags.get("level") == "study"]
    windows = [run.data.tags["mlflow.parentRunId"] for run in runs if run.data.tags.get("level") == "window"]
    return [(run.data.tags.get("verdict", ""), run.info.status, windows.count(run.info.run_id)) for run in parents]


def findings_of(told: Sequence[Told], killed: Sequence[Told]) -> list[Finding]:
    """Of trains in trouble, and of those whose replay was killed."""
    kinds = ", ".join(one.trouble for one in told)
    finished = [one for one in told if one.finished]
    recorded = [one for one in told if one.recorded]
    kills = sum(one.kills for one in killed)
    once = [one for one in killed if one.recorded]
    return [
        Finding(
            f"the tracking database is lost in the middle of a train ({kinds}): it ends with its verdict, and warns once",
            f"{len(finished)} of {len(told)}",
            len(finished) == len(told),
        ),
        Finding(
            "the next command on the store records the run whole: FINISHED, each window once, nothing left in the spool",
            f"{len(recorded)} of {len(told)}",
            len(recorded) == len(told),
        ),
        Finding(
            "the same where commands that record it are killed in the middle, and others follow",
            f"{len(once)} of {len(killed)}, after {kills} such kills",
            len(once) == len(killed) and kills > 0,
        ),
    ]
