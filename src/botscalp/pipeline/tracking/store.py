"""The tracking store: sqlite under the job's folder, and what is found in it.

It is created once and under a lock before anything is logged: processes that create its schema at the same time corrupt it. It
is created aside, too: that takes seconds, and a process that is killed in them would leave half a schema, which nothing opens again.
"""

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botscalp.errors import UserError
from botscalp.options import nearest

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from sqlalchemy.engine.interfaces import DBAPIConnection

WAIT_S = 60
"""for a database that other processes are writing to"""
MOST_RUNS = 50_000
"""that one search of MLflow's returns"""


def open_store(store: Path, study: str) -> "tuple[MlflowClient, str, str]":
    """The client of the store, the id of the study's experiment, and the store's address; created where missing.

    Raises:
        UserError: the study was deleted in the tracking store, or that does not answer.
    """
    root = store.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with alone(store), answering(store):
        _create(root / "mlflow.db")
        _try_writing(root / "mlflow.db")
        client = client_of(store)
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            artifacts = (root / "artifacts" / study).as_uri()
            return client, client.create_experiment(study, artifact_location=artifacts), address(store)
    if experiment.lifecycle_stage == "deleted":
        raise UserError("study", study, "this study was deleted in MLflow", "restore it there, or choose another name")
    return client, experiment.experiment_id, address(store)


def _create(database: Path) -> None:
    """Make the store's tables, unless they are there: whole or not at all."""
    if database.exists():
        return
    aside = database.with_name(f".{database.name}")
    for left in aside.parent.glob(f"{aside.name}*"):
        left.unlink()  # by a killed process; a journal would be played back into the new file
    _client(aside).search_experiments(max_results=1)
    os.replace(aside, database)


def alone(store: Path) -> "BaseFileLock":
    """Held while something is read from the store and written back by what it says: others may be at the same."""
    from filelock import FileLock

    return FileLock(store.resolve() / "mlflow.lock")


def client_of(store: Path) -> "MlflowClient":
    """The client of the store.

    Raises:
        UserError: the database does not answer. MLflow would ask it again and again, for minutes.
    """
    with answering(store):
        _try_reading(store.resolve() / "mlflow.db")
        return _client(store.resolve() / "mlflow.db")


def _client(database: Path) -> "MlflowClient":
    """MLflow and what it brings are told to be quiet, and to tell nobody."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # errors reach us, and need no traceback too
    from mlflow import MlflowClient
    from sqlalchemy import Engine, event

    if not event.contains(Engine, "connect", _patient):
        event.listen(Engine, "connect", _patient)
    return MlflowClient(tracking_uri=f"sqlite:///{database}")


def store_errors() -> tuple[type[Exception], ...]:
    """What a store raises that does not answer, or does not take what is recorded."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, sqlite3.Error, OSError


@contextmanager
def answering(store: Path) -> Iterator[None]:
    """Errors of the database inside are the user's to mend.

    Raises:
        UserError: it does not answer.
    """
    try:
        yield
    except store_errors() as error:
        if isinstance(error, OSError) or getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
            raise  # what the system says is clear by itself, and so is what is wrong with a name
        problem = f"its tracking database mlflow.db does not answer: {reason(error)}"
        remedy = (
            "make room on a full disk, mend its permissions, or end what holds it; a damaged one may be moved away, and a new "
            "one is made; or record nothing: tracking=none"
        )
        raise UserError("store", store, problem, remedy) from error


def reason(error: BaseException) -> str:
    """Why the store does not answer, in a line: what SQLite said, which MLflow and SQLAlchemy wrap in lines of their own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).partition("\n")[0]


def _try_reading(database: Path) -> None:
    if database.exists():
        with closing(_connection(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _try_writing(database: Path) -> None:
    """Up to a first change, which is taken back."""
    if database.exists():
        with closing(_connection(database)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.rollback()


def _connection(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=WAIT_S, isolation_level=None)


def _patient(connection: "DBAPIConnection", record: object) -> None:
    """Let SQLite wait for others who write: by itself it gives up after five seconds, which a loaded machine takes.

    MLflow asks for patience too, but not before its first look at a store.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {WAIT_S * 1000}")


def database_of(store: Path) -> Path:
    """The store's file.

    Raises:
        UserError: there is none.
    """
    database = store.resolve() / "mlflow.db"
    if not database.is_file():
        raise UserError("store", store, "no runs are tracked in it", "make some with `train`, or name another store")
    return database


def address(store: Path) -> str:
    """The store as MLflow names it."""
    return f"sqlite:///{store.resolve() / 'mlflow.db'}"


def artifacts_of(run_id: str, store: Path) -> Path | None:
    """The artifact folder of the run with that id, None where the store knows none."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(run_id=run_id, tracking_uri=address(store)))
    except MlflowException:
        return None


def studies_of(client: "MlflowClient") -> dict[str, str]:
    """The ids of the store's studies, by their names."""
    studies = {experiment.name: str(experiment.experiment_id) for experiment in client.search_experiments()}
    studies.pop("Default", None)  # MLflow's own
    return studies


def runs_of(client: "MlflowClient", experiment_id: str, condition: str = "") -> "list[Run]":
    """The study's runs, its windows' left out, oldest first; of those, the ones that answer the condition."""
    query = " and ".join(["tags.level = 'study'", *([condition] if condition else [])])
    return list(
        client.search_runs([experiment_id], query, max_results=MOST_RUNS, order_by=["attributes.start_time ASC"])
    )


def finished_runs(store: Path, study: str) -> list[Path]:
    """The artifact folders of the study's finished runs, oldest first; those that traded stored predictions again are left out.

    Raises:
        UserError: the store holds no such study.
    """
    database_of(store)
    client = client_of(store)
    studies = studies_of(client)
    if study not in studies:
        raise UserError("study", study, f"no such study in {store}", nearest(study, studies))
    runs = runs_of(client, studies[study], "attributes.status = 'FINISHED'")
    folders = [artifacts_of(run.info.run_id, store) for run in runs if "kind" not in run.data.tags]
    return [folder for folder in folders if folder is not None]


def unfinished_runs(store: Path, study: str) -> dict[str, int]:
    """How many runs of a study that there is did not finish, by their status, such as KILLED."""
    client = client_of(store)
    runs = runs_of(client, studies_of(client)[study], "attributes.status != 'FINISHED'")
    return dict(sorted(Counter(str(run.info.status) for run in runs).items()))
