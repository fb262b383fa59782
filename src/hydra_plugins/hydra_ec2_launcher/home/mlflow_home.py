"""The MLflow runs of a sweep's jobs, brought home from the stores that the jobs fill on their machine.

Every function can be repeated: what is at home already is neither sent again nor made twice. Runs are told by a tag, for
they get new ids. One process at a time may import a job; several may import into one store.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import (
    PARENT,
    RUN_UID,
    experiment_for,
    has_ended,
    log_changed,
    open_copy,
    open_experiment,
    open_store,
    parents,
    require_same_schema,
    runs_in,
    runs_of,
)
from hydra_plugins.hydra_ec2_launcher.home.translation import Translation, files_below

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run

log = logging.getLogger(__name__)

ATTEMPT = "botscalp.attempt"
"""how many machines had begun the job by then"""
COMPLETE = "botscalp.complete"
"""the run ended there, and all its metrics are home"""
STAYS_THERE = frozenset({"botscalp.owner"})
"""tags that name processes of the machine: here, nobody must end a run because such a process is not found"""
NOTE = "mlflow.note.content"
MOST_NOTE_CHARACTERS = 6_000


def import_runs(
    database: Path,
    *,
    artifacts: tuple[str, Path],
    store: Path,
    sweep: str,
    job: int,
    attempt: int,
    translation: Translation,
) -> Translation:
    """Import what is new in a copy of a job's store; the translation with the ids of its runs.

    The first runs of a new attempt send those of earlier ones to the trash. What a person deleted here stays deleted.

    Args:
        database: a consistent copy of the job's mlflow.db; it is not written to.
        artifacts: a folder as the machine names it, and what was pulled of it.
        store: the folder of the store at home.

    Raises:
        SnapshotError: the copy is damaged, or of another version of MLflow.
        ValueError: an experiment was deleted at home.
    """
    home = open_store(store)
    require_same_schema(database, store / "mlflow.db")
    there = open_copy(database)
    copies = {run.data.tags[RUN_UID]: run for run in runs_of(home, f"{sweep}/{job}/", deleted=True)}
    if any(attempt_of(copy) > attempt for copy in copies.values()):
        return translation
    earlier = {uid: copy for uid, copy in copies.items() if attempt_of(copy) < attempt}
    runs = {f"{sweep}/{job}/{run.info.run_id}": run for run in runs_in(there, order_by=["attributes.start_time ASC"])}
    runs = {uid: run for uid, run in runs.items() if uid not in earlier}
    names = {experiment.experiment_id: experiment.name for experiment in there.search_experiments()}
    for uid, run in runs.items():
        if uid not in copies:
            experiment_id = open_experiment(home, store, names[run.info.experiment_id])
            tags = {RUN_UID: uid, ATTEMPT: str(attempt)}
            copies[uid] = home.create_run(experiment_id, run.info.start_time, tags, run.info.run_name)
    translation = translation.adding((run.info.run_id, copies[uid].info.run_id) for uid, run in runs.items())
    copying = Copying(there=there, home=home, sweep=sweep, artifacts=artifacts, translation=translation)
    for uid, run in runs.items():
        if copies[uid].info.lifecycle_stage == "active":
            copying.bring_up_to_date(run, copies[uid])
    for copy in earlier.values() if runs else ():
        if copy.info.lifecycle_stage == "active":
            home.delete_run(copy.info.run_id)
    return translation


@dataclass(frozen=True, kw_only=True)
class Copying:
    """Runs on their way from a job's store to the one at home."""

    there: "MlflowClient"
    home: "MlflowClient"
    sweep: str
    artifacts: tuple[str, Path]
    translation: Translation

    def bring_up_to_date(self, run: "Run", copy: "Run") -> None:
        """Add to the copy what the run has and it lacks; the end comes last, for after it no metrics are looked for."""
        self.copy_params(run, copy)
        self.copy_tags(run, copy)
        self.copy_datasets(run, copy)
        self.copy_artifacts(run, copy)
        if COMPLETE not in copy.data.tags:
            self.copy_metrics(run, copy)
            if has_ended(run):
                self.home.set_terminated(copy.info.run_id, run.info.status, run.info.end_time)
                self.home.set_tag(copy.info.run_id, COMPLETE, "true")

    def copy_params(self, run: "Run", copy: "Run") -> None:
        from mlflow.entities import Param

        new = [(key, value) for key, value in run.data.params.items() if key not in copy.data.params]
        for some in chunks([Param(key, self.translation.text(value)) for key, value in new], 100):
            self.home.log_batch(copy.info.run_id, params=some)

    def copy_tags(self, run: "Run", copy: "Run") -> None:
        from mlflow.entities import RunTag

        tags = {key: self.translation.text(value) for key, value in run.data.tags.items() if key not in STAYS_THERE}
        if PARENT not in tags:
            tags["sweep"] = self.sweep
        changed = [RunTag(key, value) for key, value in tags.items() if copy.data.tags.get(key) != value]
        for some in chunks(changed, 100):
            self.home.log_batch(copy.info.run_id, tags=some)

    def copy_datasets(self, run: "Run", copy: "Run") -> None:
        known = {dataset_key(dataset) for dataset in datasets_of(copy)}
        new = [dataset for dataset in datasets_of(run) if dataset_key(dataset) not in known]
        if new:
            self.home.log_inputs(copy.info.run_id, datasets=new)

    def copy_metrics(self, run: "Run", copy: "Run") -> None:
        for name in run.data.metrics:
            known = {point_key(point) for point in self.home.get_metric_history(copy.info.run_id, name)}
            points = self.there.get_metric_history(run.info.run_id, name)
            for some in chunks([point for point in points if point_key(point) not in known], 1000):
                self.home.log_batch(copy.info.run_id, metrics=some)

    def copy_artifacts(self, run: "Run", copy: "Run") -> None:
        """Copy those of the run's files that came home."""
        there, pulled = self.artifacts
        source = PurePosixPath(unquote(urlsplit(run.info.artifact_uri).path))
        if not source.is_relative_to(there) or ".." in source.parts:
            log.warning("the artifacts of %s lie at %s, outside of what came home", run.info.run_name, source)
            return
        folder = pulled / source.relative_to(there)
        target = Path(unquote(urlsplit(copy.info.artifact_uri).path))
        for path in files_below(folder):
            self.translation.copy(path, target / path.relative_to(folder))


