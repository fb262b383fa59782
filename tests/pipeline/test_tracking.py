"""What MLflow holds after a run, how runs end there, and that processes may start at once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from runs import TINY, Run, quiet_libraries, walk

from botscalp.errors import Interrupted, UserError
from botscalp.pipeline import tracking
from botscalp.pipeline.tracking import (
    MlflowTracking,
    NewRun,
    NoTracking,
    TrackedWindow,
    finished_runs,
    open_store,
)
from botscalp.pipeline.trials import Search, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_libraries():
        yield


@pytest.fixture
def client(workplace: Path) -> "MlflowClient":
    """Of the finished run's store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{workplace / 'mlruns' / 'mlflow.db'}")


def runs_of(client: "MlflowClient", level: str) -> "list[MlflowRun]":
    """Of all studies, the oldest first."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.level = '{level}'", order_by=["attributes.start_time ASC"]))


@pytest.fixture
def parent(client: "MlflowClient") -> "MlflowRun":
    (run,) = runs_of(client, "study")
    return run


def test_two_levels_and_no_third(client: "MlflowClient", parent: "MlflowRun", finished: Run) -> None:
    children = runs_of(client, "window")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    assert len(client.search_runs(ids)) == 1 + len(children) == 3
    assert parent.info.run_name == "gru-h3"
    assert [child.info.run_name for child in children] == ["gru-h3 w00 2023-02-06", "gru-h3 w01 2023-02-13"]
    assert all(child.data.tags["mlflow.parentRunId"] == parent.info.run_id for child in children)
    assert [child.data.tags["window.test_start"] for child in children] == [
        window["test"][0] for window in finished.summary["windows"]
    ]
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert client.get_experiment(parent.info.experiment_id).name == "botscalp"
    assert finished.summary["mlflow"]["run_id"] == parent.info.run_id
    assert finished.summary["mlflow"]["tracking_uri"].startswith("sqlite:///")


def test_headline_metrics_are_the_summary_s_one_value_each(
    client: "MlflowClient", parent: "MlflowRun", finished: Run
) -> None:
    summary = finished.summary
    expected = {
        **{f"test/{name}": summary["metrics"][name] for name in ("auc", "brier_skill", "ece", "log_loss", "accuracy")},
        **{
            f"backtest/{name}": summary["backtest"][name]
            for name in ("mean_net_bps", "trades", "win_rate", "max_drawdown", "net_pnl")
        },
        **{f"time/{name}": summary["time"][name] for name in ("total_s", "fit_s")},
    }
    for group, name in (
        *(("test", name) for name in ("auc", "brier_skill", "log_loss", "accuracy")),
        *(("backtest", name) for name in ("mean_net_bps", "win_rate")),
    ):
        low, high = summary["intervals"][group][name]
        expected |= {f"{group}/{name}_lo": low, f"{group}/{name}_hi": high}
    assert expected.items() <= parent.data.metrics.items()
    for name in parent.data.metrics:
        if not name.startswith("window/"):
            (only,) = client.get_metric_history(parent.info.run_id, name)
            assert only.step == 0
    assert summary["backtest"]["sharpe"] is None and "backtest/sharpe" not in parent.data.metrics


def test_window_values_are_steps_of_the_parent_at_their_test_starts(
    client: "MlflowClient", parent: "MlflowRun", finished: Run
) -> None:
    names = {name for name in parent.data.metrics if name.startswith("window/")}
    assert {f"window/test/{name}" for name in ("auc", "brier_skill", "ece")} | {"window/time/fit_s"} <= names
    windows = finished.summary["windows"]
    for name in names:
        history = client.get_metric_history(parent.info.run_id, name)
        assert [point.step for point in history] == [0, 1]
        times = [datetime.fromtimestamp(point.timestamp / 1000, UTC) for point in history]
        assert times == [datetime.fromisoformat(window["test"][0]) for window in windows]
        if name.startswith("window/test/"):
            figure = name.removeprefix("window/test/")
            assert [point.value for point in history] == [window["metrics"][figure] for window in windows]


def test_children_hold_their_epochs_and_their_metrics(client: "MlflowClient", finished: Run) -> None:
    for child, window in zip(runs_of(client, "window"), finished.summary["windows"], strict=True):
        for name in ("train/loss", "val/loss", "val/auc"):
            history = client.get_metric_history(child.info.run_id, name)
            assert [point.step for point in history] == list(range(window["epochs"]))
        assert child.data.metrics["test/auc"] == window["metrics"]["auc"]
        assert "verdict" not in child.data.tags, "a filter by verdict returns runs, not windows"
        assert child.data.params == {}


def test_params_are_what_a_person_compares_and_what_was_typed(parent: "MlflowRun") -> None:
    words = [word.partition("=") for word in TINY]
    typed = {key if "." in key else f"{key}.name": value for key, _, value in words}
    assert typed.items() <= parent.data.params.items()
    compared = {
        "model.name": "gru",
        "model.layers": "1",
        "label.name": "direction",
        "label.horizon": "3",
        "features.name": "technical",
        "calibration.name": "platt",
        "data.symbols": "BTCUSDT",
        "trainer.batch": "512",
        "backtest.taker_bps": "5.0",
        "seed": "0",
    }
    assert compared.items() <= parent.data.params.items()
    assert len(parent.data.params) <= 20 + len(typed)


def test_tags_are_what_a_person_filters_by(parent: "MlflowRun", finished: Run) -> None:
    tags, summary = parent.data.tags, finished.summary
    assert tags["verdict"] == summary["verdict"]["outcome"]
    assert tags["verdict.reason"] == summary["verdict"]["reasons"][0]
    assert tags["data.digest"] == summary["data"]["digest"] and tags["data.source"] == "simulated"
    assert tags["device"] == "cpu"
    assert tags["mlflow.source.git.commit"] == (summary["code"]["commit"] or "")
    assert tags["code.dirty"] == json.dumps(summary["code"]["dirty"]).replace("null", "none")


def test_the_run_folder_is_the_artifact(parent: "MlflowRun", finished: Run) -> None:
    artifacts = Path(parent.info.artifact_uri.removeprefix("file://"))
    ours, theirs = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (finished.folder, artifacts)
    )
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_a_study_s_runs_lie_beside_each_other(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    words = ("tracking=mlflow", "wfo.windows=1", "data.end=2023-02-06", "wfo.train=1w", "trainer.epochs=1")
    walk(tmp_path / "one", *words, "study=a")
    walk(tmp_path / "two", *words, "study=a", "++model.hidden=5", "resume=true")
    walk(tmp_path / "three", *words, "study=b", "model=linear")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    names = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    parents = runs_of(client, "study")
    assert [names[run.info.experiment_id] for run in parents] == ["a", "a", "b"]
    assert [run.data.params.get("model.hidden") for run in parents] == ["4", "5", None]
    assert {run.info.status for run in parents} == {"FINISHED"}
    for run in parents:
        ours = [
            child for child in runs_of(client, "window") if child.data.tags["mlflow.parentRunId"] == run.info.run_id
        ]
        assert len(ours) == 1


TRIAL = Trial(count=1, markets=("real BTCUSDT 5m",), test_start="2024-01-01", test_end="2024-02-01")


def begun(folder: Path, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> NewRun:
    """What a run is begun with."""
    config = folder / "config.yaml"
    config.write_text("seed: 1")
    return NewRun(store=folder, study="s", name="n", params=params or {}, tags=tags or {}, trial=TRIAL, config=config)


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted(), "KILLED"), (KeyboardInterrupt(), "KILLED"), (ValueError("bug"), "FAILED")]
)
def test_the_status_tells_how_the_block_ended(error: BaseException, status: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    with (
        pytest.raises(type(error)),
        MlflowTracking().run(begun(tmp_path, params={"model.name": "gru"}, tags={"device": "cpu"})) as run,
    ):
        assert run.location is not None
        run.log_window(TrackedWindow(index=0, test_start_ns=0, name="w", history=[{"val/loss": 0.7}], metrics={}))
        raise error
    assert run.location is not None
    client = MlflowClient(tracking_uri=run.location["tracking_uri"])
    recorded = client.get_run(run.location["run_id"])
    assert recorded.info.status == status and recorded.data.tags["device"] == "cpu"
    assert (Path(recorded.info.artifact_uri.removeprefix("file://")) / "config.yaml").read_text() == "seed: 1"
    assert [child.info.status for child in runs_of(client, "window")] == ["FINISHED"]


def test_a_run_whose_parameters_are_refused_is_not_left_running(tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException), MlflowTracking().run(begun(tmp_path, params={"+": "1"})):
        pass
    client, experiment_id, _ = open_store(tmp_path, "s")
    assert [run.info.status for run in client.search_runs([experiment_id])] == ["FAILED"]


def test_orphans_are_closed_and_living_runs_are_left(tmp_path: Path) -> None:
    """Runs of a process that ended, with its child; of one whose id is reused; of this one; of another machine; of no one."""
    client, experiment_id, _ = open_store(tmp_path, "s")
    node, pid, created = tracking._owner().rsplit("/", 2)
    gone = max(psutil.pids()) + 10_000
    owners = {
        "ended": f"{node}/{gone}/{created}",
        "reused": f"{node}/{pid}/1.00",
        "alive": f"{node}/{pid}/{created}",
        "elsewhere": f"another-{node}/{gone}/{created}",
    }
    ids = {
        name: client.create_run(experiment_id, run_name=name, tags={tracking.OWNER: owner}).info.run_id
        for name, owner in owners.items()
    }
    ids["child"] = client.create_run(experiment_id, tags={"mlflow.parentRunId": ids["ended"]}).info.run_id
    ids["living child"] = client.create_run(experiment_id, tags={"mlflow.parentRunId": ids["alive"]}).info.run_id
    ids["not ours"] = client.create_run(experiment_id).info.run_id
    tracking.close_orphans(client)
    killed = {name for name, run_id in ids.items() if client.get_run(run_id).info.status == "KILLED"}
    assert killed == {"ended", "reused", "child"}
    assert {client.get_run(ids[name]).info.status for name in ids.keys() - killed} == {"RUNNING"}


def test_a_study_that_was_deleted_is_refused_by_name(tmp_path: Path) -> None:
    client, experiment_id, _ = open_store(tmp_path, "gone")
    client.delete_experiment(experiment_id)
    with pytest.raises(UserError, match="study=gone") as error:
        open_store(tmp_path, "gone")
    assert "restore" in error.value.remedy


def test_a_run_that_failed_and_one_that_was_deleted_stay_trials(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bug"), MlflowTracking().run(begun(tmp_path)):
        raise ValueError("bug")
    client, experiment_id, _ = open_store(tmp_path, "s")
    for run in client.search_runs([experiment_id]):
        client.delete_run(run.info.run_id)
    with MlflowTracking().run(begun(tmp_path)) as run:
        assert run.search([1.0]) == Search(count=2, sharpe_variance=None)


def test_a_study_s_finished_runs_are_those_that_were_trained(tmp_path: Path) -> None:
    """One that failed, one that traded stored predictions again, and one of another study are none of them."""
    files = tmp_path / "files"
    files.mkdir()
    for name, tags, study in (
        ("first", {}, "s"),
        ("grid", {"kind": "grid"}, "s"),
        ("other", {}, "t"),
        ("last", {}, "s"),
    ):
        (files / "name").write_text(name)
        with MlflowTracking().run(replace(begun(tmp_path, tags=tags), study=study)) as run:
            run.log_result({}, {}, files)
    with pytest.raises(ValueError), MlflowTracking().run(begun(tmp_path)):
        raise ValueError("bug")
    assert [(folder / "name").read_text() for folder in finished_runs(tmp_path, "s")] == ["first", "last"]
    for store, study, problem in ((tmp_path, "u", "no such study"), (files, "s", "no runs are tracked")):
        with pytest.raises(UserError, match=problem):
            finished_runs(store, study)
    assert not (files / "mlflow.db").exists()


def test_nothing_is_recorded_without_tracking(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with NoTracking().run(replace(begun(tmp_path), store=folder)) as run:
        run.log_window(TrackedWindow(index=0, test_start_ns=0, name="w", history=[], metrics={}))
        run.log_result({}, {}, folder)
    assert run.location is None and run.search([1.0]) is None and not folder.exists()


START = """
import sys
from pathlib import Path
from botscalp.pipeline.tracking import MlflowTracking, NewRun
from botscalp.pipeline.trials import Trial
files = Path(sys.argv[3])
job = {"study": sys.argv[2], "name": "n", "params": {"seed": "1"}, "tags": {}, "config": files / "config.yaml"}
job["trial"] = Trial(count=1, markets=("m",), test_start="2024-01-01", test_end="2024-02-01")
with MlflowTracking().run(NewRun(store=Path(sys.argv[1]), **job)) as run:
    run.log_result({"test/auc": 0.5}, {"verdict": "REJECTED"}, files)
"""


@pytest.mark.slow
def test_processes_that_start_at_once_on_a_fresh_store_all_succeed(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/config.yaml").touch()
    arguments = [sys.executable, "-c", START, str(tmp_path / "store")]
    studies = ["same", "same", "same", "other"]
    processes = [
        subprocess.Popen([*arguments, study, str(tmp_path / "files")], stderr=subprocess.PIPE, text=True)
        for study in studies
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    client, _, _ = open_store(tmp_path / "store", "same")
    runs = runs_of(client, "study")
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    names = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    assert sorted(names[run.info.experiment_id] for run in runs) == sorted(studies)


assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
