"""Where runs are recorded so that a person can compare them: MLflow, or nowhere.

`recording.py` says what is recorded, `mlflow_run.py` writes it, `store.py` opens what it is written to. What a study's
pages show beside its runs is made in `study.py`: colours, the view, and a line about its verdicts.
"""

from botscalp.pipeline.tracking.mlflow_run import MlflowTracking
from botscalp.pipeline.tracking.nowhere import NoTracking
from botscalp.pipeline.tracking.orphans import OWNER, close_orphans
from botscalp.pipeline.tracking.recording import (
    NewRun,
    TrackedDataset,
    TrackedResult,
    TrackedRun,
    TrackedWindow,
    Tracking,
    WindowFigures,
)
from botscalp.pipeline.tracking.spool import replay
from botscalp.pipeline.tracking.store import artifacts_of, finished_runs, open_store, unfinished_runs

__all__ = [
    "OWNER",
    "MlflowTracking",
    "NewRun",
    "NoTracking",
    "TrackedDataset",
    "TrackedResult",
    "TrackedRun",
    "TrackedWindow",
    "Tracking",
    "WindowFigures",
    "artifacts_of",
    "close_orphans",
    "finished_runs",
    "open_store",
    "replay",
    "unfinished_runs",
]
