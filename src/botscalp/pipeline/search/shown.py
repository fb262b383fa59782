"""What a person sees of a search: a live table where somebody watches, a line a trial elsewhere, and the conclusion."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich import get_console
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from botscalp.pipeline.progress import lasting, say, watched
from botscalp.pipeline.search.ended import EndedTrial, ranked
from botscalp.pipeline.search.plan import Plan
from botscalp.report.numbers import estimate, number, written

LATEST = 8
"""trials in the live table, besides the best"""


class SearchShown:
    """Counts the trials of a search as they come and go."""

    def __init__(self, plan: Plan, trials: Sequence[EndedTrial], n_trials: int) -> None:
        self.plan, self.trials, self.n_trials = plan, list(trials), n_trials
        self.before = len(self.trials)
        self.running: list[int] = []
        self.began = time.monotonic()
        self.live = Live(console=get_console(), get_renderable=self._table, auto_refresh=True, refresh_per_second=2)

    def __enter__(self) -> "SearchShown":
        name = self.plan.objective.replace("_", " ")
        tests = (f"{part[0][0][:10]} .. {part[-1][1][:10]}" for part in (self.plan.search, self.plan.holdout))
        searched, unseen = tests
        say(
            f"search over {', '.join(self.plan.markets)}: {name}, mean of {len(self.plan.search)} windows, tests {searched}"
        )
        say(f"unseen until the end: {len(self.plan.holdout)} windows, tests {unseen}")
        if self.before:
            say(f"{self.before} of {self.n_trials} trials had ended before")
        if watched():
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def begun(self, numbers: Sequence[int]) -> None:
        """Note that these trials run now."""
        self.running = list(numbers)

    def ended(self, trial: EndedTrial) -> None:
        """Note what came of one."""
        self.trials.append(trial)
        self.running = [number for number in self.running if number != trial.number]
        if not self.live.is_started:
            say(
                f"trial {trial.number} ({len(self.trials)}/{self.n_trials})  {'  '.join(self._cells(trial)[1:])}{self._left()}"
            )

    def _table(self) -> Group:
        best = ranked(self.trials)[:1]
        table = Table("trial", "what differs", self.plan.objective.replace("_", " "), "state", box=None, pad_edge=False)
        for one in [*best, *self.trials[-LATEST:]]:
            table.add_row(*map(Text, self._cells(one)), style="bold" if one in best else "")
        running = f"  running: {', '.join(map(str, self.running))}" if self.running else ""
        took = lasting(time.monotonic() - self.began)
        return Group(table, Text(f"{len(self.trials)}/{self.n_trials} trials  {took}{self._left()}{running}"))

    def _cells(self, trial: EndedTrial) -> tuple[str, str, str, str]:
        """Its number, settings, value, and what became of it; the windows that it ran where it was pruned."""
        settings = " ".join(f"{key}={written(value)}" for key, value in trial.params.items())
        state = trial.state
        if trial.state == "pruned":
            return str(trial.number), settings, f"~{number(trial.value, '+.5f')}", f"pruned after {len(trial.scores)}"
        told = (
            f"failed: {trial.reason}"
            if state == "failed"
            else "best so far"
            if trial in ranked(self.trials)[:1]
            else ""
        )
        return str(trial.number), settings, number(trial.value, "+.5f"), told

    def _left(self) -> str:
        done = len(self.trials) - self.before
        left = self.n_trials - len(self.trials)
        if not done or left <= 0:
            return ""
        return f"  ETA {lasting((time.monotonic() - self.began) / done * left)}"


def tell(found: Mapping[str, Any]) -> None:
    """The end of a search, in lines."""
    trials = {one["number"]: one for one in found["trials"]}
    luck, spent, unseen = found["luck"], found["time"], found["holdout_run"]
    lines = [("", "")]
    for label, which in (("best", found["best"]), ("runner-up", found["runner_up"])):
        if which is not None:
            one = trials[which]
            settings = " ".join(f"{key}={written(value)}" for key, value in one["params"].items())
            lines.append((label, f"trial {which}: {number(one['value'], '+.5f')}  {settings}"))
    if found["difference"] is not None:
        lines.append(("difference", f"{estimate(found['difference'], '+.5f')}, paired by window"))
    lines += [
        (
            "luck",
            f"the best of {luck['trials']:,} without skill would show {number(luck['expected_best_value'], '+.5f')}",
        ),
        ("PBO", f"{number(luck['pbo'], '.3f')} among the {luck['completed']:,} completed trials"),
    ]
    if luck["deflated"] is not None:
        lines.append(
            (
                "deflated",
                f"probability {luck['deflated']:.3f} that the best's Sharpe ratio, {number(luck['sharpe'], '+.2f')}, is above "
                f"{luck['expected_best_sharpe']:+.2f}, which the best of so many without skill would show",
            )
        )
    if luck["undefined"] is not None:
        lines.append(("not told", luck["undefined"]))
    if unseen is not None:
        lines.append(
            (
                "holdout",
                f"trial {unseen['trial']}: {found['objective'].replace('_', ' ')} {estimate(unseen['objective'], '+.5f')}, net "
                f"{estimate(unseen['mean_net_bps'], '+.2f')} bps a trade, {unseen['verdict']}; scored {unseen['times']} "
                f"time{'' if unseen['times'] == 1 else 's'} in all",
            )
        )
    lines += [
        (
            "cost",
            f"{len(found['trials']):,} trials, {lasting(spent['total_s'])} of them in all; {spent['pruned']:,} pruned, which saved "
            f"{spent['saved_windows']:,} windows; {spent['failed']:,} failed",
        ),
        ("in short", found["conclusion"]),
    ]
    for label, text in lines:
        say(f"{label:<14} {text}".rstrip())
