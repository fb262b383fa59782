"""What a person sees while a run works: plain lines, and where somebody watches a bar over windows and epochs."""

import logging
import os
import re
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from botscalp.whole_files import about
from botscalp.windows import Window

BAR_WIDTH = 20


class TerminalHandler(logging.Handler):
    """Writes log lines through rich's console, so that they appear above a live progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


class RunLog(logging.FileHandler):
    """log.txt. What cannot be written there is an error as elsewhere, and not a traceback for every line."""

    def emit(self, record: logging.LogRecord) -> None:
        with about(Path(self.baseFilename)):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name that logging gives it
        raise  # what `emit` is handling


def say(text: str) -> None:
    """Print the text as it is; on a terminal, folded to its width."""
    console = get_console()
    if console.is_terminal:
        text = folded(text, console.width)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def folded(text: str, width: int) -> str:
    """Lines as rows that fit, later rows below the text behind a line's label; no word is split, so paths can be copied."""
    return "\n".join(_rows(line, width) if len(line) > width else line for line in text.splitlines())


def _rows(line: str, width: int) -> str:
    label = re.match(r"\s*(?:\S+(?: \S+)*\s{2,})?", line)
    indent = label.end() if label and label.end() <= width // 4 else 2
    wrapped = textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapped)


def watched() -> bool:
    """Whether somebody looks on as lines change: not in a pipe, and not in a CI job, whose log keeps every change."""
    console = get_console()
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return console.is_terminal and not console.is_dumb_terminal and not in_ci


class FitProgress:
    """Bars that count the epochs of all the fits of a run, and of the one that runs; silent where nobody watches."""

    def __init__(self, *, epochs: int, shown: bool = True) -> None:
        self.pace = Pace(epochs)
        self.fit = FitPace()
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("epochs"),
            _Said(),
            console=get_console(),
            transient=True,
            disable=not (shown and watched()),
        )
        self.all = self.bars.add_task("all fits", total=epochs, said=self.pace.said)
        self.one = self.bars.add_task("", total=None, said=self.fit.said, visible=False)

    def __enter__(self) -> "FitProgress":
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def fit_started(self, title: str, *, epochs: int, samples: int) -> None:
        """Say which fit runs now, e.g. "gru window 3 (4/12)", its epochs at most, and the labelled rows of each."""
        self.fit.start(samples)
        self.bars.update(self.one, description=title, completed=0, total=epochs, visible=True)

    def epoch_finished(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Move the bars to `epoch` finished epochs of the running fit."""
        self.fit.reach(epoch, metrics["val/loss"])
        self.pace.reach(epoch)
        self.bars.update(self.one, completed=epoch)
        self.bars.update(self.all, completed=self.pace.done)

    def several_advanced(self, epochs: int) -> None:
        """Move the bar over all fits to so many finished epochs of the fits that run at once."""
        self.pace.reach(epochs)
        self.bars.update(self.all, completed=self.pace.done)

    def fit_finished(self, epochs: int, *, found: bool = False) -> None:
        """Count all epochs of the running fit as done, however early it stopped; a fit that was found took no time."""
        self.pace.finish(epochs, found=found)
        self.bars.update(self.all, completed=self.pace.done)


def place(window: Window, *, of: int) -> str:
    """A window's number, 0 for the oldest as in every file, and how far the run has come: "window 3 (4/12)"."""
    width = len(str(of - 1))
    return f"window {window.index:>{width}} ({window.index + 1:>{len(str(of))}}/{of})"


class Pace:
    """How long all fits have taken, and how long they may take yet.

    Args:
        epochs: of all fits, at most.
        clock: seconds, from any start.
    """

    def __init__(self, epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.epochs = epochs
        self.clock = clock
        self.began = clock()
        self.before = 0
        """epochs of the fits before the one that runs"""
        self.found = 0
        """epochs of those that were not fitted now"""
        self.done = 0
        self.left_s: float | None = None
        self.asked = self.began
        """when `left_s` was right"""

    def reach(self, epoch: int) -> None:
        """Note the finished epochs of the running fit."""
        self.done = self.before + epoch
        self._estimate()

    def finish(self, epochs: int, *, found: bool) -> None:
        """Note that a fit of at most so many epochs is done."""
        self.before += epochs
        self.found += epochs if found else 0
        self.done = self.before
        self._estimate()

    def _estimate(self) -> None:
        fitted = self.done - self.found
        self.asked = self.clock()
        self.left_s = None if fitted == 0 else (self.asked - self.began) / fitted * (self.epochs - self.done)

    def said(self) -> str:
        """For instance "2 min, ETA 5 min"."""
        now = self.clock()
        eta = "" if self.left_s is None else f", ETA {lasting(max(self.left_s - (now - self.asked), 0.0))}"
        return f"{lasting(now - self.began)}{eta}"


class FitPace:
    """How fast the running fit trains."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start(0)

    def start(self, samples: int) -> None:
        """Note that a fit begins, of so many labelled rows an epoch."""
        self.samples = samples
        self.began = self.clock()
        self.text = ""

    def reach(self, epoch: int, loss: float) -> None:
        """Note the finished epochs of the fit, and its loss on the stopping rows."""
        seconds = max(self.clock() - self.began, 1e-9)
        self.text = f"{self.samples * epoch / seconds:,.0f} samples/s, loss {loss:.5f}"

    def said(self) -> str:
        """For instance "17,939 samples/s, loss 0.68993"."""
        return self.text


class _Said(ProgressColumn):
    """What a task says of itself at this moment."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        said: Callable[[], str] = task.fields["said"]
        return Text(said())


def lasting(seconds: float) -> str:
    """A time as people say it: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
