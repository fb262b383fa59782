"""A job's MLflow store on the machine, the store at home, and what of the one must be in the other."""

import json
import math
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from runs import quiet_libraries

from botscalp.pipeline.tracking import OWNER, open_store
from hydra_plugins.hydra_ec2_launcher.home import mlflow_home
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import RUN_UID
from hydra_plugins.hydra_ec2_launcher.home.translation import Translation

STUDY = "scalping"
TRACEBACK = "Traceback (most recent call last):\n  File job.py\nValueError: no bars"
sweeps = (f"sweep-{number}" for number in count())


@dataclass(frozen=True)
class Box:
    """A job's working folder on the machine, and what was pulled of it."""

    work: Path
    kept: Path

    @property
    def snapshot(self) -> Path:
        return self.kept / "snapshot" / "mlruns" / "mlflow.db"

    def client(self) -> tuple[Any, str]:
        client, experiment_id, _ = open_store(self.work / "mlruns", STUDY)
        return client, experiment_id

    def pull(self) -> None:
        """Everything that the job has written so far, as the agent and the transport bring it."""
        shutil.copytree(self.work, self.kept / "work", dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow.*"))
        self.snapshot.parent.mkdir(parents=True, exist_ok=True)
        aside = self.snapshot.with_name("aside")
        with closing(sqlite3.connect(self.work / "mlruns" / "mlflow.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(aside),))
        aside.replace(self.snapshot)

    def bring_home(self, store: Path, sweep: str, job: int = 0, attempt: int = 1, pairs: Any = ()) -> Translation:
        return mlflow_home.import_runs(
            self.snapshot,
            artifacts=(str(self.work), self.kept / "work"),
            store=store,
            sweep=sweep,
            job=job,
            attempt=attempt,
            translation=Translation(list(pairs)),
        )


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Box, Path]:
    """A store on a machine, and one at home; making one takes seconds, so tests share them and use other runs."""
    folder = tmp_path_factory.mktemp("stores")
    box = Box(folder / "box" / "jobs" / "0" / "work", folder / "home" / "jobs" / "0")
    with quiet_libraries():
        box.client()
        open_store(folder / "project" / "mlruns", STUDY)
    return box, folder / "project" / "mlruns"


@pytest.fixture
def box(stores: tuple[Box, Path]) -> Iterator[Box]:
    """The machine's store, without a run."""
    box, _ = stores
    yield box
    client, experiment_id = box.client()
    for run in client.search_runs([experiment_id]):
        client.delete_run(run.info.run_id)
    shutil.rmtree(box.kept, ignore_errors=True)


@pytest.fixture
def store(stores: tuple[Box, Path]) -> Path:
    return stores[1]


@pytest.fixture
def sweep() -> str:
    """A name that no other test uses."""
    return next(sweeps)


def make_run(box: Box, *, name: str = "gru-h3", parent: str | None = None, **tags: str) -> str:
    client, experiment_id = box.client()
    all_tags = {"level": "study", **tags, **({} if parent is None else {"mlflow.parentRunId": parent})}
    return str(client.create_run(experiment_id, run_name=name, tags=all_tags).info.run_id)


def at_home(store: Path, sweep: str, view: int = 1) -> list[Any]:
    """The sweep's runs at home, oldest first; view 2 are those in the trash."""
    client, _, _ = open_store(store, STUDY)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.`{RUN_UID}` LIKE '{sweep}/%'"
    return list(
        client.search_runs(ids, query, view, order_by=["attributes.start_time ASC", "tags.`mlflow.runName` ASC"])
    )


def content_of(client: Any, run_id: str, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """All that a store tells of a run but its id, histories with NaN as text."""
    run = client.get_run(run_id)
    histories = {
        name: sorted(
            (point.step, point.timestamp, repr(point.value)) for point in client.get_metric_history(run_id, name)
        )
        for name in run.data.metrics
    }
    return {
        "info": [run.info.run_name, run.info.status, run.info.start_time, run.info.end_time, run.info.lifecycle_stage],
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "params": run.data.params,
        "tags": {key: value for key, value in run.data.tags.items() if key not in leave},
        "metrics": {name: repr(value) for name, value in run.data.metrics.items()},
        "histories": histories,
        "datasets": [
            (used.dataset.to_dictionary(), [dict(tag) for tag in used.tags]) for used in run.inputs.dataset_inputs
        ],
    }


OURS = (RUN_UID, mlflow_home.ATTEMPT, mlflow_home.COMPLETE, "sweep", "mlflow.parentRunId", OWNER)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifacts_of(client: Any, run_id: str) -> dict[str, bytes]:
    folder = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    return files_of(folder) if folder.exists() else {}


def require_equal(box: Box, store: Path, sweep: str, job: int = 0) -> int:
    """Every run of the machine is at home with all it has; how many there are."""
    there, experiment_id = box.client()
    home, _, _ = open_store(store, STUDY)
    copies = {run.data.tags[RUN_UID]: run for run in at_home(store, sweep)}
    runs = there.search_runs([experiment_id])
    assert len(copies) == len(runs)
    for run in runs:
        copy = copies[f"{sweep}/{job}/{run.info.run_id}"]
        assert content_of(home, copy.info.run_id, OURS) == content_of(there, run.info.run_id, OURS)
        assert artifacts_of(home, copy.info.run_id) == artifacts_of(there, run.info.run_id)
        parent = run.data.tags.get("mlflow.parentRunId")
        home_parent = None if parent is None else copies[f"{sweep}/{job}/{parent}"].info.run_id
        assert copy.data.tags.get("mlflow.parentRunId") == home_parent
        assert (mlflow_home.COMPLETE in copy.data.tags) == (run.info.status != "RUNNING")
    return len(runs)


def fill(box: Box, folder: Path) -> str:
    """A parent run with all that a run can have, and a child; the parent's id."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    client, _ = box.client()
    parent = make_run(box, **{OWNER: f"{platform.node()}/1/0.00"})
    child = make_run(box, name="gru-h3 w00 2024-01-01", parent=parent)
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1]
    points = [Metric("val/auc", values[step % 6], 1_700_000_000_000 + step, step // 2) for step in range(1_200)]
    for start in range(0, len(points), 1_000):
        client.log_batch(parent, metrics=points[start : start + 1_000])
    client.log_batch(parent, metrics=[Metric("backtest/mean_net_bps", math.nan, 1_700_000_000_000, 0)])
    for start in range(0, 150, 75):
        client.log_batch(parent, params=[Param(f"p{n}", f"value {n}") for n in range(start, start + 75)])
        client.log_batch(parent, tags=[RunTag(f"t{n}", f"tag {n}") for n in range(start, start + 75)])
    bars = Dataset(name="bars", digest="abc", source_type="local", source="{}", schema="{}", profile="{}")
    client.log_inputs(parent, [DatasetInput(bars, [InputTag("mlflow.data.context", "training")])])
    run_folder = folder / "run"
    (run_folder / "models" / "00").mkdir(parents=True)
    (run_folder / "summary.json").write_text(json.dumps({"auc": 0.53, "run_id": "none"}))
    (run_folder / "models" / "00" / "weights.bin").write_bytes(bytes(range(256)) * 10)
    client.log_artifacts(parent, str(run_folder))
    client.log_batch(child, metrics=[Metric("train/loss", 0.7, 1_700_000_000_000, 0)])
    client.set_terminated(child, "FINISHED", 1_700_000_900_000)
    client.set_terminated(parent, "FAILED", 1_700_001_000_000)
    return parent
