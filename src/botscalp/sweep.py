"""What a sweep on this machine says: a line as each job starts and ends, and at the end a table of all.

Hydra calls it back by conf/train.yaml. Launchers that run jobs elsewhere have a progress of their own, and it keeps quiet there.
"""

import json
import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from botscalp.report.numbers import figure

BASIC = ("hydra._internal.core_plugins.basic_launcher", "hydra._internal.core_plugins.basic_sweeper")
"""the modules of Hydra's own launcher, which runs jobs one after another in this process, and of its own sweeper"""


@dataclass(frozen=True, kw_only=True)
class EndedJob:
    """What is left of a job of a sweep."""

    number: int
    """0 for the first, as its folder is called"""
    differs: str
    """the swept keys with its values, e.g. "model=gru label.horizon=6" """
    folder: Path
    study: str
    store: str
    summary: Mapping[str, Any] | None
    """what summary.json holds; None where there is none"""
    failure: str | None
    """why it failed, in a line"""

    @property
    def cells(self) -> tuple[str, ...]:
        """Its title, what differs, the verdict, the mean net trade and the AUC; or why there is none of these."""
        if self.summary is None:
            return "-", self.differs, "FAILED" if self.failure else "done", self.failure or "", ""
        backtest, intervals = self.summary["backtest"], self.summary["intervals"]
        return (
            self.summary["title"],
            self.differs,
            self.summary["verdict"]["outcome"],
            figure(backtest["mean_net_bps"], intervals["backtest"]["mean_net_bps"], "+.2f"),
            figure(self.summary["metrics"]["auc"], intervals["test"]["auc"], ".4f"),
        )


class SweepProgress(Callback):
    """Counts the jobs of a sweep as they come and go."""

    def __init__(self) -> None:
        self.total = 0
        """jobs of the sweep; 0 where there is none, or somebody else runs it"""
        self.swept: frozenset[str] = frozenset()
        self.began = 0.0
        self.ended: list[EndedJob] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs to come."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        ours = config.hydra.launcher._target_, config.hydra.sweeper._target_
        if any(not target.startswith(f"{module}.") for target, module in zip(ours, BASIC, strict=True)):
            return
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
        overrides = parser.parse_overrides([*params, *config.hydra.overrides.task])
        self.total = sum(map(len, BasicSweeper.split_arguments(overrides, None)))
        counting = {one.get_key_element(): one for one in overrides}  # of a key that is typed twice the last word
        self.swept = frozenset(key for key, one in counting.items() if one.is_sweep_override())
        self.began = time.monotonic()
        logging.getLogger(BASIC[0]).setLevel(logging.WARNING)  # it would say the same

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Say which job begins, and how long the rest may take."""
        from botscalp.pipeline.progress import say

        if self.total:
            eta = self._eta()
            words = config.hydra.overrides.task
            say(f"\n{self._place(config.hydra.job.num)}  {self._differs(words)}{f'  ETA {eta}' if eta else ''}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Say what came of the job; after the last one, of all."""
        from botscalp.pipeline.progress import say

        if not self.total:
            return
        self.ended.append(_ended(config, job_return, self._differs(config.hydra.overrides.task)))
        say(f"{self._place(config.hydra.job.num)}  {_outcome(self.ended[-1])}")
        if len(self.ended) == self.total:
            took_s = time.monotonic() - self.began
            say("\n".join([*table(self.ended, took_s=took_s), "", str(Path(config.hydra.sweep.dir).resolve())]))

    def _place(self, number: int) -> str:
        return f"job {number} ({number + 1}/{self.total})"

    def _differs(self, words: Sequence[str]) -> str:
        return " ".join(word for word in words if word.partition("=")[0] in self.swept)

    def _eta(self) -> str | None:
        from botscalp.pipeline.progress import lasting

        if not self.ended:
            return None
        each_s = (time.monotonic() - self.began) / len(self.ended)
        return lasting(each_s * (self.total - len(self.ended)))


def table(jobs: Sequence[EndedJob], *, took_s: float) -> Iterator[str]:
    """All jobs of a sweep, a line each, and the command that compares those that have figures."""
    from botscalp.pipeline.progress import lasting

    yield ""
    yield f"{len(jobs)} jobs in {lasting(took_s)}, each in the folder of its number"
    head = ("job", "run", "what differs", "verdict", "net bps a trade", "AUC")
    rows = [(str(job.number), *job.cells) for job in jobs]
    widths = [
        max(len(row[column]) for row, job in zip([head, *rows], [None, *jobs], strict=True) if _fits(job, column))
        for column in range(len(head))
    ]
    for row in (head, *rows):
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    scored = [job for job in jobs if job.summary is not None]
    if len(scored) > 1:
        yield ""
        yield f"compare them: python -m botscalp.compare {' '.join(map(shlex.quote, _compared(scored)))}"


def _fits(job: EndedJob | None, column: int) -> bool:
    """Whether a cell counts for its column's width: a failure's reason runs over the rest of the line."""
    return job is None or job.summary is not None or column < len(job.cells) - 1


def _compared(jobs: Sequence[EndedJob]) -> list[str]:
    """The words that name these runs to `compare`."""
    store = {f"store={job.store}" for job in jobs if job.store != "mlruns"}
    studies = {job.study for job in jobs}
    if len(studies) == 1 and all(job.summary and job.summary["mlflow"] for job in jobs):
        return [f"study={studies.pop()}", *store]
    return [f"runs=[{','.join(str(job.folder) for job in jobs)}]", *store]


def _ended(config: DictConfig, done: JobReturn, differs: str) -> EndedJob:
    folder = Path(config.hydra.runtime.output_dir)
    path = folder / "summary.json"
    failure = None
    if done.status is JobStatus.FAILED:
        error = done._return_value  # `return_value` would print and raise it, as Hydra does when all jobs are done
        first = str(error).partition("\n")[0]
        failure = first if isinstance(error, ValueError) else f"{type(error).__name__}: {first}"
    return EndedJob(
        number=config.hydra.job.num,
        differs=differs,
        folder=folder,
        study=str(config.get("study")),
        store=str(config.get("store")),
        summary=json.loads(path.read_text()) if path.is_file() else None,
        failure=failure,
    )


def _outcome(job: EndedJob) -> str:
    """What came of it, in a line."""
    if job.summary is None:
        return f"failed: {job.failure}" if job.failure else "done"
    _, _, outcome, net, auc = job.cells
    return f"{outcome}, net {net} bps a trade, AUC {auc}"
