"""What a person sees while a sweep works elsewhere: one live line on a terminal, a plain line per change elsewhere."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich import get_console
from rich.status import Status

from hydra_plugins.hydra_ec2_launcher.cloud.cost import Cost
from hydra_plugins.hydra_ec2_launcher.home.sweep import Outcome, Sweep

log = logging.getLogger(__name__)


class Progress:
    """State, elapsed time, dollars, jobs and the GPU's load."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.began = time.monotonic()
        self.said: Mapping[str, int] = {}
        self.status = Status("starting", console=get_console())
        self.live = get_console().is_terminal

    def __enter__(self) -> "Progress":
        if self.live:
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        self.status.stop()

    def show(self, state: Mapping[str, Any], cost: Cost | None) -> None:
        """Say how the machine's agent and the sweep stand."""
        counts = self.counts(state)
        line = status_line(counts, state.get("utilisation"), cost, elapsed_s=time.monotonic() - self.began)
        self.status.update(line)
        if not self.live and counts != self.said:
            log.info(line)
        self.said = counts

    def counts(self, state: Mapping[str, Any]) -> Mapping[str, int]:
        """How many jobs are in which state, those at home by their outcome."""
        there = state.get("jobs", {})
        outcomes = {job.num: self.sweep.outcome(job.num) for job in self.sweep.jobs()}
        return Counter(
            there.get(str(num), {}).get("state", "QUEUED") if outcome is None else outcome.state
            for num, outcome in outcomes.items()
        )

    def ended(self, outcome: Outcome) -> None:
        """Say that a job has ended and is home."""
        log.info("\t#%d %s%s", outcome.num, outcome.state, "" if outcome.state == "DONE" else f": {outcome.reason}")

    def unreachable(self, gone_s: float, error: Exception) -> None:
        """Say that the machine does not answer."""
        self.status.update(f"no answer for {gone_s:.0f} s; the jobs go on there ({str(error).splitlines()[0]})")


def status_line(
    counts: Mapping[str, int], utilisation: Mapping[str, Any] | None, cost: Cost | None, *, elapsed_s: float
) -> str:
    """For instance "12 min · 2 DONE, 3 RUNNING, 1 QUEUED · GPU 63 % · $0.31"."""
    parts = [f"{elapsed_s / 60:.0f} min", ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))]
    if utilisation:
        parts.append(f"GPU {utilisation['gpu_percent']:.0f} %")
    if cost is not None:
        parts.append(f"${cost.total_usd:.2f}")
    return " · ".join(parts)
