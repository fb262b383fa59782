"""Where runs are recorded so that a person can compare them: MLflow, or nowhere.

The store is sqlite under the job's folder, created once and under a lock before anything is logged: processes
that create its schema at the same time corrupt it.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from botscalp.errors import Interrupted, UserError
from botscalp.options import nearest
from botscalp.pipeline.trials import Search, Trial, record_sharpes, record_trial, search_so_far
from botscalp.pipeline.uninterrupted import uninterrupted
from botscalp.pipeline.window import FittedWindow
from botscalp.windows import Window

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

OWNER = "botscalp.owner"


@dataclass(frozen=True, kw_only=True)
class TrackedWindow:
    """One window as a child run shows it."""

    index: int
    test_start_ns: int
    name: str
    history: Sequence[Mapping[str, float]]
    """metrics of each epoch"""
    metrics: Mapping[str, float | None]

    @classmethod
    def of(cls, window: Window, fit: FittedWindow, metrics: Mapping[str, float | None], *, title: str) -> Self:
        """The window's child run, named like "gru-h3 w03 2024-04-01"."""
        shown = {f"test/{name}": metrics[name] for name in ("auc", "brier_skill", "log_loss", "ece", "accuracy")}
        return cls(
            index=window.index,
            test_start_ns=window.test.start_ns,
            name=f"{title} w{window.index:02d} {window.test.iso()[0][:10]}",
            history=fit.history,
            metrics={**shown, "time/fit_s": fit.fit_s, "time/epochs": len(fit.history)},
        )


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What is known of a run before it begins."""

    store: Path
    study: str
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    trial: Trial
    config: Path | None
    """a file that becomes an artifact from the start"""


class TrackedRun(Protocol):
    """A run that is being recorded."""

    @property
    def location(self) -> dict[str, str] | None:
        """tracking_uri, experiment and run_id; None where nothing is recorded"""

    def search(self, sharpes: Sequence[float | None]) -> Search | None:
        """Add what this run's trials came to, annualised Sharpe ratios; all that was tried on these test bars so far.

        In any study of the store, this run's trials included. None where nothing is recorded.
        """
        ...

    def log_window(self, window: TrackedWindow) -> None: ...
    def log_result(self, metrics: Mapping[str, float | None], tags: Mapping[str, str], folder: Path) -> None: ...


class Tracking(Protocol):
    """An option of the tracking group."""

    def run(self, new: NewRun) -> AbstractContextManager[TrackedRun]:
        """Record a run while the block lasts; its status tells how the block ended."""
        ...


@dataclass(frozen=True)
class NoTracking:
    """tracking=none: the run folder is all there is."""

    location = None

    @contextmanager
    def run(self, new: NewRun) -> "Iterator[NoTracking]":
        yield self

    def search(self, sharpes: Sequence[float | None]) -> None:
        """Nothing is known."""

    def log_window(self, window: TrackedWindow) -> None:
        """Nothing to do."""

    def log_result(self, metrics: Mapping[str, float | None], tags: Mapping[str, str], folder: Path) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class MlflowTracking:
    """tracking=mlflow: a parent run for the job, a child run for each window."""

    @contextmanager
    def run(self, new: NewRun) -> "Iterator[MlflowRun]":
        from mlflow.entities import Param

        with uninterrupted():
            client, experiment_id, uri = open_store(new.store, new.study)
            close_orphans(client)
            tags = {**new.tags, "trials": str(new.trial.count), "level": "study", OWNER: _owner()}
            run_id = client.create_run(experiment_id, run_name=new.name, tags=tags).info.run_id
        try:
            with uninterrupted():
                client.log_batch(run_id, params=[Param(key, value) for key, value in new.params.items()])
                if new.config is not None:
                    client.log_artifact(run_id, str(new.config))
            location = {"tracking_uri": uri, "experiment": new.study, "run_id": run_id}
            record_trial(new.store, new.trial, run_id)
            yield MlflowRun(client, experiment_id, run_id, location, new)
        except (Interrupted, KeyboardInterrupt):
            client.set_terminated(run_id, "KILLED")
            raise
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")


@dataclass(frozen=True)
class MlflowRun:
    """A parent run and its children."""

    client: "MlflowClient"
    experiment_id: str
    run_id: str
    location: dict[str, str] | None
    new: NewRun

    def search(self, sharpes: Sequence[float | None]) -> Search:
        """A line of the ledger, and what it holds by then."""
        record_sharpes(self.new.store, sharpes, self.run_id)
        return search_so_far(self.new.store, self.new.trial)

    @uninterrupted()
    def log_window(self, window: TrackedWindow) -> None:
        """A child run with the window's epochs and metrics; the metrics again on the parent, as a step of `window/...`."""
        from mlflow.entities import Metric, RunTag

        now_ms = int(time.time() * 1000)
        metrics = {name: value for name, value in window.metrics.items() if value is not None}
        tags = {
            "level": "window",
            "window": str(window.index),
            "window.test_start": _iso(window.test_start_ns),
            "mlflow.parentRunId": self.run_id,
        }
        child = self.client.create_run(self.experiment_id, run_name=window.name, tags=tags).info.run_id
        epochs = [
            Metric(name, value, now_ms, epoch)
            for epoch, values in enumerate(window.history)
            for name, value in values.items()
        ]
        self.client.log_batch(
            child, metrics=epochs + [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
        )
        self.client.set_terminated(child, "FINISHED")
        test_start_ms = window.test_start_ns // 1_000_000
        steps = [Metric(f"window/{name}", value, test_start_ms, window.index) for name, value in metrics.items()]
        self.client.log_batch(self.run_id, metrics=steps, tags=[RunTag("windows", str(window.index + 1))])

    @uninterrupted()
    def log_result(self, metrics: Mapping[str, float | None], tags: Mapping[str, str], folder: Path) -> None:
        """The headline metrics in this order, the tags, and the run folder as artifacts."""
        from mlflow.entities import Metric, RunTag

        now_ms = int(time.time() * 1000)
        known = [Metric(name, value, now_ms, 0) for name, value in metrics.items() if value is not None]
        self.client.log_batch(self.run_id, metrics=known, tags=[RunTag(key, value) for key, value in tags.items()])
        self.client.log_artifacts(self.run_id, str(folder))


def open_store(store: Path, study: str) -> "tuple[MlflowClient, str, str]":
    """The client of the store, the id of the study's experiment, and the store's address; created where missing.

    Raises:
        UserError: the study was deleted in the tracking store.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from filelock import FileLock
    from mlflow import MlflowClient

    root = store.resolve()
    root.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{root / 'mlflow.db'}"
    with FileLock(root / "mlflow.lock"):
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            artifacts = (root / "artifacts" / study).as_uri()
            return client, client.create_experiment(study, artifact_location=artifacts), uri
    if experiment.lifecycle_stage == "deleted":
        raise UserError("study", study, "this study was deleted in MLflow", "restore it there, or choose another name")
    return client, experiment.experiment_id, uri


def artifacts_of(run_id: str, store: Path) -> Path | None:
    """The artifact folder of the run with that id, None where the store knows none."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    uri = f"sqlite:///{store.resolve() / 'mlflow.db'}"
    try:
        return Path(download_artifacts(run_id=run_id, tracking_uri=uri))
    except MlflowException:
        return None


def finished_runs(store: Path, study: str) -> list[Path]:
    """The artifact folders of the study's finished runs, oldest first; those that traded stored predictions again are left out.

    Raises:
        UserError: the store holds no such study.
    """
    if not (store / "mlflow.db").is_file():
        raise UserError("store", store, "no runs are tracked in it", "make some with `train`, or name another store")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store.resolve() / 'mlflow.db'}")
    studies = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    studies.pop("Default", None)  # MLflow's own
    if study not in studies:
        raise UserError("study", study, f"no such study in {store}", nearest(study, studies))
    query = "tags.level = 'study' and attributes.status = 'FINISHED'"
    runs = client.search_runs([studies[study]], query, max_results=50_000, order_by=["attributes.start_time ASC"])
    folders = [artifacts_of(run.info.run_id, store) for run in runs if "kind" not in run.data.tags]
    return [folder for folder in folders if folder is not None]


def close_orphans(client: "MlflowClient") -> None:
    """Mark as KILLED the runs that a process which no longer exists left RUNNING."""
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
            owner = run.data.tags.get(OWNER)
            parent = run.data.tags.get("mlflow.parentRunId")
            if owner is None and parent is not None:
                owner = client.get_run(parent).data.tags.get(OWNER)
            if owner is not None and not _alive(owner):
                client.set_terminated(run.info.run_id, "KILLED")
                logger.info("closed run %s, whose process is gone", run.info.run_name)


def _owner() -> str:
    """This process, in a way that a reused process id or a restarted machine does not answer to."""
    import platform

    import psutil

    process = psutil.Process()
    return f"{platform.node()}/{process.pid}/{process.create_time():.2f}"


def _alive(owner: str) -> bool:
    """Whether the process still runs; one on another machine is given the benefit of the doubt."""
    import platform

    import psutil

    node, pid, created = owner.rsplit("/", 2)
    if node != platform.node():
        return True
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == created
    except psutil.NoSuchProcess:
        return False


def _iso(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns / 1e9))
