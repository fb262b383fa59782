"""Several fits at once: the same to the last bit as one after another, and no process outlives what it works for."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from runs import TINY, Run, arguments, bits, command, composed, quiet_libraries, wait_for, walk

from botscalp.errors import UserError
from botscalp.pipeline import fitting
from botscalp.pipeline.comparison.row import differences
from botscalp.pipeline.progress import FitProgress
from botscalp.pipeline.workers import Say, Work, done_in_order

TITLES = [f"gru window {number}" for number in range(5)]


class Heard:
    """Writes down what is said."""

    def __init__(self) -> None:
        self.words: list[tuple[Any, ...]] = []

    def started(self, number: int) -> None:
        self.words.append(("started", number))

    def said(self, number: int, *words: Any) -> None:
        self.words.append(("said", number, *words))

    def finished(self, number: int) -> None:
        self.words.append(("finished", number))


def pids_in(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.glob("[0-9]*")]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def numbered(number: int, say: Say) -> None:
    """Picklable."""
    say(number * 10)


@contextmanager
def working(work: Work, heard: Heard, workers: int = 2) -> Iterator[Iterator[None]]:
    with done_in_order(work, TITLES, heard, workers=workers, start="fork") as done:
        yield done


@pytest.mark.parametrize(("workers", "start"), [(1, "fork"), (2, "fork"), (9, "fork"), (2, "spawn")])
def test_every_task_is_done_once_and_heard_of_in_its_order(workers: int, start: Any) -> None:
    heard = Heard()
    with done_in_order(numbered, TITLES, heard, workers=workers, start=start) as done:
        assert list(done) == [None] * 5
    for number in range(5):
        mine = [words for words in heard.words if words[1] == number]
        assert mine == [("started", number), ("said", number, number * 10), ("finished", number)]


def test_two_run_at_once_and_the_first_is_waited_for(tmp_path: Path) -> None:
    """The first one ends only once the second has, in another process."""

    def work(number: int, say: Say) -> None:
        if number == 0:
            wait_for("the first job", (tmp_path / "1").exists)
        (tmp_path / str(number)).write_text(str(os.getpid()))

    with working(work, Heard()) as done:
        list(done)
    processes = {(tmp_path / str(number)).read_text() for number in range(5)}
    assert len(processes) == 2 and str(os.getpid()) not in processes


def test_no_tasks_need_no_workers() -> None:
    with done_in_order(numbered, [], Heard(), workers=4, start="fork") as done:
        assert list(done) == []


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL"),
        (lambda: os._exit(1), "exit code 1"),  # as OpenBLAS does
    ],
)
def test_a_worker_that_is_ended_is_told_by_its_task(end: Callable[[], None], told: str) -> None:
    def work(number: int, say: Say) -> None:
        if number == 2:
            end()

    with pytest.raises(UserError, match=rf"ended at gru window 2 \({told}\)") as error, working(work, Heard()) as done:
        list(done)
    assert error.value.key == "trainer.window_workers" and "resume=true" in error.value.remedy


def test_a_worker_that_leaves_is_missed() -> None:
    def work(number: int, say: Say) -> None:
        os._exit(0)

    with (
        pytest.raises(RuntimeError, match=r"ended at gru window [01] with exit code 0"),
        working(work, Heard()) as done,
    ):
        list(done)


def test_errors_are_those_of_the_task() -> None:
    def refused(number: int, say: Say) -> None:
        raise UserError("trainer.lr", 9, "never finite", "use less")

    def faulty(number: int, say: Say) -> None:
        assert number < 0, "planted"

    with pytest.raises(UserError, match=r"trainer.lr=9: never finite"), working(refused, Heard()) as done:
        list(done)
    with pytest.raises(RuntimeError, match=r"(?s)in faulty.*planted"), working(faulty, Heard()) as done:
        list(done)


def test_whoever_leaves_the_block_ends_the_workers(tmp_path: Path) -> None:
    def work(number: int, say: Say) -> None:
        (tmp_path / str(os.getpid())).touch()
        while True:
            pass

    with pytest.raises(KeyError), working(work, Heard()):
        wait_for("two workers", lambda: len(pids_in(tmp_path)) == 2)
        raise KeyError("elsewhere")
    assert not any(psutil.pid_exists(pid) for pid in pids_in(tmp_path))


ENDLESS = """
import os, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background hand down that it is ignored
from botscalp.pipeline.workers import done_in_order
class Deaf:
    def started(self, number): pass
def work(number, say):
    pathlib.Path(str(os.getpid())).touch()
    while True: sum(range(10_000))
