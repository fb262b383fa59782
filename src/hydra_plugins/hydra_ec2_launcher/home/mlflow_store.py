"""MLflow's stores, opened with care: the one at home, and copies of those that jobs fill elsewhere."""

import atexit
import hashlib
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

RUN_UID = "botscalp.run_uid"
"""<sweep>/<job>/<run id on the machine>; the last part differs for runs that are made at home"""
PARENT = "mlflow.parentRunId"
MOST_RUNS = 50_000


class SnapshotError(ValueError):
    """The copy of a job's store cannot be read here."""


@contextmanager
def not_fatal(what: str, level: int = logging.WARNING) -> Iterator[None]:
    """The block in which what goes wrong with MLflow is told, and ends no sweep: the files are home, and a machine is paid."""
    try:
        yield
    except Exception as error:
        log.log(level, "%s: %s", what, str(error).partition("\n")[0])


def open_store(store: Path) -> "MlflowClient":
    """The client of the store in that folder; created where missing, under the lock that all its writers use for that."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from filelock import FileLock
    from mlflow import MlflowClient

    root = store.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "mlflow.lock"):
        client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        client.search_experiments(max_results=1)  # the schema is created by the first use
    return client


def open_experiment(client: "MlflowClient", store: Path, name: str) -> str:
    """The id of the experiment; created where missing.

    Raises:
        ValueError: it was deleted, or its name would put artifacts outside of the store.
    """
    from filelock import FileLock

    root = store.resolve()
    artifacts = root / "artifacts" / name
    if not artifacts.resolve().is_relative_to((root / "artifacts").resolve()):
        raise ValueError(f"experiment {name!r}: its name leads out of {root}\n  remedy: choose another name")
    with FileLock(root / "mlflow.lock"):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return str(client.create_experiment(name, artifact_location=artifacts.as_uri()))
    if experiment.lifecycle_stage == "deleted":
        raise ValueError(f"experiment {name}: it was deleted in {root / 'mlflow.db'}\n  remedy: restore it there")
    return str(experiment.experiment_id)


def experiment_for(client: "MlflowClient", store: Path, sweep: str, name: str | None) -> str:
    """The id of the named experiment, or of the one in which the sweep's runs are."""
    found = runs_of(client, f"{sweep}/") if name is None else []
    return found[0].info.experiment_id if found else open_experiment(client, store, name or sweep)


def open_copy(database: Path) -> "MlflowClient":
    """The client of a copy of that file.

    MLflow writes to what it opens, and keeps it open until the process ends: so there is one copy for each name, and
    newer content gets into it by SQLite's own way, which those who have it open notice.
    """
    from mlflow import MlflowClient

    copy = _copies() / f"{hashlib.sha256(bytes(database.resolve())).hexdigest()}.db"
    try:
        with closing(_read_only(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise SnapshotError(f"{database}: cannot be read: {error}") from error
    return MlflowClient(tracking_uri=f"sqlite:///{copy}")


def require_same_schema(database: Path, ours: Path) -> None:
    """Refuse a store that was made by a version of MLflow with another schema."""
    from mlflow.version import VERSION

    there, here = schema_revision(database), schema_revision(ours)
    if there != here:
        remedy = "install the same version of MLflow on both sides"
        raise SnapshotError(
            f"{database}: its schema is {there}, and MLflow {VERSION} here has {here}\n  remedy: {remedy}"
        )


def schema_revision(database: Path) -> str:
    """Which schema an MLflow database has."""
    try:
        with closing(_read_only(database)) as connection:
            [[revision]] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except (sqlite3.Error, ValueError) as error:
        raise SnapshotError(f"{database}: no database of MLflow: {error}") from error
    return str(revision)


def runs_in(client: "MlflowClient", query: str = "", *, deleted: bool = False, **order: Any) -> Sequence["Run"]:
    """The runs of all experiments that answer the query."""
    from mlflow.entities import ViewType

    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    return client.search_runs(ids, query, view, max_results=MOST_RUNS, **order)


def runs_of(client: "MlflowClient", prefix: str, *, deleted: bool = False) -> Sequence["Run"]:
    """The imported runs whose uid begins so."""
    found = runs_in(client, f"tags.`{RUN_UID}` LIKE '{prefix}%'", deleted=deleted)
    return [run for run in found if run.data.tags[RUN_UID].startswith(prefix)]  # LIKE takes _ for any character


def parents(runs: Iterable["Run"]) -> Sequence["Run"]:
    """Those that are nobody's child."""
    return [run for run in runs if PARENT not in run.data.tags]


def has_ended(run: "Run") -> bool:
    """Whether nothing more is expected of it."""
    return run.info.status not in ("RUNNING", "SCHEDULED")


def log_changed(client: "MlflowClient", run: "Run", metrics: Mapping[str, float]) -> None:
    """Log the metrics whose last value is another."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    changed = {name: value for name, value in metrics.items() if run.data.metrics.get(name) != value}
    if changed:
        client.log_batch(run.info.run_id, metrics=[Metric(name, value, now_ms, 0) for name, value in changed.items()])


def _read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)


@cache
def _copies() -> Path:
    """A folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="mlflow-copies-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
