"""What a person sees while a run works: plain lines, and on a terminal a bar over windows and epochs."""

import logging
from collections.abc import Mapping
from types import TracebackType

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TerminalHandler(logging.Handler):
    """Writes log lines through rich's console, so that they appear above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        get_console().print(line, markup=False, highlight=False, soft_wrap=True)


class FitProgress:
    """A bar that counts epochs over all the fits of a run; silent where stdout is no terminal."""

    def __init__(self, *, epochs: int) -> None:
        self.finished_epochs = 0
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left  {task.fields[loss]}"),
            console=get_console(),
            transient=True,
            disable=not get_console().is_terminal,
        )
        self.task = self.bar.add_task("starting", total=epochs, loss="")

    def __enter__(self) -> "FitProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def fit_started(self, title: str) -> None:
        """Say which fit runs now, e.g. "gru window 3/12"."""
        self.bar.update(self.task, description=title)

    def epoch_finished(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Move the bar to `epoch` finished epochs of the running fit."""
        self.bar.update(
            self.task, completed=self.finished_epochs + epoch, loss=f"stopping loss {metrics['val/loss']:.5f}"
        )

    def fit_finished(self, epochs: int) -> None:
        """Count all epochs of the running fit as done, however early it stopped."""
        self.finished_epochs += epochs
        self.bar.update(self.task, completed=self.finished_epochs)
