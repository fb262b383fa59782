"""What is recorded of a run: what is known before it begins, each window as it is fitted, and the result."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from botscalp.pipeline.ledger import Search, Trial
from botscalp.pipeline.window import FittedWindow
from botscalp.windows import Window


@dataclass(frozen=True, kw_only=True)
class TrackedDataset:
    """The bars that a run is made on."""

    name: str
    digest: str
    """sha256"""
    source: str
    rows: int
    start: str
    """open of the first bar, UTC text"""
    end: str
    """close of the last"""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From the block `data` of summary.json."""
        shown = {name: data[name] for name in ("digest", "source", "rows", "start", "end")}
        return cls(name=", ".join(data["markets"]), **shown)


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
    dataset: TrackedDataset | None = None


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
            metrics={
                **shown,
                "time/fit_s": fit.fit_s,
                "time/epochs": len(fit.history),
                "time/samples_per_s": fit.samples / fit.fit_s,
            },
        )


@dataclass(frozen=True, kw_only=True)
class WindowFigures:
    """What is known of a window only when all of them are traded."""

    index: int
    test_start_ns: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class TrackedResult:
    """What a run came to."""

    metrics: Mapping[str, float | None]
    """in this order: MLflow's comparison preselects the first"""
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    """the run's description, in Markdown"""
    windows: Sequence[WindowFigures] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """rows by the table's name; each becomes tables/<name>.json, which MLflow shows as a table"""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run begins."""

    time_ms: int
    run_id: str
    """in MLflow"""
    tags: Mapping[str, str]
    """with those that say whose it is"""
    new: NewRun


@dataclass(frozen=True, kw_only=True)
class Windowed:
    """A window is fitted."""

    time_ms: int
    window: TrackedWindow


@dataclass(frozen=True, kw_only=True)
class Resulted:
    """All windows are traded and judged."""

    time_ms: int
    result: TrackedResult
    folder: Path
    """whose files become artifacts"""


class Sample(NamedTuple):
    """A figure of the machine."""

    name: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The run is over."""

    time_ms: int
    status: str
    machine: Sequence[Sample]
    """what it did meanwhile"""


Record = Begun | Windowed | Resulted | Ended
"""what is recorded of a run, in this order; windows as many as there are, a result unless it failed before"""


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
    def log_result(self, result: TrackedResult, folder: Path) -> None:
        """Record the result, and the folder's files."""
        ...


class Tracking(Protocol):
    """An option of the tracking group."""

    def run(self, new: NewRun) -> AbstractContextManager[TrackedRun]:
        """Record a run while the block lasts; its status tells how the block ended."""
        ...
