"""The sweep: ask for a batch of trials, launch it, tell what came of it, until the study has all its trials; then conclude."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ._referee import Number, Outcome, PlainReferee, Plan, Referee, Shown, Trial
from ._spaces import Space, name_of, space_of
from ._study import Asked, Study

if TYPE_CHECKING:
    from .search_sweeper import SearchSweeper

log = logging.getLogger(__name__)

HOPELESS = 5
"""first trials of a study that all fail, and end the sweep"""
POLL_S = 2.0
"""between two looks at trials that another command runs"""


def sweep(sweeper: "SearchSweeper", arguments: list[str]) -> list[Sequence[JobReturn]]:
    """All of it; the jobs' returns, a list a launch.

    Raises:
        ValueError: the spaces, the study or its first trials cannot be searched, with the remedy.
    """
    assert sweeper.config is not None and sweeper.hydra_context is not None
    config = sweeper.config
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    overrides = _overrides(sweeper, arguments)
    spaces = [space_of(one) for one in overrides if one.is_sweep_override()]
    _check(spaces, sweeper.sampler)
    referee = _referee(sweeper)
    plan = referee.plan(config, [space.name for space in spaces])
    with Study.opened(
        spaces,
        storage=None if sweeper.storage is None else Path(sweeper.storage),
        name=sweeper.study,
        direction=referee.direction,
        sampler=sweeper.sampler,
        seed=sweeper.seed,
        n_trials=sweeper.n_trials,
        folder=folder,
    ) as study:
        search = _Search(sweeper, study, referee, plan, overrides, spaces)
        if not study.trials():
            search.check_words()
        study.keep(plan)
        ended = [trial for trial in study.trials() if trial.state != "running"]
        with referee.showing(plan, ended, study.total) as shown:
            returns = search.run(shown)
        with study.concluding():
            referee.conclude(plan, study.trials(), study.importance(), search.run_one)
    return returns


class _Search:
    """One command's part in a study."""

    def __init__(
        self,
        sweeper: "SearchSweeper",
        study: Study,
        referee: Referee,
        plan: Plan,
        overrides: Sequence[Override],
        spaces: Sequence[Space],
    ) -> None:
        assert sweeper.launcher is not None
        self.sweeper, self.launcher = sweeper, sweeper.launcher
        self.study, self.referee, self.plan = study, referee, plan
        self.overrides, self.spaces = overrides, {space.key: space for space in spaces}

    def check_words(self) -> None:
        """Compose a job like the first trial's: what is mistyped is raised before the study keeps anything."""
        self._compose(self._words(0, self.study.example(), []))

    def run(self, shown: Shown) -> list[Sequence[JobReturn]]:
        """Launch batch after batch, until every trial has ended, whoever runs it."""
        returns: list[Sequence[JobReturn]] = []
        batch = self._batch()
        waits = False
        while True:
            asked, given_up = self.study.ask(batch, self._words)
            for trial in given_up:
                shown.ended(trial)
            if not asked and not self.study.others_run:
                return returns
            if not asked:
                if not waits:
                    log.info("waiting for the trials that another command runs")
                waits = True
                time.sleep(POLL_S)
                continue
            shown.begun([one.number for one in asked])
            for group in _consecutive([one for one in asked if self._composes(one, shown)]):
                returns += self._launched(group, shown)
            self._check_hope()

    def run_one(self, words: Sequence[str], name: str) -> JobReturn:
        """One more job, in the sweep's folder of that name."""
        number = len(self.study.trials())
        return self.launcher.launch([[*words, f"hydra.sweep.subdir='{name}'"]], initial_job_idx=number)[0]

    def _launched(self, group: Sequence[Asked], shown: Shown) -> list[Sequence[JobReturn]]:
        """The returns of consecutive trials; none where their launch failed, and they are asked for again."""
        try:
            returns = self.launcher.launch([list(one.words) for one in group], initial_job_idx=group[0].number)
        except Exception as error:
            log.warning(
                "the launch of trial %s failed: %s", ", ".join(str(one.number) for one in group), _reason(error)
            )
            self.study.lose([one.number for one in group], blamed=True)
            return []
        except BaseException:  # somebody interrupts
            self.study.lose([one.number for one in group], blamed=False)
            raise
        for one, returned in zip(group, returns, strict=True):
            shown.ended(self.study.tell(one.number, self._outcome(returned)))
        return [returns]

    def _outcome(self, returned: JobReturn) -> Outcome:
        if returned.status is not JobStatus.COMPLETED:
            return _failed(returned._return_value)  # `return_value` would raise it
        return self.referee.outcome(returned.return_value)

    def _words(self, number: int, params: Mapping[str, Any], ended: Sequence[Trial]) -> list[str]:
        """A trial's overrides: as typed, with its values in the places of the spaces; then the referee's."""
        words = []
        for one in self.overrides:
            space = self.spaces.get(one.get_key_element())
            if space is None:
                words.append(f"{one.get_key_element()}={one.get_value_element_as_str()}")
            else:
                words.append(space.word(params[space.name]))
        return [*words, *self.referee.words(self.plan, number, ended)]

    def _composes(self, one: Asked, shown: Shown) -> bool:
        """Whether there is such a job; a launch would raise for one that is none, and lose what ran beside it."""
        try:
            self._compose(one.words)
        except (HydraException, OmegaConfBaseException) as error:
            shown.ended(self.study.tell(one.number, _failed(error)))
            return False
        return True

    def _compose(self, words: Sequence[str]) -> None:
        assert self.sweeper.hydra_context is not None and self.sweeper.config is not None
        self.sweeper.hydra_context.config_loader.load_sweep_config(self.sweeper.config, list(words))

    def _batch(self) -> int:
        """Trials asked for at a time."""
        assert self.sweeper.config is not None
        if self.sweeper.max_batch_size is not None:
            return self.sweeper.max_batch_size
        if self.sweeper.sampler == "grid":
            return self.study.total
        at_once = self.sweeper.config.hydra.launcher.get("n_jobs") or 1
        return int(at_once) if at_once > 0 else os.cpu_count() or 1

    def _check_hope(self) -> None:
        trials = [trial for trial in self.study.trials() if trial.state != "running"]
        if len(trials) >= HOPELESS and all(trial.state == "failed" for trial in trials):
            reasons = "\n".join(f"    trial {trial.number}: {trial.reason}" for trial in trials[:HOPELESS])
            raise ValueError(
                f"the first {len(trials)} trials of the study {self.study.study.study_name} all failed:\n{reasons}\n"
                "  remedy: see that one job with such settings runs, and search under another study=NAME"
            )