with done_in_order(work, ["a", "b", "c"], Deaf(), workers=3, start="fork") as done:
    next(done)
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(by: signal.Signals, tmp_path: Path) -> None:
    """A process that is killed has no chance to say so; Ctrl-C reaches the workers too, and they leave it to the parent."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for("three workers", lambda: len(pids_in(tmp_path)) == 3)
        if by == signal.SIGINT:
            os.killpg(parent.pid, by)
        else:
            parent.send_signal(by)
        parent.wait(20)
        wait_for("their end", lambda: not any(alive(pid) for pid in pids_in(tmp_path)))
        assert parent.stderr is not None
        assert parent.stderr.read().count("Traceback") == (by == signal.SIGINT), "the parent's own, and no worker's"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return walk(tmp_path_factory.mktemp("serial") / "run")


def assert_same(one: Run, other: Run) -> None:
    """All that the run found, and its models, to the last bit."""
    for name in ("predictions", "validation", "trades", "equity"):
        assert (one.folder / f"{name}.parquet").read_bytes() == (other.folder / f"{name}.parquet").read_bytes()
    for window in (0, 1):
        weights = [run.folder / "models" / str(window) / "weights.safetensors" for run in (one, other)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    assert bits(one.predictions[["p_raw", "p"]]) == bits(other.predictions[["p_raw", "p"]])
    for key in ("metrics", "baselines", "intervals", "settings"):
        assert one.summary[key] == other.summary[key], key


@pytest.mark.parametrize("workers", [2, 3])
def test_how_many_are_fitted_at_once_changes_no_bit(workers: int, serial: Run, tmp_path: Path) -> None:
    assert_same(serial, walk(tmp_path / "run", f"trainer.window_workers={workers}"))


def test_what_was_fitted_by_one_is_found_by_several(tmp_path: Path) -> None:
    """The first window alone is there, then three of four fits; nothing that is there is fitted again."""
    walk(tmp_path / "first", "wfo.windows=1")
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/windows").glob("[!.]*")}
    assert len(stored) == 2
    run = walk(tmp_path / "second", "resume=true", "trainer.window_workers=2")
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    assert len(list((tmp_path / "store/windows").glob("[!.]*"))) == 4
    again = walk(tmp_path / "third", "resume=true", "trainer.window_workers=2")
    assert again.summary["time"]["steps_s"] == 0 and again.summary["time"]["overhead"] == 1
    assert 0 < run.summary["time"]["overhead"] < 1
    assert_same(run, again)


def test_a_fit_that_is_killed_leaves_the_finished_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last fit of four is killed; the others are in the store, and a resumed run fits that one alone."""
    fit_window = fitting.fit_window

    def killed(panel: Any, window: Any, **settings: Any) -> Any:
        if window.index == 1 and type(settings["model"]).__name__ == "Linear":
            wait_for("three windows", lambda: len(list((tmp_path / "store/windows").glob("[!.]*"))) == 3)
            os.kill(os.getpid(), signal.SIGKILL)
        return fit_window(panel, window, **settings)

    monkeypatch.setattr(fitting, "fit_window", killed)
    with pytest.raises(UserError, match=r"linear window 1 \(2/2\)"):
        walk(tmp_path / "run", "trainer.window_workers=2")
    monkeypatch.undo()
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/windows").glob("[!.]*")}
    assert len(stored) == 3
    walk(tmp_path / "run", "trainer.window_workers=2", "resume=true")
    assert {path: path.stat().st_mtime_ns for path in stored} == stored


def test_it_is_no_parameter_by_which_runs_differ() -> None:
    assert composed("trainer.window_workers=4").compared == composed().compared
    configs = [{"trainer": {"lr": lr, "window_workers": workers}} for lr, workers in ((0.1, 1), (0.2, 4))]
    assert differences(configs) == [{"trainer.lr": "0.1"}, {"trainer.lr": "0.2"}]


def test_the_bar_over_all_fits_counts_the_epochs_of_those_that_run() -> None:
    fits = [SimpleNamespace(trainer=SimpleNamespace(epochs=5)), SimpleNamespace(trainer=SimpleNamespace(epochs=3))]
    progress = FitProgress(epochs=8)
    shown = fitting._Shown(SimpleNamespace(fits=fits), progress, at_once=2, at_epoch=lambda: None)  # type: ignore[arg-type]
    seen = []
    for step in (("started", 0), ("started", 1), ("said", 0, 2), ("said", 1, 1), ("said", 0, 3), ("finished", 1)):
        getattr(shown, step[0])(*step[1:], *([{"val/loss": 0.7}] if step[0] == "said" else []))
        seen.append(progress.bars.tasks[0].completed)
    shown.finished(0)
    assert [*seen, progress.bars.tasks[0].completed] == [0, 0, 2, 3, 4, 6, 8]


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_no_process_and_goes_on(by: signal.Signals, tmp_path: Path, serial: Run) -> None:
    words = (*TINY, "report=false", "tracking=none", "trainer.window_workers=2")
    process = subprocess.Popen(
        arguments("train", *words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    wait_for("a window", lambda: list(tmp_path.glob("mlruns/windows/[!.]*")))
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, by) if by == signal.SIGINT else process.send_signal(by)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in stderr
    assert not any(alive(one.pid) for one in family)
    with quiet_libraries():
        done = command("train", *words, "resume=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same(serial, Run(Path(done.stdout.splitlines()[-1])))
