"""tracking=mlflow: a parent run for the job, a child run for each window."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botscalp.errors import Interrupted
from botscalp.pipeline.tracking.colours import COLOUR, next_colour
from botscalp.pipeline.tracking.dataset import dataset_input
from botscalp.pipeline.tracking.machine import SystemMetrics
from botscalp.pipeline.tracking.orphans import OWNER, close_orphans, this_process
from botscalp.pipeline.tracking.recording import NewRun, TrackedResult, TrackedWindow
from botscalp.pipeline.tracking.store import alone, open_store, runs_of
from botscalp.pipeline.tracking.study import NOTE, present_study
from botscalp.pipeline.trials import Search, record_sharpes, record_trial, search_so_far
from botscalp.pipeline.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

logger = logging.getLogger(__name__)

MOST_METRICS = 1000
"""that MLflow takes at once"""


@dataclass(frozen=True)
class MlflowTracking:
    """Records in the store of the job's folder."""

    @contextmanager
    def run(self, new: NewRun) -> "Iterator[MlflowRun]":
        with uninterrupted():
            client, experiment_id, uri = open_store(new.store, new.study)
            close_orphans(client)
            with alone(new.store):  # or runs that begin at once take the same colour
                colour = next_colour([run.data.tags.get(COLOUR) for run in runs_of(client, experiment_id)])
                ours = {"trials": str(new.trial.count), "level": "study", OWNER: this_process(), COLOUR: colour}
                run_id = client.create_run(experiment_id, run_name=new.name, tags={**new.tags, **ours}).info.run_id
        location = {"tracking_uri": uri, "experiment": new.study, "run_id": run_id}
        run = MlflowRun(client, experiment_id, run_id, location, new, colour)
        try:
            run.log_beginning()
            record_trial(new.store, new.trial, run_id)
            yield run
        except (Interrupted, KeyboardInterrupt):
            run.end("KILLED")
            raise
        except BaseException:
            run.end("FAILED")
            raise
        run.end("FINISHED")
        _present(run)


@dataclass(frozen=True)
class MlflowRun:
    """A parent run and its children."""

    client: "MlflowClient"
    experiment_id: str
    run_id: str
    location: dict[str, str]
    new: NewRun
    colour: str
    steps: "list[Metric]" = field(default_factory=list)
    """values of windows that wait: pages list metrics as they were logged, and the headline is to come first"""
    machine: SystemMetrics = field(default_factory=SystemMetrics)

    @uninterrupted()
    def log_beginning(self) -> None:
        """Parameters, bars and config; what the machine does is watched from here on."""
        from mlflow.entities import Param

        # MLflow's names know no @, which Hydra's overrides of one group at several places hold
        params = [Param(key.replace("@", ":"), value) for key, value in self.new.params.items()]
        self.client.log_batch(self.run_id, params=params)
        if self.new.dataset is not None:
            self.client.log_inputs(self.run_id, [dataset_input(self.new.dataset)])
        if self.new.config is not None:
            self.client.log_artifact(self.run_id, str(self.new.config))
        self.machine.start(self.run_id, self.location["tracking_uri"])

    def search(self, sharpes: Sequence[float | None]) -> Search:
        """A line of the ledger, and what it holds by then."""
        record_sharpes(self.new.store, sharpes, self.run_id)
        return search_so_far(self.new.store, self.new.trial)

    @uninterrupted()
    def log_window(self, window: TrackedWindow) -> None:
        """A child run with the window's epochs and metrics."""
        from mlflow.entities import Metric, RunTag

        now_ms = _now_ms()
        tags = {
            "level": "window",
            "window": str(window.index),
            "window.test_start": _iso(window.test_start_ns),
            "mlflow.parentRunId": self.run_id,
            COLOUR: self.colour,
        }
        child = self.client.create_run(self.experiment_id, run_name=window.name, tags=tags).info.run_id
        epochs = [
            Metric(name, value, now_ms, epoch)
            for epoch, values in enumerate(window.history)
            for name, value in values.items()
        ]
        self.client.log_batch(child, metrics=epochs + _known(window.metrics, now_ms))
        self.client.set_terminated(child, "FINISHED")
        self.client.log_batch(self.run_id, tags=[RunTag("windows", str(window.index + 1))])
        self.steps.extend(_steps(window.index, window.test_start_ns, window.metrics))

    @uninterrupted()
    def log_result(self, result: TrackedResult, folder: Path) -> None:
        """The headline metrics in their order, those of the windows, tags, note, files and tables."""
        from mlflow.entities import RunTag

        self._log_metrics(_known(result.metrics, _now_ms()))
        for window in result.windows:
            self.steps.extend(_steps(window.index, window.test_start_ns, window.metrics))
        self._log_steps()
        tags = {**result.tags, **({NOTE: result.note} if result.note else {})}
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.client.log_artifacts(self.run_id, str(folder))
        for name, rows in result.tables.items():
            columns = {column: [row[column] for row in rows] for column in rows[0]} if rows else {}
            self.client.log_table(self.run_id, columns, f"tables/{name}.json")

    @uninterrupted()
    def end(self, status: str) -> None:
        """Say how the run ended, after what its windows came to and what the machine did."""
        try:
            self.steps.extend(self.machine.stop())
            self._log_steps()
        finally:
            self.client.set_terminated(self.run_id, status)

    def _log_steps(self) -> None:
        self._log_metrics(self.steps)
        self.steps.clear()

    def _log_metrics(self, metrics: "list[Metric]") -> None:
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + MOST_METRICS])


@uninterrupted()
def _present(run: MlflowRun) -> None:
    """Bring the study's page up to date; the run is finished, and not worth less where that fails."""
    from mlflow.exceptions import MlflowException

    try:
        present_study(run.client, run.experiment_id, run.new.store)
    except MlflowException as error:
        logger.warning("the page of study %s in MLflow is not up to date: %s", run.new.study, error)


def _known(metrics: Mapping[str, float | None], now_ms: int) -> "list[Metric]":
    """One value each, of those that have one."""
    from mlflow.entities import Metric

    return [Metric(name, value, now_ms, 0) for name, value in metrics.items() if value is not None]


def _steps(index: int, test_start_ns: int, metrics: Mapping[str, float | None]) -> "list[Metric]":
    """A window's values as steps of `window/...`, dated by the start of its test: charts over time show when that was."""
    from mlflow.entities import Metric

    start_ms = test_start_ns // 1_000_000
    return [Metric(f"window/{name}", value, start_ms, index) for name, value in metrics.items() if value is not None]


def _now_ms() -> int:
    return int(time.time() * 1000)


def _iso(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns / 1e9))