def _referee(sweeper: "SearchSweeper") -> Referee:
    if sweeper.referee is None:
        return PlainReferee(needs_value=sweeper.sampler != "grid")
    settings: Any = OmegaConf.to_container(sweeper.referee, resolve=True)
    referee: Referee = get_class(settings.pop("_target_"))(**settings)  # `instantiate` would hide what it raises
    return referee


def _overrides(sweeper: "SearchSweeper", arguments: Sequence[str]) -> list[Override]:
    """What was configured, except for keys that are typed, and what was typed; of a word for the same key the last."""
    assert sweeper.hydra_context is not None
    parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
    typed = parser.parse_overrides(list(arguments))
    configured = parser.parse_overrides([f"{key}={value}" for key, value in sweeper.params.items()])
    names = {name_of(one) for one in typed}
    last = {one.get_key_element(): one for one in [one for one in configured if name_of(one) not in names] + typed}
    return list(last.values())


def _check(spaces: Sequence[Space], sampler: str) -> None:
    """Raise for what cannot be searched.

    Raises:
        ValueError: Hydra's own settings are searched, or nothing is.
    """
    for space in spaces:
        if space.name.startswith(("hydra.", "hydra/")):
            raise ValueError(f"{space.key}: Hydra's own settings cannot be searched\n  remedy: give it one value")
    if not spaces and sampler != "grid":
        raise ValueError(
            "hydra.sweeper.params=null: no key is searched, all trials would be the same\n"
            "  remedy: type a space, e.g. KEY=choice(1,2) or 'KEY=interval(0,1)'"
        )


def _consecutive(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    """Runs of consecutive numbers: a launcher numbers its jobs by itself, and the number is the folder.

    Whatever lost its process before runs alone, so that it takes no other trial with it.
    """
    ordered = sorted(asked, key=lambda one: one.number)
    for _, group in groupby(enumerate(ordered), key=lambda pair: (pair[1].number - pair[0], pair[1].attempts > 1)):
        trials = [one for _, one in group]
        yield from [[one] for one in trials] if trials[0].attempts > 1 else [trials]


def _failed(error: Any) -> Number:
    return Number(state="failed", value=None, reason=_reason(error))


def _reason(error: Any) -> str:
    """A line; the type of an error that is no user's."""
    first = str(error).partition("\n")[0]
    return first if isinstance(error, ValueError) and first else f"{type(error).__name__}: {first}".removesuffix(": ")
