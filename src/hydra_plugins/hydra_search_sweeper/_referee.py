"""Who judges trials: the application's own referee, or one that takes what a job returns for a number."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from numbers import Real
from typing import Any, Literal, Protocol

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

log = logging.getLogger(__name__)

Plan = dict[str, Any]
"""facts about a study that all its commands share, as JSON"""


class Outcome(Protocol):
    """What a trial came to."""

    @property
    def state(self) -> Literal["complete", "pruned", "failed"]: ...
    @property
    def value(self) -> float | None:
        """What is optimised; of a pruned trial an estimate."""

    @property
    def steps(self) -> Mapping[int, float]:
        """Intermediate values by step, for the sampler."""

    @property
    def reason(self) -> str:
        """Why it was pruned or failed, in a line."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Kept with the trial, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial as the study holds it."""

    number: int
    params: Mapping[str, Any]
    """searched keys with their values"""
    state: Literal["running", "complete", "pruned", "failed"]
    value: float | None
    reason: str
    facts: Mapping[str, Any]
    words: tuple[str, ...]
    """all overrides of its job"""
    folder: str
    """of its job"""
    started: datetime | None
    ended: datetime | None


class Shown(Protocol):
    """What a person sees while trials run."""

    def begun(self, numbers: Sequence[int]) -> None:
        """Trials run now."""

    def ended(self, trial: Trial) -> None:
        """One came to its end."""


class Referee(Protocol):
    """What a search leaves to its application."""

    direction: Literal["maximize", "minimize"]

    def plan(self, config: DictConfig, swept: Sequence[str]) -> Plan:
        """Facts about the study, found before the first trial of each command; ValueError where no search is possible."""

    def words(self, plan: Plan, number: int, ended: Sequence[Trial]) -> list[str]:
        """Overrides that a trial's job gets beside its parameters, given the trials that have ended."""

    def outcome(self, returned: Any) -> Outcome:
        """What a job's return value means."""

    def showing(self, plan: Plan, trials: Sequence[Trial], n_trials: int) -> AbstractContextManager[Shown]:
        """Show the trials of the block; `trials` had ended before."""

    def conclude(
        self,
        plan: Plan,
        trials: Sequence[Trial],
        importance: Mapping[str, float] | None,
        run: Callable[[Sequence[str], str], JobReturn],
    ) -> None:
        """Say what was found; `run(words, name)` launches one more job, in the folder `name` of the sweep."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """The outcome of a job that returned a number, or did not."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None
    reason: str = ""
    steps: Mapping[int, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class PlainReferee:
    """Minimizes what jobs return; those of a grid may return anything, for nothing is optimised."""

    direction: Literal["maximize", "minimize"] = "minimize"

    def __init__(self, *, needs_value: bool) -> None:
        self.needs_value = needs_value

    def plan(self, config: DictConfig, swept: Sequence[str]) -> Plan:
        return {}

    def words(self, plan: Plan, number: int, ended: Sequence[Trial]) -> list[str]:
        return []

    def outcome(self, returned: Any) -> Outcome:
        number = isinstance(returned, Real) and math.isfinite(returned)
        if number or not self.needs_value:
            return Number(state="complete", value=float(returned) if number else None)
        return Number(state="failed", value=None, reason=f"it returned {returned!r}, which is no number to optimise")

    @contextmanager
    def showing(self, plan: Plan, trials: Sequence[Trial], n_trials: int) -> Iterator["PlainReferee"]:
        yield self

    def begun(self, numbers: Sequence[int]) -> None:
        """The launcher says so."""

    def ended(self, trial: Trial) -> None:
        """A line."""
        log.info("trial %d: %s", trial.number, trial.reason or trial.value)

    def conclude(
        self,
        plan: Plan,
        trials: Sequence[Trial],
        importance: Mapping[str, float] | None,
        run: Callable[[Sequence[str], str], JobReturn],
    ) -> None:
        known = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
        if known:
            best = min(known, key=lambda trial: trial.value or 0.0)
            log.info("best of %d trials: %d, %g with %s", len(trials), best.number, best.value, dict(best.params))