def close(store: Path, *, sweep: str, job: int, status: str) -> None:
    """End the job's runs that are RUNNING at home: what they waited for will not come."""
    client = open_store(store)
    for run in runs_of(client, f"{sweep}/{job}/"):
        if not has_ended(run):
            client.set_terminated(run.info.run_id, status)


def record_failure(
    store: Path, *, sweep: str, job: int, title: str, status: str, text: str, experiment: str | None = None
) -> None:
    """End the job's runs, and say why on its parent runs, with the traceback; one that made no run gets one.

    Args:
        status: FAILED or KILLED.
        experiment: of the run that is made; None: that of the sweep's other runs, or one named like the sweep.
    """
    close(store, sweep=sweep, job=job, status=status)
    client = open_store(store)
    if not parents(runs_of(client, f"{sweep}/{job}/")):
        # Attempt 0: whatever a machine still has to tell of the job replaces it.
        tags = {RUN_UID: f"{sweep}/{job}/home", ATTEMPT: "0", "sweep": sweep, "level": "study", "job": str(job)}
        run = client.create_run(experiment_for(client, store, sweep, experiment), None, tags, title or f"job {job}")
        client.set_terminated(run.info.run_id, status)
    for run in parents(runs_of(client, f"{sweep}/{job}/")):
        note = f"```\n{text[-MOST_NOTE_CHARACTERS:]}\n```"
        if run.data.tags.get(NOTE) != note:
            client.set_tag(run.info.run_id, NOTE, note)
            client.log_text(run.info.run_id, text, "traceback.txt")


def log_cost(store: Path, *, sweep: str, job: int, metrics: Mapping[str, float]) -> None:
    """Log metrics `cost/...` on the job's parent runs, in dollars or as their names say."""
    client = open_store(store)
    for run in parents(runs_of(client, f"{sweep}/{job}/")):
        log_changed(client, run, {f"cost/{name}": value for name, value in metrics.items()})


def sweep_summary(
    store: Path,
    *,
    sweep: str,
    costs: Mapping[str, float],
    jobs: Mapping[str, int],
    params: Mapping[str, str],
    ended: bool,
    experiment: str | None = None,
) -> str:
    """The id of the one run that sums a sweep up, brought up to date.

    Args:
        costs: metrics `cost/...`, as planned_worst_usd, running_usd, settled_usd.
        jobs: metrics `jobs/...`, the number of jobs in each state.
        params: where the prices come from, and their date; the first word on each stands.
        ended: whether all jobs have come to an end.
        experiment: as for `record_failure`.
    """
    from mlflow.entities import Param

    client = open_store(store)
    found = runs_of(client, f"{sweep}/summary")
    if not found:
        tags = {RUN_UID: f"{sweep}/summary", "sweep": sweep, "level": "sweep"}
        experiment_id = experiment_for(client, store, sweep, experiment)
        found = [client.create_run(experiment_id, None, tags, f"sweep {sweep}")]
    [run] = found
    counts = {name.removeprefix("jobs/"): 0.0 for name in run.data.metrics if name.startswith("jobs/")}
    metrics = {f"cost/{name}": value for name, value in costs.items()}
    metrics |= {f"jobs/{state}": value for state, value in {**counts, **jobs}.items()}
    log_changed(client, run, metrics)
    new = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    if new:
        client.log_batch(run.info.run_id, params=new)
    if ended and not has_ended(run):
        client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def attempt_of(run: "Run") -> int:
    """The attempt that made the run."""
    return int(run.data.tags[ATTEMPT])


def point_key(point: "Metric") -> tuple[int, int, str]:
    """What tells a point of a metric's history from another; NaN is like itself."""
    return point.timestamp, point.step, repr(point.value)


def datasets_of(run: "Run") -> Sequence["DatasetInput"]:
    """The data sets that a run names."""
    return run.inputs.dataset_inputs if run.inputs is not None else []


def dataset_key(dataset: "DatasetInput") -> tuple[str, str]:
    """What tells a data set of a run from another."""
    return dataset.dataset.name, dataset.dataset.digest


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """The items in order, at most `size` at a time: MLflow takes no more at once."""
    return (items[start : start + size] for start in range(0, len(items), size))
