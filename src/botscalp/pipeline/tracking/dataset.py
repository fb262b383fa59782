"""The bars of a run as MLflow's data set."""

import json
from typing import TYPE_CHECKING

from botscalp.pipeline.tracking.recording import TrackedDataset

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "walk-forward"
"""what the bars are used for: no part of them is for training or testing alone"""
MOST_NAME, MOST_DIGEST = 500, 12
"""characters; MLflow takes 36 of a digest, and the terminal shows these"""


def dataset_input(data: TrackedDataset) -> "DatasetInput":
    """What `log_inputs` takes."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {"num_rows": data.rows, "first_bar": data.start, "last_bar_ends": data.end, "sha256": data.digest}
    dataset = Dataset(
        name=data.name[:MOST_NAME],
        digest=data.digest[:MOST_DIGEST],
        source_type=data.source,
        source=json.dumps({"source": data.source}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", CONTEXT)])
