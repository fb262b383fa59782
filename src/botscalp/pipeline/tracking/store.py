"""The tracking store: sqlite under the job's folder, and what is found in it.

It is created once and under a lock before anything is logged: processes that create its schema at the same time corrupt it. It
is created aside, too: that takes seconds, and a process that is killed in them would leave half a schema, which nothing opens again.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from botscalp.errors import UserError
from botscalp.options import nearest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MOST_RUNS = 50_000
"""that one search of MLflow's returns"""


def open_store(store: Path, study: str) -> "tuple[MlflowClient, str, str]":
    """The client of the store, the id of the study's experiment, and the store's address; created where missing.

    Raises:
        UserError: the study was deleted in the tracking store.
    """
    from filelock import FileLock

    root = store.resolve()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "mlflow.lock"):
        _create(root / "mlflow.db")
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
    for left in aside.parent.glob(f"{aside.name}*"):  # by a kill; a journal would be played back into the new file
        left.unlink()
    _client(aside).search_experiments(max_results=1)
    os.replace(aside, database)


def client_of(store: Path) -> "MlflowClient":
    """The client of the store."""
    return _client(store.resolve() / "mlflow.db")


def _client(database: Path) -> "MlflowClient":
    """MLflow and what it brings are told to be quiet, and to tell nobody."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{database}")


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
