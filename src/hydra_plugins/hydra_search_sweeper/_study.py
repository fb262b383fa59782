"""A study on disk: its trials, who runs them, and what becomes of those whose process is gone.

Each command that works on a study holds a file lock beside the storage for as long as its process lives, however that ends. A
trial that runs belongs to the command whose lock it names; where nobody holds that lock any more, another command takes the
trial over: the same number, the same overrides, the same folder.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import check_distribution_compatibility
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from ._locks import alone, forget_the_gone, held, released
from ._referee import Outcome, Plan, Trial
from ._spaces import Space, combinations

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""processes that a trial may take with it"""
STATES = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
WAIT_S = 60.0
"""for a database that another command is writing to"""
SAMPLERS = ("tpe", "random", "grid")
Words = Callable[[int, Mapping[str, Any], Sequence[Trial]], list[str]]
"""all overrides of a trial, by its number, its parameters, and the trials that had ended"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trial that is to be run now."""

    number: int
    words: tuple[str, ...]
    attempts: int
    """this one included"""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study, and this command's part in it."""

    study: optuna.Study
    spaces: Sequence[Space]
    sampler: str
    seed: int
    grid: Sequence[Mapping[str, Any]]
    """its trials' parameters, where it is one"""
    n_trials: int
    owner: str
    storage: Path | None
    folder: Path
    """of the sweep"""

    @classmethod
    @contextmanager
    def opened(
        cls,
        spaces: Sequence[Space],
        *,
        storage: Path | None,
        name: str | None,
        direction: Literal["minimize", "maximize"],
        sampler: str,
        seed: int,
        n_trials: int,
        folder: Path,
    ) -> "Iterator[Study]":
        """The study of that name, made where there is none; this command works on it while the block lasts."""
        if sampler not in SAMPLERS:
            raise ValueError(
                f"hydra.sweeper.sampler={sampler}: no such sampler\n  remedy: one of {', '.join(SAMPLERS)}"
            )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        grid = list(combinations(spaces)) if sampler == "grid" else []
        owner = uuid.uuid4().hex
        with held(storage, owner):
            with alone(storage, "lock"):
                forget_the_gone(storage)
                found = optuna.create_study(
                    storage=_backend(storage), study_name=name, direction=direction, load_if_exists=True
                )
            study = cls(
                study=found,
                spaces=spaces,
                sampler=sampler,
                seed=seed,
                grid=grid,
                n_trials=n_trials,
                owner=owner,
                storage=storage,
                folder=folder,
            )
            study.check_spaces()
            yield study

    def keep(self, plan: Plan) -> None:
        """Keep the plan of the study's first command.

        Raises:
            ValueError: it was begun with another one.
        """
        with alone(self.storage, "lock"):
            kept = self.study.user_attrs.get("plan")
            if kept is None:
                self.study.set_user_attr("plan", plan)
                return
        for key, before, now in _differences(kept, plan):
            raise ValueError(
                f"{key}={now}: the study {self.study.study_name} was begun with {before}, and its trials would not be comparable\n"
                "  remedy: give this search another study=NAME"
            )

    def check_spaces(self) -> None:
        """See that new trials may stand beside those that there are.

        Raises:
            ValueError: a key has another kind of space than in the study's trials, or other choices.
        """
        for space in self.spaces:
            for before in {frozen.distributions.get(space.name) for frozen in self._frozen(*STATES)} - {None}:
                assert before is not None
                try:
                    check_distribution_compatibility(before, space.distribution)
                except ValueError:
                    raise ValueError(
                        f"{space.name}: the study {self.study.study_name} was begun with {before}, and {space.distribution} "
                        "does not fit in\n  remedy: give this search another study=NAME; only ranges and intervals may grow"
                    ) from None

    @property
    def total(self) -> int:
        """Trials of the study, those to come included."""
        begun = len(self._frozen(*STATES))
        return begun + len(self._missing()) if self.sampler == "grid" else max(begun, self.n_trials)

    def example(self) -> Mapping[str, Any]:
        """Parameters as a trial may have them."""
        return self.grid[0] if self.grid else self._suggested(0, together=False)

    def ask(self, count: int, words: Words) -> tuple[list[Asked], list[Trial]]:
        """So many trials at most: those whose process is gone first, then new ones, with consecutive numbers.

        Args:
            words: all overrides of a trial.

        Returns:
            the trials, and those that took too many processes with them, which have failed.
        """
        asked, given_up = [], []
        with alone(self.storage, "lock"):
            for frozen in self._gone():
                if frozen.user_attrs["attempts"] < ATTEMPTS:
                    asked.append(self._taken_over(frozen))
                else:
                    given_up.append(self._given_up(frozen))
            ended = [trial for trial in self.trials() if trial.state != "running"]
            begun, missing = len(self._frozen(*STATES)), self._missing()
            left = len(missing) if self.sampler == "grid" else self.n_trials - begun
            for new in range(min(count - len(asked), left)):
                number = begun + new
                params = missing[new] if self.sampler == "grid" else self._suggested(number, count > 1)
                asked.append(self._new(number, params, words(number, params, ended)))
        return asked, given_up

    def tell(self, number: int, outcome: Outcome) -> Trial:
        """What the trial came to."""
        frozen = self._frozen(*STATES)[number]
        trial = self._running(frozen)
        trial.set_user_attr("reason", outcome.reason)
        trial.set_user_attr("facts", dict(outcome.facts))
        trial.set_user_attr("value", outcome.value)
        for step, value in outcome.steps.items():
            if step not in frozen.intermediate_values:  # of a command that was killed while it told
                trial.report(value, step)
        if outcome.state == "complete":
            self.study.tell(number, 0.0 if outcome.value is None else outcome.value)
        else:
            self.study.tell(number, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)
        return self._trial(self._frozen(*STATES)[number])

    def lose(self, numbers: Sequence[int], *, blamed: bool) -> None:
        """Leave trials, whose processes died or were interrupted, to whoever asks next; those that are blamed have an attempt less."""
        for frozen in self._frozen(TrialState.RUNNING):
            if frozen.number in numbers:
                trial = self._running(frozen)
                trial.set_user_attr("attempts", frozen.user_attrs["attempts"] - (not blamed))
                trial.set_user_attr("owner", None)

    def trials(self) -> list[Trial]:
        """All trials that were begun, by their numbers."""
        return [self._trial(frozen) for frozen in self._frozen(*STATES)]

    @property
    def others_run(self) -> bool:
        """Whether trials run, which then are another command's."""
        return bool(self._frozen(TrialState.RUNNING))

    def concluding(self) -> AbstractContextManager[Any]:
        """Held while this command concludes; others wait."""
        return alone(self.storage, "conclusion.lock")

    def importance(self) -> dict[str, float] | None:
        """Which share of the values' variance each parameter explains; None where nothing can be said."""
        complete = self._frozen(TrialState.COMPLETE)
        if len(complete) < 4 or any(frozen.user_attrs.get("value") is None for frozen in complete):
            return None
        try:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return {
                name: float(share)
                for name, share in optuna.importance.get_param_importances(self.study, evaluator=evaluator).items()
            }
        except Exception as error:  # values or parameters that never differ; nor is anything else worth a search's end
            log.info("no importance of parameters: %s", error)
            return None

    def _frozen(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _running(self, frozen: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self.study, frozen._trial_id)

    def _gone(self) -> list[FrozenTrial]:
        """Trials that run, but whose command is gone or has lost them."""
        running = self._frozen(TrialState.RUNNING)
        owners = {frozen.user_attrs["owner"] for frozen in running} - {None, self.owner}
        gone = {owner for owner in owners if released(self.storage, owner)} | {None}
        return [frozen for frozen in running if frozen.user_attrs["owner"] in gone]

    def _taken_over(self, frozen: FrozenTrial) -> Asked:
        trial, attempts = self._running(frozen), frozen.user_attrs["attempts"] + 1
        trial.set_user_attr("attempts", attempts)
        trial.set_user_attr("owner", self.owner)
        return Asked(number=frozen.number, words=tuple(frozen.user_attrs["words"]), attempts=attempts)

    def _given_up(self, frozen: FrozenTrial) -> Trial:
        self._running(frozen).set_user_attr("reason", f"its process ended {ATTEMPTS} times")
        self.study.tell(frozen.number, state=TrialState.FAIL)
        return self._trial(self._frozen(*STATES)[frozen.number])

    def _missing(self) -> list[Mapping[str, Any]]:
        """Combinations of the grid without a trial, in order: those of an earlier command need not be the first of this one."""
        begun = {self._point(frozen.params) for frozen in self._frozen(*STATES)}
        return [params for params in self.grid if self._point(params) not in begun]

    def _point(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """The words that set them, which are equal where the settings are."""
        return tuple(space.word(params[space.name]) if space.name in params else "" for space in self.spaces)

    def _new(self, number: int, params: Mapping[str, Any], words: Sequence[str]) -> Asked:
        """A trial that nobody has asked for; it is in the storage whole, or not at all."""
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions={space.name: space.distribution for space in self.spaces},
                user_attrs={"owner": self.owner, "attempts": 1, "words": list(words)},
            )
        )
        return Asked(number=number, words=tuple(words), attempts=1)

    def _suggested(self, number: int, together: bool) -> Mapping[str, Any]:
        """What the sampler would try next: one made for this trial alone, so that a killed search suggests what it would have."""
        own = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        sampler = (
            optuna.samplers.TPESampler(seed=own, constant_liar=together)
            if self.sampler == "tpe"
            else optuna.samplers.RandomSampler(seed=own)
        )
        aside = optuna.create_study(sampler=sampler, direction=self.study.direction)
        aside.add_trials(self.study.get_trials(deepcopy=False))
        return aside.ask({space.name: space.distribution for space in self.spaces}).params

    def _trial(self, frozen: FrozenTrial) -> Trial:
        known = frozen.user_attrs
        return Trial(
            number=frozen.number,
            params=dict(frozen.params),
            state=STATES[frozen.state],  # type: ignore[arg-type]
            value=known.get("value"),
            reason=known.get("reason", ""),
            facts=known.get("facts", {}),
            words=tuple(known.get("words", ())),
            folder=str(self.folder / str(frozen.number)),
            started=frozen.datetime_start,
            ended=frozen.datetime_complete,
        )


def _backend(storage: Path | None) -> BaseStorage:
    if storage is None:
        return InMemoryStorage()
    return RDBStorage(f"sqlite:///{storage.resolve()}", engine_kwargs={"connect_args": {"timeout": WAIT_S}})


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in (*before, *(name for name in now if name not in before)):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif before != now:
        yield key, before, now
