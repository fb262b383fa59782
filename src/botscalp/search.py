"""The referee of a search: what the sweeper of `src/hydra_plugins/hydra_search_sweeper` leaves to us.

conf/hydra/sweeper/search.yaml names it. It plans which windows rank, tells each trial whom it has to keep up with, reads what came
back, shows it, and concludes with one run of the winner on the windows that no trial saw.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from omegaconf import DictConfig, OmegaConf

from botscalp.errors import UserError
from botscalp.options import nearest

if TYPE_CHECKING:
    from botscalp.pipeline.search.ended import EndedTrial
    from botscalp.pipeline.search.plan import Plan
    from botscalp.pipeline.search.shown import SearchShown

OURS = (
    *("data", "wfo.windows", "wfo.test", "wfo.step", "wfo.test_start", "wfo.test_end"),
    *("study", "store", "trial", "resume", "tracking"),
)
"""keys that no trial may choose, nor what is below them: which bars and windows it sees, and where it is kept"""


class Trial(Protocol):
    """A trial as the sweeper hands it over."""

    number: int
    params: Mapping[str, Any]
    state: Literal["running", "complete", "pruned", "failed"]
    value: float | None
    reason: str
    facts: Mapping[str, Any]
    words: tuple[str, ...]
    folder: str
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial came to, as the sweeper takes it."""

    state: Literal["complete", "pruned", "failed"]
    value: float | None
    steps: Mapping[int, float]
    """the scores by window, of a pruned trial the last one its estimate"""
    reason: str
    facts: Mapping[str, Any]


class Referee:
    """What a search is for, and how it is judged.

    Args:
        objective: the metric of a window's test whose mean over the search windows is maximized: brier_skill or auc.
        prune: whether a trial ends that falls behind the best one so far.
        timeout_s: seconds after which a trial counts as failed; None for no limit.
    """

    direction = "maximize"

    def __init__(self, objective: str, prune: bool, timeout_s: float | None) -> None:
        from botscalp.pipeline.search.order import WITHOUT_SKILL

        if objective not in WITHOUT_SKILL:
            raise UserError(
                "hydra.sweeper.referee.objective", objective, "is no objective", nearest(objective, WITHOUT_SKILL)
            )
        self.objective, self.prune, self.timeout_s = objective, prune, timeout_s

    def plan(self, config: DictConfig, swept: Sequence[str]) -> dict[str, Any]:
        """Which windows rank and which are kept apart, and what all trials share.

        Raises:
            UserError: a searched key decides on the bars or windows themselves, or there are too few windows.
        """
        from botscalp.config import GROUPS, experiment_of
        from botscalp.pipeline.search.plan import Plan

        for key in swept:
            if key == "wfo" or any(key == ours or key.startswith(f"{ours}.") for ours in OURS):
                raise UserError(
                    key, "searched", "all trials are compared on the same bars and windows", "give it one value"
                )
        self.config = config
        names = {group: str(config.hydra.runtime.choices.get(group)) for group in GROUPS}
        plain = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        experiment = experiment_of(plain, names=names, overrides={})
        self.planned = Plan.of(experiment, objective=self.objective, base=_base(plain, swept))
        return self.planned.kept()

    def words(self, plan: dict[str, Any], number: int, ended: Sequence[Trial]) -> list[str]:
        """Keep the trial before the holdout, and name the best one so far."""
        from botscalp.pipeline.search.ended import ranked

        best = ranked([_ended(trial) for trial in ended])[:1] if self.prune else []
        limit = "null" if self.timeout_s is None else f"{self.timeout_s:g}"
        incumbent = str(best[0].number) if best else "null"
        scores = ",".join(repr(score) for score in best[0].scores) if best else ""
        order = f"number:{number},objective:{self.objective},incumbent:{incumbent},scores:[{scores}],timeout_s:{limit}"
        return [*_plan(plan).trial_words(), f"trial={{{order}}}"]

    def outcome(self, returned: Any) -> "Outcome":
        """What `run_trial` returned, as the sweeper takes it."""
        scores, value = returned["scores"], returned["value"]
        if self.planned.strays(returned["tests"], returned["markets"]):
            reason = "it tested other windows or markets than the search: it cannot be ranked"
            return Outcome(state="failed", value=None, steps={}, reason=reason, facts=returned)
        if value is None or not math.isfinite(value):
            undefined = [
                str(window) for window, score in enumerate(scores) if score is None or not math.isfinite(score)
            ]
            reason = f"{self.objective} is undefined in window {', '.join(undefined)}"
            return Outcome(state="failed", value=None, steps={}, reason=reason, facts=returned)
        steps = dict(enumerate(scores)) | {len(scores) - 1: value}
        return Outcome(state=returned["state"], value=value, steps=steps, reason=returned["reason"], facts=returned)

    @contextmanager
    def showing(self, plan: dict[str, Any], trials: Sequence[Trial], n_trials: int) -> Iterator["_Shown"]:
        """A live table, or a line a trial."""
        from botscalp.pipeline.search.shown import SearchShown

        logging.getLogger("hydra._internal.core_plugins.basic_launcher").setLevel(logging.WARNING)  # it would say less
        with SearchShown(_plan(plan), [_ended(trial) for trial in trials], n_trials) as shown:
            yield _Shown(shown)

    def conclude(
        self,
        plan: dict[str, Any],
        trials: Sequence[Trial],
        importance: Mapping[str, float] | None,
        run: Callable[[Sequence[str], str], Any],
    ) -> None:
        """Score the winner on the holdout, once; write, record and print what was found, the sweep's folder last."""
        from botscalp.options import build
        from botscalp.pipeline.run_folder import read_summary
        from botscalp.pipeline.search.conclusion import concluded, holdout_figures
        from botscalp.pipeline.search.ended import ranked
        from botscalp.pipeline.search.shown import tell
        from botscalp.pipeline.search.summary_run import record_search

        planned, ended = _plan(plan), [_ended(trial) for trial in trials]
        folder, store = Path(self.config.hydra.sweep.dir), Path(self.config.store)
        holdout = None
        for winner in ranked(ended)[:1]:
            aside = folder / f"holdout-{winner.number}"
            if not (aside / "summary.json").is_file():
                end = self.config.data.end
                words = planned.holdout_words(winner.words, "null" if end is None else f'"{end}"')
                _ = run(words, aside.name).return_value  # raises what the job raised
            holdout = holdout_figures(read_summary(aside), planned, trial=winner.number, folder=aside)
        found = concluded(
            planned,
            ended,
            study=str(self.config.study),
            sampler=str(self.config.hydra.sweeper.sampler),
            created=min((trial.started for trial in trials if trial.started), default=datetime.now(UTC)).isoformat(),
            store=store,
            importance=importance,
            holdout_run=holdout,
        )
        tracking = build(OmegaConf.to_container(self.config.tracking, resolve=True), "tracking")
        page = folder / "summary"
        record_search(found, planned, folder=page, sweep=folder.name, store=store, tracking=tracking)
        tell(found)
        print(f"page           {(page / 'search.html').resolve()}")
        print(folder.resolve())


