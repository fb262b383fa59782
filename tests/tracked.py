"""Runs that are recorded in a store, without training anything."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botscalp.pipeline.ledger import Trial
from botscalp.pipeline.tracking import NewRun, TrackedDataset
from botscalp.pipeline.tracking.spool import SPOOLED
from botscalp.pipeline.tracking.store import client_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TRIAL = Trial(count=1, markets=("real BTCUSDT 5m",), test_start="2024-01-01", test_end="2024-02-01")
DATASET = TrackedDataset(
    name="real BTCUSDT 5m", digest="41290ea5" * 8, source="file", rows=69_984, start="2023-09-01", end="2024-05-01"
)


def fresh_store(once: Callable[[str, Callable[[Path], object]], Path], folder: Path) -> Path:
    """A store in that folder without a study; its tables, which take MLflow seconds, are made once for all tests."""
    made = once("fresh-store", lambda made: client_of(made).search_experiments())
    shutil.copyfile(made / "mlflow.db", folder / "mlflow.db")
    return folder


def new_run(folder: Path, **changes: Any) -> NewRun:
    """What the run "n" of the study "s" is begun with, after these changes."""
    config = folder / "config.yaml"
    config.write_text("seed: 1")
    values: Mapping[str, Any] = {"study": "s", "name": "n", "params": {}, "tags": {}, "trial": TRIAL, "config": config}
    return NewRun(**{"store": folder, **values, **changes})


def runs_at(client: "MlflowClient", level: str) -> "list[Run]":
    """Of all studies, the oldest first."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.level = '{level}'", order_by=["attributes.start_time ASC"]))


def held(client: "MlflowClient") -> list[Any]:
    """All that the store holds of its runs, but for ids, times and what the machine did."""
    return [_held(client, run) for level in ("study", "window") for run in runs_at(client, level)]


def _held(client: "MlflowClient", run: "Run") -> Any:
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    names = [name for name in run.data.metrics if not name.startswith("system/")]
    steps = {
        name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)] for name in names
    }
    own = ("mlflow.parentRunId", "botscalp.owner", "mlflow.runColor", SPOOLED)
    return (
        (run.info.run_name, run.info.status, run.data.params, list(steps.items())),
        {key: value for key, value in run.data.tags.items() if key not in own},
        [one.dataset.digest for one in run.inputs.dataset_inputs],
        {
            str(path.relative_to(artifacts)): path.read_bytes()
            for path in sorted(artifacts.rglob("*"))
            if path.is_file()
        },
    )
