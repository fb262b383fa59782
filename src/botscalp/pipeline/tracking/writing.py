"""What is recorded of a run, written into MLflow. Writing it again changes nothing, so what broke off is simply repeated."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from botscalp.pipeline.tracking.colours import COLOUR
from botscalp.pipeline.tracking.dataset import dataset_input
from botscalp.pipeline.tracking.recording import Begun, Ended, Record, Resulted, Windowed
from botscalp.pipeline.tracking.store import MOST_RUNS
from botscalp.pipeline.tracking.study import NOTE
from botscalp.whole_files import whole, write_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

MOST_METRICS = 1000
"""that MLflow takes at once"""


@dataclass(frozen=True, kw_only=True)
class RunWriter:
    """Writes records, each dated, in their order: a parent run for the job, a child run for each window."""

    client: "MlflowClient"
    experiment_id: str
    run_id: str
    colour: str
    artifacts: Path
    children: dict[int, str] = field(default_factory=dict)
    """ids of the windows' runs that are there, by the windows' numbers"""
    steps: "list[Metric]" = field(default_factory=list)
    """values of windows that wait: pages list metrics as they were logged, and the headline is to come first"""

    @classmethod
    def of(cls, client: "MlflowClient", run: "Run") -> Self:
        """To a run that is in the store, with those of its windows that are."""
        from mlflow.utils.file_utils import local_file_uri_to_path

        query = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
        children = client.search_runs([run.info.experiment_id], query, max_results=MOST_RUNS)
        return cls(
            client=client,
            experiment_id=run.info.experiment_id,
            run_id=run.info.run_id,
            colour=run.data.tags[COLOUR],
            artifacts=Path(local_file_uri_to_path(run.info.artifact_uri)),  # type: ignore[no-untyped-call]
            children={int(child.data.tags["window"]): child.info.run_id for child in children},
        )

    def write(self, record: Record) -> None:
        """One of them."""
        match record:
            case Begun():
                self._begin(record)
            case Windowed():
                self._window(record)
            case Resulted():
                self._result(record)
            case Ended():
                self._end(record)

    def _begin(self, begun: Begun) -> None:
        """Parameters, bars and config."""
        from mlflow.entities import Param

        new = begun.new
        # MLflow's names know no @, which Hydra's overrides of one group at several places hold
        params = [Param(key.replace("@", ":"), value) for key, value in new.params.items()]
        self.client.log_batch(self.run_id, params=params)
        if new.dataset is not None:
            self.client.log_inputs(self.run_id, [dataset_input(new.dataset)])
        if new.config is not None:
            self._copy(new.config, new.config.name)

    def _window(self, windowed: Windowed) -> None:
        """A child run with the window's epochs and metrics."""
        from mlflow.entities import Metric, RunTag

        window, time_ms = windowed.window, windowed.time_ms
        tags = {
            "level": "window",
            "window": str(window.index),
            "window.test_start": _iso(window.test_start_ns),
            "mlflow.parentRunId": self.run_id,
            COLOUR: self.colour,
        }
        if window.index not in self.children:
            child = self.client.create_run(self.experiment_id, start_time=time_ms, run_name=window.name, tags=tags)
            self.children[window.index] = child.info.run_id
        run_id = self.children[window.index]
        epochs = [
            Metric(name, value, time_ms, epoch)
            for epoch, values in enumerate(window.history)
            for name, value in values.items()
        ]
        self.client.log_batch(run_id, metrics=epochs + _known(window.metrics, time_ms))
        self.client.set_terminated(run_id, "FINISHED", end_time=time_ms)
        self.client.log_batch(self.run_id, tags=[RunTag("windows", str(window.index + 1))])
        self.steps.extend(_steps(window.index, window.test_start_ns, window.metrics))

    def _result(self, resulted: Resulted) -> None:
        """The headline metrics in their order, those of the windows, tags, note, files and tables."""
        from mlflow.entities import RunTag

        result = resulted.result
        self._log_metrics(_known(result.metrics, resulted.time_ms))
        for window in result.windows:
            self.steps.extend(_steps(window.index, window.test_start_ns, window.metrics))
        self._log_steps()
        tables = {name: f"tables/{name}.json" for name in result.tables}
        for name, rows in result.tables.items():
            columns = list(rows[0]) if rows else []
            table = {"columns": columns, "data": [[row[column] for column in columns] for row in rows]}
            write_whole(self.artifacts / tables[name], json.dumps(table))
        tags = {**result.tags, **({NOTE: result.note} if result.note else {})}
        if tables:  # what MLflow's own `log_table` leaves, which would append to the table of a first attempt
            tags["mlflow.loggedArtifacts"] = json.dumps([{"path": path, "type": "table"} for path in tables.values()])
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        for path in sorted(resulted.folder.rglob("*")):
            if path.is_file():
                self._copy(path, str(path.relative_to(resulted.folder)))

    def _end(self, ended: Ended) -> None:
        """How the run ended, after what its windows came to and what the machine did."""
        from mlflow.entities import Metric

        self.steps.extend(Metric(name, value, time_ms, step) for name, value, time_ms, step in ended.machine)
        self._log_steps()
        self.client.set_terminated(self.run_id, ended.status, end_time=ended.time_ms)

    def _copy(self, path: Path, name: str) -> None:
        """Among the artifacts, whole or not at all: MLflow's own copy is neither when the disk is full."""
        with whole(self.artifacts / name) as aside:
            shutil.copyfile(path, aside)

    def _log_steps(self) -> None:
        self._log_metrics(self.steps)
        self.steps.clear()

    def _log_metrics(self, metrics: "list[Metric]") -> None:
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + MOST_METRICS])


def _known(metrics: Mapping[str, float | None], time_ms: int) -> "list[Metric]":
    """One value each, of those that have one."""
    from mlflow.entities import Metric

    return [Metric(name, value, time_ms, 0) for name, value in metrics.items() if value is not None]


def _steps(index: int, test_start_ns: int, metrics: Mapping[str, float | None]) -> "list[Metric]":
    """A window's values as steps of `window/...`, dated by the start of its test: charts over time show when that was."""
    from mlflow.entities import Metric

    start_ms = test_start_ns // 1_000_000
    return [Metric(f"window/{name}", value, start_ms, index) for name, value in metrics.items() if value is not None]


def _iso(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns / 1e9))