class _Shown:
    """The sweeper's trials for `SearchShown`."""

    def __init__(self, shown: "SearchShown") -> None:
        self.shown = shown

    def begun(self, numbers: Sequence[int]) -> None:
        self.shown.begun(numbers)

    def ended(self, trial: Trial) -> None:
        self.shown.ended(_ended(trial))


def _plan(kept: dict[str, Any]) -> "Plan":
    from botscalp.pipeline.search.plan import Plan

    return Plan.read(kept)


def _ended(trial: Trial) -> "EndedTrial":
    from botscalp.pipeline.search.ended import EndedTrial

    facts = trial.facts
    seconds = (trial.ended - trial.started).total_seconds() if trial.started and trial.ended else None
    return EndedTrial(
        number=trial.number,
        params=trial.params,
        state=trial.state,
        value=trial.value,
        scores=tuple(facts.get("scores", ())),
        incumbent=facts.get("incumbent"),
        reason=trial.reason,
        seconds=seconds,
        fit_s=facts.get("fit_s"),
        sharpe=facts.get("sharpe"),
        capital_quote=facts.get("capital_quote"),
        folder=trial.folder,
        words=trial.words,
    )


def _base(config: DictConfig, swept: Sequence[str]) -> dict[str, str]:
    """The settings that no trial chooses, flat; of a searched group none."""
    from botscalp.pipeline.experiment import NO_CHOICE

    flat: dict[str, str] = {}
    may_differ = (*swept, *NO_CHOICE, "trainer.device")

    def add(prefix: str, node: Any) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                add(f"{prefix}.{key}" if prefix else str(key), value)
        elif not any(prefix == key or prefix.startswith(f"{key}.") for key in may_differ):
            flat[prefix] = str(node)

    add("", OmegaConf.to_container(config, resolve=True))
    return flat
