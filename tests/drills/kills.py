"""Kill a command and its children at a chosen moment of its life, and say afterwards in what it was caught."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.runs import arguments

STAGES = ("start-up", "data", "tracking", "fit", "window save", "logging", "backtest", "report", "upload")
"""of a run, in the order in which they begin; a window is saved and logged between fits, and tracking begins on a store that
may have to be made first"""
POLL_S = 0.002
DEADLINE_S = 300


@dataclass(frozen=True)
class Moment:
    """When to kill a run."""

    stage: str
    windows: int
    """that are to be logged before; where there are none of the stage any more, the next stage that comes"""
    share: float
    """of the time that the stage took undisturbed"""


@dataclass(frozen=True)
class Kill:
    """What came of it."""

    stage: str
    """in which the run was caught"""


class Watched:
    """A run that is watched from outside, by the files it leaves in its store."""

    def __init__(self, words: Sequence[str], cwd: Path, *, windows: int) -> None:
        self.store, self.windows = cwd / "mlruns", windows
        self._runs_before, self._asides_before, self._records_before = self._runs(), self._asides(), self._records()
        self.process = started("train", words, cwd)
        self._folder: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Of the run; None until it has one."""
        if self._folder is None:
            self._folder = next(iter(self._runs() - self._runs_before), None)
        return self._folder

    def logged(self) -> int:
        """Windows that the run has said a line of."""
        return len(re.findall(r"terminal: window +\d+ \(", self._log()))

    def stage(self) -> str:
        """In which it seems to be."""
        folder = self.folder
        if folder is None or not (folder / "config.yaml").exists():
            return "start-up"
        if (folder / "summary.json").exists():
            return "upload"
        if (folder / "predictions.parquet").exists():
            return "report"
        if self.logged() == self.windows:
            return "backtest"
        if self._asides() - self._asides_before:
            return "window save"
        if self._records() - self._records_before:
            return "fit"
        return "tracking" if "  model  " in self._log() else "data"

    def caught_in(self) -> str:
        """`stage` of a dead one, whose record says whether it was about to log a window."""
        stage = self.stage()
        return "logging" if stage in ("fit", "backtest") and self._recorded() < self.logged() else stage

    def killed(self, moment: Moment, lasts_s: dict[str, float]) -> Kill | None:
        """Kill it then; None where it came to its end before."""
        after_s = moment.share * lasts_s[moment.stage]
        return Kill(self.caught_in()) if killed_when(self.process, lambda: self._reached(moment), after_s) else None

    def _reached(self, moment: Moment) -> bool:
        stage = self.stage()
        if moment.stage == "logging" and self.logged() > moment.windows:
            return True
        early = stage in ("fit", "window save") and self.logged() < moment.windows
        return STAGES.index(stage) >= STAGES.index(moment.stage) and not early

    def measured(self) -> dict[str, float]:
        """Let it run to its end, and say how long each stage took."""
        seen: dict[str, float] = {}
        while self.process.poll() is None:
            seen.setdefault(self.stage(), time.monotonic())
            time.sleep(POLL_S)
        assert self.process.returncode == 0, f"exit code {self.process.returncode}"
        whole = [(stage, seen[stage]) for stage in STAGES if stage in seen and stage != "window save"]
        ends = [at for _, at in whole[1:]] + [time.monotonic()]
        lasts_s = {stage: after - at for (stage, at), after in zip(whole, ends, strict=True)}
        a_window = lasts_s["fit"] / self.windows
        return lasts_s | {"fit": a_window, "window save": 0.01, "logging": min(0.05, a_window)}

    def _log(self) -> str:
        path = self.folder and self.folder / "log.txt"
        return path.read_text() if path and path.exists() else ""

    def _runs(self) -> set[Path]:
        return set(self.store.glob("runs/*/*"))

    def _asides(self) -> set[Path]:
        return set(self.store.glob("windows/.*-*"))

    def _records(self) -> set[Path]:
        """The artifacts of runs that have begun; a run's config is one from the start."""
        return set(self.store.glob("artifacts/*/*"))

    def _recorded(self) -> int:
        """Windows that MLflow has whole of the newest run."""
        query = """
            select count(*) from runs child join tags parent on parent.run_uuid = child.run_uuid
            where parent.key = 'mlflow.parentRunId' and child.status = 'FINISHED' and parent.value = (
                select run.run_uuid from runs run join tags level on level.run_uuid = run.run_uuid
                where level.key = 'level' and level.value = 'study' order by run.start_time desc limit 1)"""
        return int(asked(self.store, query)[0][0])


def started(name: str, words: Sequence[str], cwd: Path) -> "subprocess.Popen[str]":
    """The command in a process group of its own, what it says in a file."""
    with (cwd / "said").open("a") as said:
        return subprocess.Popen(
            arguments(name, *words), cwd=cwd, stdout=said, stderr=said, text=True, start_new_session=True
        )


def killed_when(process: "subprocess.Popen[str]", due: Callable[[], bool], after_s: float) -> bool:
    """SIGKILL for it and its children, so long after that is so; whether it was before its end."""
    began = time.monotonic()
    while process.poll() is None and not due():
        assert time.monotonic() < began + DEADLINE_S, "the moment never came"
        time.sleep(POLL_S)
    until = time.monotonic() + after_s
    while process.poll() is None and time.monotonic() < until:
        time.sleep(POLL_S)
    if process.poll() is not None:
        assert process.returncode == 0, f"it ended by itself with {process.returncode}"
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def finished(name: str, words: Sequence[str], cwd: Path) -> Path:
    """The folder that the command names last, when it has come to its end."""
    done = subprocess.run(arguments(name, *words), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def asked(store: Path, query: str) -> list[tuple[object, ...]]:
    """What the tracking store answers, on a copy: what a kill left half done is botscalp's to repair."""
    with tempfile.TemporaryDirectory() as folder:
        for path in store.glob("mlflow.db*"):
            shutil.copy(path, folder)
        if not (copy := Path(folder) / "mlflow.db").exists():
            return [(0,)]
        with closing(sqlite3.connect(copy)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:  # killed before its tables were made
                return [(0,)]
