"""A study on disk: its trials, who runs them, and what becomes of those whose process is gone.

Each command that works on a study holds a file lock beside the storage for as long as its process lives, however that ends. A
trial that runs belongs to the command whose lock it names; where nobody holds that lock any more, another command takes the
trial over: the same number, the same overrides, the same folder.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

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
        with _held(storage, owner):
            with _alone(storage, "lock"):
                _forget_the_gone(storage)
                study = optuna.create_study(
                    storage=_backend(storage), study_name=name, direction=direction, load_if_exists=True
                )
            yield cls(
                study=study,
                spaces=spaces,
                sampler=sampler,
                seed=seed,
                grid=grid,
                n_trials=len(grid) if sampler == "grid" else n_trials,
                owner=owner,
                storage=storage,
                folder=folder,
            )

    def keep(self, plan: Plan) -> Plan:
        """Keep the plan of the study's first command.

        Raises:
            ValueError: it was begun with another one.
        """
        with _alone(self.storage, "lock"):
            kept = self.study.user_attrs.get("plan")
            if kept is None:
                self.study.set_user_attr("plan", plan)
                return plan
        for key, before, now in _differences(kept, plan):
            raise ValueError(
                f"{key}={now}: the study {self.study.study_name} was begun with {before}, and its trials would not be comparable\n"
                "  remedy: give this search another study=NAME"
            )
        return plan

    def ask(self, count: int, words: Words) -> list[Asked]:
        """So many trials at most: those whose process is gone first, then new ones, with consecutive numbers.

        Args:
            words: all overrides of a trial.
        """
        with _alone(self.storage, "lock"):
            asked = [
                one for frozen in self._frozen(TrialState.RUNNING) if (one := self._taken_over(frozen)) is not None
            ]
            ended = [trial for trial in self.trials() if trial.state != "running"]
            while len(asked) < count and len(self._frozen(*STATES)) < self.n_trials:
                asked.append(self._new(count > 1, words, ended))
        return asked

    def tell(self, number: int, outcome: Outcome) -> Trial:
        """What the trial came to."""
        frozen = self._frozen(*STATES)[number]
        trial = self._running(frozen)
        trial.set_user_attr("reason", outcome.reason)
        trial.set_user_attr("facts", dict(outcome.facts))
        trial.set_user_attr("value", outcome.value)
        for step, value in outcome.steps.items():
            trial.report(value, step)
        if outcome.state == "complete":
            self.study.tell(number, 0.0 if outcome.value is None else outcome.value)
        else:
            self.study.tell(number, state=TrialState.PRUNED if outcome.state == "pruned" else TrialState.FAIL)
        return self._trial(self._frozen(*STATES)[number])

    def lose(self, numbers: Sequence[int]) -> None:
        """Leave trials, whose processes died, to whoever asks next."""
        for frozen in self._frozen(TrialState.RUNNING):
            if frozen.number in numbers:
                self._running(frozen).set_user_attr("owner", None)

    def trials(self) -> list[Trial]:
        """All trials that were begun, by their numbers."""
        return [self._trial(frozen) for frozen in self._frozen(*STATES)]

    @property
    def others_run(self) -> bool:
        """Whether trials run, which then are another command's."""
        return bool(self._frozen(TrialState.RUNNING))

    def concluding(self) -> AbstractContextManager[Any]:
        """Held while this command concludes; others wait."""
        return _alone(self.storage, "conclusion.lock")

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
        except (ValueError, RuntimeError) as error:  # values that never differ, a single parameter that never does
            log.info("no importance of parameters: %s", error)
            return None

    def _frozen(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _running(self, frozen: FrozenTrial) -> optuna.Trial:
        return optuna.Trial(self.study, frozen._trial_id)

    def _taken_over(self, frozen: FrozenTrial) -> Asked | None:
        """The trial, if nobody runs it; None where somebody does, or where it took too many processes with it."""
        known = frozen.user_attrs
        if known["owner"] is not None and (known["owner"] == self.owner or not _released(self.storage, known["owner"])):
            return None
        trial, attempts = self._running(frozen), known["attempts"] + 1
        if attempts > ATTEMPTS:
            trial.set_user_attr("reason", f"its process ended {ATTEMPTS} times")
            self.study.tell(frozen.number, state=TrialState.FAIL)
            return None
        trial.set_user_attr("attempts", attempts)
        trial.set_user_attr("owner", self.owner)
        return Asked(number=frozen.number, words=tuple(known["words"]), attempts=attempts)

    def _new(self, together: bool, words: Words, ended: Sequence[Trial]) -> Asked:
        """A trial that nobody has asked for; it is in the storage whole, or not at all."""
        number = len(self._frozen(*STATES))
        params = self.grid[number] if self.grid else self._suggested(number, together)
        told = words(number, params, ended)
        self.study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions={space.name: space.distribution for space in self.spaces},
                user_attrs={"owner": self.owner, "attempts": 1, "words": told},
            )
        )
        return Asked(number=number, words=tuple(told), attempts=1)

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


def _alone(storage: Path | None, name: str) -> AbstractContextManager[Any]:
    if storage is None:
        return nullcontext()
    storage.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{storage}.{name}")


def _owner_lock(storage: Path, owner: str) -> Path:
    return storage.with_name(f"{storage.name}.owners") / owner


@contextmanager
def _held(storage: Path | None, owner: str) -> Iterator[None]:
    """Show that this command lives."""
    if storage is None:
        yield
        return
    path = _owner_lock(storage, owner)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
    path.unlink(missing_ok=True)


def _released(storage: Path | None, owner: str) -> bool:
    """Whether the command is gone."""
    if storage is None:
        return False
    path = _owner_lock(storage, owner)
    if not path.exists():
        return True
    try:
        with FileLock(path, timeout=0):
            pass
    except Timeout:
        return False
    path.unlink(missing_ok=True)
    return True


def _forget_the_gone(storage: Path | None) -> None:
    """Remove the locks of commands that were killed."""
    if storage is not None:
        for path in _owner_lock(storage, "").iterdir():
            _released(storage, path.name)


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in (*before, *(name for name in now if name not in before)):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif before != now:
        yield key, before, now
