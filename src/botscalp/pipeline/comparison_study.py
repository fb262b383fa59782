"""What a study tried beside its finished runs."""

from collections import Counter
from pathlib import Path


def unfinished_runs(store: Path, study: str) -> dict[str, int]:
    """The study's runs that did not finish, by their status in MLflow, such as KILLED."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store.resolve() / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    query = "tags.level = 'study' and attributes.status != 'FINISHED'"
    runs = client.search_runs([experiment.experiment_id], query, max_results=50_000)
    return dict(sorted(Counter(str(run.info.status) for run in runs).items()))
