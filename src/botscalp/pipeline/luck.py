"""Whether the best of several runs is more than luck: three measures, all of which have to be on the good side."""

from dataclasses import dataclass

from botscalp.pipeline.trials import Search
from botscalp.statistics.luck import Deflated, deflated_sharpe
from botscalp.statistics.search import MINIMUM_DAYS, pbo, spa_p
from botscalp.types import Float64

SPA_P_AT_MOST, PBO_AT_MOST, DEFLATED_AT_LEAST = 0.05, 0.2, 0.95


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
    def failures(self) -> tuple[str, ...]:
        """What speaks against the best run, in words."""
        probability = None if self.deflated is None else self.deflated.probability
        found = []
        if self.spa_p is not None and self.spa_p > SPA_P_AT_MOST:
            found.append(f"SPA p {self.spa_p:.3f} is above {SPA_P_AT_MOST}")
        if self.pbo is not None and self.pbo > PBO_AT_MOST:
            found.append(f"PBO {self.pbo:.3f} is above {PBO_AT_MOST}")
        if probability is not None and probability < DEFLATED_AT_LEAST:
            found.append(f"deflated Sharpe ratio {probability:.3f} is below {DEFLATED_AT_LEAST}")
        return tuple(found)

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
