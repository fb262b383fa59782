"""Where a run's time goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from botscalp.pipeline.process_start import age_s


class Stopwatch:
    """Seconds by stage. The first of a process counts the process's own start as stage "startup"."""

    _first = True

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"startup": 0.0}
        if Stopwatch._first:
            self.seconds["startup"] = age_s()
            Stopwatch._first = False
        self._started = time.perf_counter() - self.seconds["startup"]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to the stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere to the stage."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self._started
