"""Whether the best of several runs is more than luck: three measures, all of which have to be on the good side."""

from dataclasses import dataclass
from typing import Literal

from botscalp.pipeline.ledger import Search
from botscalp.statistics.luck import Deflated, deflated_sharpe
from botscalp.statistics.overfitting import MINIMUM_DAYS, pbo, spa_p
from botscalp.types import Float64

SPA_P_AT_MOST, PBO_AT_MOST, DEFLATED_AT_LEAST = 0.05, 0.2, 0.95


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A probability, and the line that it has to keep to."""

    name: str
    value: float | None
    good: Literal["at most", "at least"]
    line: float
    words: str

    @property
    def result(self) -> Literal["pass", "fail", "undecided"]:
        """Whether the value is on the good side."""
        if self.value is None:
            return "undecided"
        holds = self.value <= self.line if self.good == "at most" else self.value >= self.line
        return "pass" if holds else "fail"


@dataclass(frozen=True, kw_only=True)
class Luck:
    """What is left of the best run once its search is counted."""

    search: Search
    """all that was tried on its days"""
    spa_p: float | None
    pbo: float | None
    deflated: Deflated | None
    """its Sharpe ratio against the search"""
    undefined: str | None
    """why one of the three is None"""

    @property
    def measures(self) -> tuple[Measure, Measure, Measure]:
        """The three, with their lines and what they say."""
        by_luck = "what" if self.deflated is None else f"{self.deflated.expected_best_sharpe:.2f}, which"
        return (
            Measure(
                name="SPA p",
                value=self.spa_p,
                good="at most",
                line=SPA_P_AT_MOST,
                words="the probability of so good a best if no run were better than staying flat",
            ),
            Measure(
                name="PBO",
                value=self.pbo,
                good="at most",
                line=PBO_AT_MOST,
                words="the share of halvings of the days whose best on one half is below the median on the other",
            ),
            Measure(
                name="deflated Sharpe ratio",
                value=None if self.deflated is None else self.deflated.probability,
                good="at least",
                line=DEFLATED_AT_LEAST,
                words=f"the probability that the best's true Sharpe ratio is above {by_luck} the best of the "
                f"{self.search.count:,} settings that were tried on these days would show without skill",
            ),
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """What speaks against the best run, in words."""
        side = {"at most": "above", "at least": "below"}
        return tuple(
            f"{measure.name} {measure.value:.3f} is {side[measure.good]} {measure.line}"
            for measure in self.measures
            if measure.result == "fail"
        )

    @property
    def more_than_luck(self) -> bool | None:
        """Whether the best run is; None where it cannot be told."""
        if self.failures:
            return False
        return True if self.undefined is None else None

    def sentence(self, best: str) -> str:
        """The conclusion on `best`, such as "the best of 6 runs, gru-h3,"."""
        start = best[:1].upper() + best[1:]
        if self.failures:
            return f"{start} is not more than luck: {', '.join(self.failures)}."
        if self.undefined is not None:
            return f"Whether {best} is more than luck cannot be told: {self.undefined}."
        return f"{start} is more than luck: SPA p, PBO and deflated Sharpe ratio are all on the good side."


def luck_of_the_best(daily_returns: Float64, search: Search, *, seed: int) -> Luck:
    """How much of the first run's result its search explains.

    Args:
        daily_returns: of the same UTC days, shape (days, runs), the best run first.
        search: all that was tried on those days.
        seed: of the bootstrap.
    """
    days = len(daily_returns)
    if days < MINIMUM_DAYS:
        reason = f"{days} days in common, and it takes {MINIMUM_DAYS}"
        return Luck(search=search, spa_p=None, pbo=None, deflated=None, undefined=reason)
    deflated = deflated_sharpe(daily_returns[:, 0], trials=search.count, sharpe_variance=search.sharpe_variance)
    return Luck(
        search=search,
        spa_p=spa_p(daily_returns, seed=seed),
        pbo=pbo(daily_returns),
        deflated=deflated,
        undefined="the best run never trades, or too wildly for a Sharpe ratio" if deflated is None else None,
    )
