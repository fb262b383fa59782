"""Least times of contestants that take turns, and the lines of a table of ratios.

Absolute figures of a shared machine mean little; the ratio of two things that took turns in one run means something.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Call = Callable[[], object]


def cpu_s(*contestants: Call, runs: int = 7, turns: int = 2) -> list[float]:
    """Least CPU seconds of each."""
    return _least(time.process_time, contestants, runs, turns)


def wall_s(*contestants: Call, runs: int = 7, turns: int = 2) -> list[float]:
    """Least seconds of each."""
    return _least(time.perf_counter, contestants, runs, turns)


def _least(clock: Callable[[], float], contestants: tuple[Call, ...], runs: int, turns: int) -> list[float]:
    """Each goes `turns` times in a row, to find its own data in the cache; garbage is collected in between."""
    least = [float("inf")] * len(contestants)
    gc.disable()
    try:
        for _ in range(runs):
            for position, contestant in enumerate(contestants):
                gc.collect()
                for _ in range(turns):
                    started = clock()
                    contestant()
                    least[position] = min(least[position], clock() - started)
    finally:
        gc.enable()
    return least


class Inside:
    """While it lasts, measures the CPU seconds spent inside one function of a module: the least of its calls."""

    def __init__(self, module: Any, name: str) -> None:
        self.module, self.name, self.original = module, name, getattr(module, name)
        self.least_s = float("inf")

    def __enter__(self) -> "Inside":
        setattr(self.module, self.name, self._timed)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(self.module, self.name, self.original)

    def _timed(self, *args: Any, **named: Any) -> Any:
        started = time.process_time()
        result = self.original(*args, **named)
        self.least_s = min(self.least_s, time.process_time() - started)
        return result


@dataclass(frozen=True, kw_only=True)
class Line:
    """One claim: what was measured, and a ratio that a gate may bound."""

    claim: str
    ours: str
    other: str = ""
    ratio: float | None = None
    gate: float | None = None
    at_most: bool = False
    """whether the gate bounds the ratio from above"""

    @property
    def met(self) -> bool:
        if self.ratio is None or self.gate is None:
            return True
        return self.ratio <= self.gate if self.at_most else self.ratio >= self.gate

    def cells(self) -> tuple[str, ...]:
        """The line as a table shows it."""
        ratio = "" if self.ratio is None else f"{self.ratio:,.3g}" if self.ratio < 100 else f"{self.ratio:,.0f}"
        gate = "" if self.gate is None else f"{'<=' if self.at_most else '>='} {self.gate:g}"
        return self.claim, self.ours, self.other, ratio, gate, "" if self.gate is None else "yes" if self.met else "NO"


HEADER = ("", "botscalp", "the other", "ratio", "gate", "met")


def markdown(lines: list[Line]) -> str:
    """The lines as a table."""
    rows = [HEADER, ("---",) * len(HEADER), *(line.cells() for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def ms(seconds: float) -> str:
    """Seconds, readable."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def ns(seconds: float, bars: int) -> str:
    """Seconds a bar."""
    return f"{seconds / bars * 1e9:.2f} ns/bar"
