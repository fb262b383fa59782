"""tracking=none: the run folder is all there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botscalp.pipeline.tracking.recording import NewRun, TrackedResult, TrackedWindow


@dataclass(frozen=True)
class NoTracking:
    """Records nothing."""

    location = None

    @contextmanager
    def run(self, new: NewRun) -> "Iterator[NoTracking]":
        yield self

    def search(self, sharpes: Sequence[float | None]) -> None:
        """Nothing is known."""

    def log_window(self, window: TrackedWindow) -> None:
        """Nothing to do."""

    def log_result(self, result: TrackedResult, folder: Path) -> None:
        """Nothing to do."""
