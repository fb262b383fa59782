"""Which windows a search ranks by, and which it leaves for the one setting that wins.

A window's validation month is the test month of the window before it, so nothing of the last windows may be looked at before the
search is over: trials load the bars before the first holdout test, and no other. Labels that would reach into it are
missing there, as at the end of any bars.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from botscalp.data.bars import prefix_digests
from botscalp.errors import UserError
from botscalp.options import checked
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.ledger import market_names
from botscalp.pipeline.search.order import Objective
from botscalp.pipeline.window import check_joined
from botscalp.statistics.paired import MINIMUM_WINDOWS
from botscalp.times import interval_name

Tests = tuple[tuple[str, str], ...]
"""start and end of test ranges, UTC text, the oldest first"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all trials of a study share, whichever command asks for them."""

    objective: Objective
    search: Tests
    """of the windows that rank and prune"""
    holdout: Tests
    """of the last third, for the winner"""
    markets: tuple[str, ...]
    bars: tuple[str, ...]
    """sha256 of each symbol's bars before the holdout: other bars are another search"""
    base: dict[str, str]
    """every setting that is not searched, by its key"""

    @classmethod
    def of(cls, experiment: Experiment, *, objective: Objective, base: dict[str, str]) -> Self:
        """The plan for an experiment's bars and windows.

        Raises:
            UserError: too few windows to keep a third of them apart and to compare settings on the others.
        """
        bars = experiment.data.load()
        interval_ns = bars[0].interval_ns
        span_ns = max(int(one.open_time_ns[0]) for one in bars), min(int(one.close_time_ns[-1]) for one in bars)
        purge_ns = experiment.label.span_bars * interval_ns
        windows = experiment.wfo.between(*span_ns, interval_ns=interval_ns, purge_ns=purge_ns)
        check_joined(windows)
        searched = len(windows) - len(windows) // 3
        if searched < MINIMUM_WINDOWS or searched == len(windows):
            raise UserError(
                "wfo",
                experiment.names["wfo"],
                f"gives {len(windows)} windows; a search keeps the last third unseen and compares on {MINIMUM_WINDOWS} at least",
                "load more bars, or take shorter windows, such as wfo=weekly",
            )
        tests = tuple(window.test.iso() for window in windows)
        return cls(
            objective=objective,
            search=tests[:searched],
            holdout=tests[searched:],
            markets=market_names(experiment.data, interval_name(interval_ns)),
            bars=tuple(prefix_digests(one, [windows[searched].test.start_ns])[0] for one in bars),
            base=base,
        )

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Self:
        """The plan that `kept` gave."""
        plan: Self = checked(cls, kept)
        return plan

    def kept(self) -> dict[str, Any]:
        """The plan as JSON."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @property
    def holdout_start(self) -> str:
        """From here on no trial sees a bar."""
        return self.holdout[0][0]

    def strays(self, tests: Sequence[Sequence[str]], markets: Sequence[str]) -> bool:
        """Whether a trial tested something else than the first search windows of these markets."""
        return tuple(map(tuple, tests)) != self.search[: len(tests)] or tuple(markets) != self.markets

    def trial_words(self) -> list[str]:
        """What keeps a trial before the holdout."""
        return [f'data.end="{self.holdout_start}"', f"wfo.windows={len(self.search)}", "resume=true", "report=false"]

    def holdout_words(self, words: Sequence[str], data_end: str) -> list[str]:
        """The words of the winner's last run: a trial's own, but on the windows that no trial saw."""
        of_trial = {word.partition("=")[0] for word in self.trial_words()} | {"trial"}
        own = [word for word in words if word.partition("=")[0] not in of_trial]
        return [*own, f"data.end={data_end}", f"wfo.windows={len(self.holdout)}", "resume=true"]
