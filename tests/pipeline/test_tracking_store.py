"""How runs end in MLflow's store, and what is found there again; tests/drills has processes that start at once."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import psutil
import pytest
from disks import mounted
from tracked import DATASET, fresh_store, new_run, runs_at

from botscalp.errors import Interrupted, UserError
from botscalp.pipeline.ledger import Search
from botscalp.pipeline.tracking import (
    OWNER,
    MlflowTracking,
    NoTracking,
    TrackedResult,
    TrackedWindow,
    close_orphans,
    finished_runs,
    open_store,
)
from botscalp.pipeline.tracking.orphans import this_process

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def store(once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    return fresh_store(once, tmp_path)


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted(), "KILLED"), (KeyboardInterrupt(), "KILLED"), (ValueError("bug"), "FAILED")]
)
def test_the_status_tells_how_the_block_ended(error: BaseException, status: str, store: Path) -> None:
    from mlflow import MlflowClient

    with (
        pytest.raises(type(error)),
        MlflowTracking().run(new_run(store, params={"model.name": "gru"}, tags={"device": "cpu"})) as run,
    ):
        assert run.location is not None
        run.log_window(
            TrackedWindow(index=0, test_start_ns=0, name="w", history=[{"val/loss": 0.7}], metrics={"test/auc": 0.6})
        )
        raise error
    assert run.location is not None
    client = MlflowClient(tracking_uri=run.location["tracking_uri"])
    recorded = client.get_run(run.location["run_id"])
    assert recorded.info.status == status and recorded.data.tags["device"] == "cpu"
    assert (Path(recorded.info.artifact_uri.removeprefix("file://")) / "config.yaml").read_text() == "seed: 1"
    assert [child.info.status for child in runs_at(client, "window")] == ["FINISHED"]
    metrics = {name: value for name, value in recorded.data.metrics.items() if not name.startswith("system/")}
    assert metrics == {"window/test/auc": 0.6}, "what its windows came to is not lost"


def test_a_run_whose_parameters_are_refused_is_not_left_running(store: Path) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException), MlflowTracking().run(new_run(store, params={"+": "1"})):
        pass
    client, experiment_id, _ = open_store(store, "s")
    assert [run.info.status for run in client.search_runs([experiment_id])] == ["FAILED"]


def test_orphans_are_closed_and_living_runs_are_left(store: Path) -> None:
    """Runs of a process that ended, with its child; of one whose id is reused; of this one; of another machine; of no one."""
    client, experiment_id, _ = open_store(store, "s")
    node, pid, created = this_process().rsplit("/", 2)
    gone = max(psutil.pids()) + 10_000
    owners = {
        "ended": f"{node}/{gone}/{created}",
        "reused": f"{node}/{pid}/1.00",
        "alive": f"{node}/{pid}/{created}",
        "elsewhere": f"another-{node}/{gone}/{created}",
    }
    ids = {
        name: client.create_run(experiment_id, run_name=name, tags={OWNER: owner}).info.run_id
        for name, owner in owners.items()
    }
    ids["child"] = client.create_run(experiment_id, tags={"mlflow.parentRunId": ids["ended"]}).info.run_id
    ids["living child"] = client.create_run(experiment_id, tags={"mlflow.parentRunId": ids["alive"]}).info.run_id
    ids["not ours"] = client.create_run(experiment_id).info.run_id
    close_orphans(client)
    killed = {name for name, run_id in ids.items() if client.get_run(run_id).info.status == "KILLED"}
    assert killed == {"ended", "reused", "child"}
    assert {client.get_run(ids[name]).info.status for name in ids.keys() - killed} == {"RUNNING"}


def test_a_store_that_another_process_writes_to_is_waited_for(store: Path) -> None:
    """For longer than the five seconds after which SQLite gives up by itself."""
    writing = sqlite3.connect(store / "mlflow.db", isolation_level=None, check_same_thread=False)
    writing.execute("BEGIN EXCLUSIVE")
    done = Timer(6.0, lambda: writing.execute("COMMIT"))
    done.start()
    assert open_store(store, "s")[1] == "1"
    done.join()
    writing.close()


def test_a_study_that_was_deleted_is_refused_by_name(store: Path) -> None:
    client, experiment_id, _ = open_store(store, "gone")
    client.delete_experiment(experiment_id)
    with pytest.raises(UserError, match="study=gone") as error:
        open_store(store, "gone")
    assert "restore" in error.value.remedy


def test_a_store_that_holds_no_database_under_its_name_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(UserError, match="unable to open database file") as error:
        open_store(tmp_path, "s")
    assert error.value.key == "store"


def test_a_store_that_is_full_says_what_sqlite_says(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk") as disk:
        store = fresh_store(once, disk.root)
        open_store(store, "s")
        said = []
        for room in range(0, 12 * 4096, 4096):
            with disk.full_but_for(room):
                try:
                    with MlflowTracking().run(new_run(store, params={"p": "x" * 5000}, dataset=DATASET)):
                        pass
                except (UserError, OSError) as error:
                    said.append(str(error))
        assert len(said) > 3 and [one for one in said if "is full" not in one and "No space" not in one] == []


def test_a_run_that_failed_and_one_that_was_deleted_stay_trials(store: Path) -> None:
    with pytest.raises(ValueError, match="bug"), MlflowTracking().run(new_run(store)):
        raise ValueError("bug")
    client, experiment_id, _ = open_store(store, "s")
    for run in client.search_runs([experiment_id]):
        client.delete_run(run.info.run_id)
    with MlflowTracking().run(new_run(store)) as run:
        assert run.search([1.0]) == Search(count=2, sharpe_variance=None)


def test_a_study_s_finished_runs_are_those_that_were_trained(store: Path) -> None:
    """One that failed, one that traded stored predictions again, and one of another study are none of them."""
    files = store / "files"
    files.mkdir()
    for name, tags, study in (
        ("first", {}, "s"),
        ("grid", {"kind": "grid"}, "s"),
        ("other", {}, "t"),
        ("last", {}, "s"),
    ):
        (files / "name").write_text(name)
        with MlflowTracking().run(new_run(store, tags=tags, study=study)) as run:
            run.log_result(TrackedResult(metrics={}), files)
    with pytest.raises(ValueError), MlflowTracking().run(new_run(store)):
        raise ValueError("bug")
    assert [(folder / "name").read_text() for folder in finished_runs(store, "s")] == ["first", "last"]
    for place, study, problem in ((store, "u", "no such study"), (files, "s", "no runs are tracked")):
        with pytest.raises(UserError, match=problem):
            finished_runs(place, study)
    assert not (files / "mlflow.db").exists()


def test_nothing_is_recorded_without_tracking(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with NoTracking().run(new_run(tmp_path, store=folder)) as run:
        run.log_window(TrackedWindow(index=0, test_start_ns=0, name="w", history=[], metrics={}))
        run.log_result(TrackedResult(metrics={}), folder)
    assert run.location is None and run.search([1.0]) is None and not folder.exists()


def test_a_kill_while_the_store_is_made_leaves_none(tmp_path: Path) -> None:
    """Its tables take seconds, and half of them could never be opened again."""
    opening = "import sys, pathlib; from botscalp.pipeline.tracking import open_store; open_store(pathlib.Path(sys.argv[1]), 's')"
    process = subprocess.Popen([sys.executable, "-c", opening, str(tmp_path)])
    while not any(path.stat().st_size > 50_000 for path in tmp_path.glob("*mlflow.db")):
        assert process.poll() is None, "made before it could be killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (tmp_path / "mlflow.db").exists()
    (tmp_path / ".mlflow.db-journal").write_text("of a transaction that the kill cut off")
    _, experiment_id, _ = open_store(tmp_path, "s")
    assert experiment_id == "1" and [path.name for path in tmp_path.glob("*mlflow.db*")] == ["mlflow.db"]


assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
