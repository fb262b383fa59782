"""Processes that record runs at once, as `train` does but without training: what they say, and what the store then holds."""

import json
import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from threading import BrokenBarrierError
from typing import TYPE_CHECKING

from botscalp.pipeline.ledger import LEDGER
from botscalp.pipeline.tracking import MlflowTracking, TrackedResult, TrackedWindow
from botscalp.pipeline.tracking.colours import COLOUR, COLOURS
from botscalp.pipeline.tracking.store import client_of
from tests.tracked import new_run, runs_at

if TYPE_CHECKING:
    from mlflow.entities import Run

STUDIES = ("same", "same", "same", "other")
"""of the processes, in turn"""
WINDOWS = 3
EPOCHS = 4
PATIENCE_S = 300.0
NAMES = ("auc", "brier_skill", "log_loss", "ece", "accuracy")
"""metrics of a window, and of a run"""


@dataclass(frozen=True)
class Recorded:
    """What a store holds of runs that were recorded in it, and what their processes said."""

    failures: Sequence[str]
    """tracebacks"""
    closed_alive: int
    """runs that were no longer RUNNING while their process lived"""
    statuses: Sequence[str]
    """of the runs, without their windows"""
    running: int
    """runs and windows that nobody ended"""
    windows: int
    lost_metrics: int
    """values that are absent or other ones"""
    ledger_lines: int
    """whole ones"""
    torn_lines: int
    crowded: int
    """how many more runs of a study have its most frequent colour than its rarest; 1 where each took a rarest one"""
    warnings: Sequence[str]
    """of botscalp's own"""


@contextmanager
def recording(store: Path, count: int, *, victims: int = 0) -> Iterator[list[Recorded]]:
    """That many processes that begin at the same moment in a folder without a store; the list is filled when the block ends.

    The block runs while all their runs are open. `victims` of them are killed by then; a newcomer begins after that, and
    closes what they left.
    """
    context = _context()
    begin, opened = context.Barrier(count), context.Barrier(count + 1)
    release = context.Event()
    store.mkdir(parents=True)
    arguments = [(store, number, begin, opened, release, number < victims) for number in range(count)]
    processes = [context.Process(target=_record, args=one) for one in arguments]
    found: list[Recorded] = []
    try:
        for process in processes:
            process.start()
        with suppress(BrokenBarrierError):  # one of them failed, and says so
            opened.wait(PATIENCE_S)
        for process in processes[:victims]:
            process.join(PATIENCE_S)
        if victims:
            processes.append(_newcomer(context, store, count))
        yield found
    finally:
        release.set()
        for process in processes:
            process.join(PATIENCE_S)
    killed = [number for number, process in enumerate(processes) if process.exitcode == -signal.SIGKILL]
    answers = [_said(store, number) for number in range(len(processes)) if number not in killed]
    found.append(_recorded(store, answers))


def _newcomer(context: ForkServerContext, store: Path, number: int) -> ForkServerProcess:
    """A process that begins and ends now, among the living and the dead."""
    alone, opened, release = context.Barrier(1), context.Barrier(1), context.Event()
    release.set()
    process = context.Process(target=_record, args=(store, number, alone, opened, release, False))
    process.start()
    process.join(PATIENCE_S)
    return process


def _record(store: Path, number: int, begin: Barrier, opened: Barrier, release: Event, victim: bool) -> None:
    """One process, which leaves a file: empty when all is well, "closed" where its run was ended for it, else what went wrong."""
    files = store / "files" / str(number)
    files.mkdir(parents=True)
    said = files / "said"
    try:
        logging.basicConfig(filename=files / "log", level=logging.WARNING)
        begin.wait(PATIENCE_S)
        with MlflowTracking().run(new_run(files, store=store, study=STUDIES[number % 4], name=str(number))) as run:
            run.log_window(_window(number, 0))
            opened.wait(PATIENCE_S)
            if victim:
                os.kill(os.getpid(), signal.SIGKILL)
            for index in range(1, WINDOWS):
                run.log_window(_window(number, index))
            release.wait(PATIENCE_S)
            alive = run.writer.client.get_run(run.writer.run_id).info.status == "RUNNING"
            run.search([float(number)])
            run.log_result(TrackedResult(metrics=_metrics(number), tags={"verdict": "REJECTED"}), files)
        said.write_text("" if alive else "closed")
    except BaseException:
        said.write_text(traceback.format_exc())
        for barrier in (begin, opened):  # nobody waits for this one
            barrier.abort()


