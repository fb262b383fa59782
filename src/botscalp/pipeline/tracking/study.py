"""A study's own place in MLflow: colours that tell its runs apart, a view that shows what matters, and a line about it."""

from pathlib import Path
from typing import TYPE_CHECKING

from botscalp.pipeline.tracking.colours import COLOUR, distinct
from botscalp.pipeline.tracking.notes import study_note
from botscalp.pipeline.tracking.store import alone, runs_of
from botscalp.pipeline.tracking.view import VIEW, differing, shared_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

NOTE = "mlflow.note.content"
"""the tag that holds a run's or an experiment's description"""


def present_study(client: "MlflowClient", experiment_id: str, store: Path) -> "list[Run]":
    """Bring the study's colours, view and note up to date, and return its runs, the oldest first."""
    with alone(store):  # MLflow takes two first values of one tag for a fault
        return _presented(client, experiment_id, store)


def _presented(client: "MlflowClient", experiment_id: str, store: Path) -> "list[Run]":
    runs = runs_of(client, experiment_id)
    for run, colour in zip(runs, distinct([run.data.tags.get(COLOUR) for run in runs]), strict=True):
        if run.data.tags.get(COLOUR) != colour:
            client.set_tag(run.info.run_id, COLOUR, colour)
    trained = [run for run in runs if "kind" not in run.data.tags]
    experiment = client.get_experiment(experiment_id)
    tags = {
        VIEW: shared_view(
            differing([run.data.params for run in trained]),
            [metric for run in runs for metric in run.data.metrics],
            created_ms=experiment.creation_time or 0,
        ),
        NOTE: study_note([run.data.tags.get("verdict") for run in trained], experiment.name, store),
        "mlflow.experimentKind": "custom_model_development",
    }
    for key, value in tags.items():
        if experiment.tags.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return runs
