"""A run that is interrupted goes on where it was, by the command that the message gives; tests/drills/ kills it instead."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runs import TINY, Run, arguments, bits, quiet_libraries, wait_for, walk

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

# Beyond TINY: four windows of two fits, each of which takes long enough to be caught in, also on a busy machine.
LONGER = (
    "data.end=2023-03-06",
    "wfo.windows=4",
    "model.hidden=24",
    "trainer.epochs=12",
    "trainer.patience=12",
    "report=false",
)
LONG = (*TINY, *LONGER)


def finished_windows(store: Path) -> list[str]:
    return sorted(path.name for path in store.glob("windows/[!.]*"))


def interrupted(words: tuple[str, ...], cwd: Path, *, after: int, by: signal.Signals) -> tuple[int, str, list[str]]:
    """Send the signal once that many windows are in the store: exit code, stderr, the windows then there."""
    with open(cwd / "stdout", "w") as stdout:
        process = subprocess.Popen(
            arguments("train", *words), cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, text=True
        )
    wait_for("windows", lambda: len(finished_windows(cwd / "mlruns")) >= after, process=process)
    process.send_signal(by)
    _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr, finished_windows(cwd / "mlruns")


@pytest.fixture(scope="module")
def drill(once: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Any]:
    """Interrupted after the first window; then the printed command, to the end."""

    def make(folder: Path) -> None:
        stopped = interrupted(LONG, folder, after=2, by=signal.SIGINT)
        again = shlex.split(stopped[1].splitlines()[-1].partition("To go on: ")[2])
        done = subprocess.run([sys.executable, *again[1:]], cwd=folder, capture_output=True, text=True)
        made = {"stopped": stopped, "again": again, "done": [done.returncode, done.stdout, done.stderr]}
        (folder / "drill.json").write_text(json.dumps(made))

    folder = once("drill", make)
    return {"folder": folder, **json.loads((folder / "drill.json").read_text())}


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(drill: dict[str, Any]) -> None:
    code, stderr, windows = drill["stopped"]
    assert code == 130, f"{len(windows)} windows, {stderr}"
    assert "Traceback" not in stderr
    (message,) = [line for line in stderr.splitlines() if "To go on: " in line]
    assert message.startswith("interrupted. Finished windows are kept. ")
    assert drill["again"] == ["python", "-m", "botscalp.train", *LONG, "resume=true"]
    assert len(windows) < 8


def test_the_printed_command_finishes_the_run_and_refits_nothing_finished(drill: dict[str, Any]) -> None:
    code, stdout, stderr = drill["done"]
    assert code == 0, stderr
    log = (Path(stdout.splitlines()[-1]) / "log.txt").read_text()
    found = [line.split("found in ")[1].rpartition("/")[2] for line in log.splitlines() if "fit found in" in line]
    assert sorted(found) == drill["stopped"][2]
    assert len(finished_windows(drill["folder"] / "mlruns")) == 8, "four windows of model and baseline, no more"


def test_predictions_are_those_of_a_run_that_nobody_interrupted(drill: dict[str, Any], tmp_path: Path) -> None:
    resumed = Run(Path(drill["done"][1].splitlines()[-1]))
    whole = walk(tmp_path / "run", *LONGER)
    assert bits(resumed.predictions[["p_raw", "p"]]) == bits(whole.predictions[["p_raw", "p"]])
    for window in range(4):
        names = [path.name for path in (resumed.folder / "models" / str(window)).iterdir()]
        assert sorted(names) == ["model.json", "weights.safetensors"]
        weights = [run.folder / "models" / str(window) / "weights.safetensors" for run in (resumed, whole)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.fixture
def mlflow_runs(drill: dict[str, Any]) -> "Iterator[list[MlflowRun]]":
    """All runs of the drill's store, the oldest first."""
    with quiet_libraries():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{drill['folder'] / 'mlruns/mlflow.db'}")
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        yield list(client.search_runs(ids, order_by=["attributes.start_time ASC"]))


def test_mlflow_calls_the_interrupted_run_killed_and_the_last_one_finished(mlflow_runs: "list[MlflowRun]") -> None:
    studies = [run for run in mlflow_runs if run.data.tags["level"] == "study"]
    assert [run.info.status for run in studies] == ["KILLED", "FINISHED"]
    assert "RUNNING" not in {run.info.status for run in mlflow_runs}
    assert all(run.info.end_time for run in mlflow_runs)


def test_the_last_run_has_a_child_for_every_window_reused_or_not(mlflow_runs: "list[MlflowRun]") -> None:
    last = [run for run in mlflow_runs if run.data.tags["level"] == "study"][-1]
    children = [run for run in mlflow_runs if run.data.tags.get("mlflow.parentRunId") == last.info.run_id]
    assert [child.data.tags["window"] for child in children] == ["0", "1", "2", "3"]
    assert all(child.data.metrics["test/auc"] > 0.5 for child in children)


@pytest.mark.slow
def test_a_termination_is_an_interruption_too(tmp_path: Path) -> None:
    code, stderr, _ = interrupted((*LONG, "tracking=none"), tmp_path, after=1, by=signal.SIGTERM)
    assert code == 130 and "resume=true" in stderr


def test_an_interrupt_that_a_destructor_swallows_comes_again() -> None:
    program = """
import signal, time
from botscalp.application import _interrupt_on_signals
from botscalp.errors import Interrupted
class Dying:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)
_interrupt_on_signals()
Dying()
print("swallowed")
try:
    time.sleep(20)
except Interrupted:
    print("and came again")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=15)
    assert (said.stdout.splitlines(), said.stderr) == (["swallowed", "and came again"], "")