def _window(number: int, index: int) -> TrackedWindow:
    history = [{"val/loss": value(number, index, epoch)} for epoch in range(EPOCHS)]
    metrics = {f"test/{name}": value(number, index, position) for position, name in enumerate(NAMES)}
    return TrackedWindow(
        index=index, test_start_ns=index * 10**15, name=f"{number} w{index}", history=history, metrics=metrics
    )


def _metrics(number: int) -> dict[str, float]:
    return {f"test/{name}": value(number, WINDOWS, position) for position, name in enumerate(NAMES)}


def value(number: int, index: int, position: int) -> float:
    """One that no other process, window or metric has."""
    return number + index / 10 + position / 1000


def _said(store: Path, number: int) -> str:
    said = store / "files" / str(number) / "said"
    return said.read_text() if said.exists() else f"process {number} did not end by itself"


def _recorded(store: Path, answers: Sequence[str]) -> Recorded:
    client = client_of(store)
    runs, windows = runs_at(client, "study"), runs_at(client, "window")
    studies = {run.info.experiment_id for run in runs}
    lost = 0
    for run in runs:
        if run.info.status == "FINISHED":
            number = int(run.info.run_name)
            lost += sum(run.data.metrics.get(name) != wanted for name, wanted in _metrics(number).items())
            for position, name in enumerate(NAMES):
                steps = client.get_metric_history(run.info.run_id, f"window/test/{name}")
                wanted_steps = [(index, value(number, index, position)) for index in range(WINDOWS)]
                lost += len(set(wanted_steps) - {(step.step, step.value) for step in steps})
    for window in windows:
        number, index = (int(part) for part in window.info.run_name.split(" w"))
        lost += sum(window.data.metrics.get(name) != wanted for name, wanted in _window(number, index).metrics.items())
        epochs = {(step.step, step.value) for step in client.get_metric_history(window.info.run_id, "val/loss")}
        lost += len({(epoch, value(number, index, epoch)) for epoch in range(EPOCHS)} - epochs)
    lines = (store / LEDGER).read_text().splitlines()
    whole = [line for line in lines if _is_json(line)]
    return Recorded(
        failures=[answer for answer in answers if answer not in ("", "closed")],
        closed_alive=answers.count("closed"),
        statuses=sorted(run.info.status for run in runs),
        running=sum(run.info.status == "RUNNING" for run in [*runs, *windows]),
        windows=len(windows),
        lost_metrics=lost,
        ledger_lines=len(whole),
        torn_lines=len(lines) - len(whole),
        crowded=max(map(_crowded, ([run for run in runs if run.info.experiment_id == study] for study in studies))),
        warnings=[line for path in (store / "files").glob("*/log") for line in path.read_text().splitlines()],
    )


def _crowded(runs: "Sequence[Run]") -> int:
    shares = [sum(run.data.tags.get(COLOUR) == colour for run in runs) for colour in COLOURS]
    return max(shares) - min(shares)


def _is_json(line: str) -> bool:
    try:
        return bool(json.loads(line)["run_id"])
    except ValueError:
        return False


def _context() -> ForkServerContext:
    """Processes that are forked from one which has imported what they need: they begin at once, and each is its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "mlflow", "mlflow.store.tracking.sqlalchemy_store", "pandas"])
    return context
