"""Which of several runs may truly be the best, once it is counted that the best so far was picked from all of them."""

from dataclasses import dataclass

import numpy as np

from botscalp.statistics import figures
from botscalp.statistics.bootstrap import MINIMUM_BLOCKS, Interval, Resampling
from botscalp.statistics.figures import Figure
from botscalp.times import DAY_NS
from botscalp.types import Float64, Int64

UNLIKELY_P = 0.025
"""one side of a 95 % interval: of two runs, the worse is one whose interval of the difference lies below 0"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shortfalls:
    """How far the mean of each of N runs lies from the best's, on draws of days that all share."""

    by_run: tuple[Figure, ...]
    """at most 0"""
    days: Resampling
    blocks: int
    """of days, that tell"""

    @classmethod
    def of(cls, daily_TN: Float64, day_ns: Int64, *, seed: int) -> "Shortfalls":
        """The shortfalls in a figure of UTC days, such as their PnL.

        Args:
            daily_TN: the figure of each day and run.
            day_ns: when the days begin, shape (T,).
            seed: of the bootstrap.
        """
        best = daily_TN[:, daily_TN.mean(axis=0).argmax()]
        by_run = tuple(one for run in daily_TN.T if (one := figures.mean(run - best, day_ns)))
        ends = {"start_ns": int(day_ns[0]), "end_ns": int(day_ns[-1]) + DAY_NS}
        days = Resampling.of(by_run, **ends, cell_ns=DAY_NS, span_ns=0, seed=seed)
        return cls(by_run=by_run, days=days, blocks=days.blocks(day_ns))

    def interval(self, run: int) -> Interval | None:
        """Of one run's shortfall, by itself; None where too few days tell."""
        return self.days.interval(self.by_run[run])

    def as_good_p(self) -> Float64 | None:
        """For each run, how probable it is to fall so far behind the others if it were as good as the best of them.

        White's (2000) test, studentised, with each run in turn as the benchmark: how far the others' means lie above
        its own, in standard errors of the difference, against the same in redrawn days, less what was found. The runs
        above UNLIKELY_P are a set that misses the truly best one in 2.5 % of searches, however many are compared.
        Their intervals, each by itself, would call one in five of ten equal runs worse than the best.

        Returns:
            Shape (N,); None where too few days tell.
        """
        if self.blocks < MINIMUM_BLOCKS:
            return None
        mean_N = np.array([one.value for one in self.by_run])
        noise_DN = np.column_stack([self.days.draws(one) for one in self.by_run]) - mean_N
        noise_DN *= self.days.stretch(self.blocks)
        covariance_NN = np.atleast_2d(np.cov(noise_DN, rowvar=False))
        return np.array([_p(i, mean_N, noise_DN, covariance_NN) for i in range(len(mean_N))])


def _p(i: int, mean_N: Float64, noise_DN: Float64, covariance_NN: Float64) -> float:
    """Of the i-th run."""
    variance_N = covariance_NN.diagonal() + covariance_NN[i, i] - 2 * covariance_NN[i]
    differs = variance_N > 1e-9 * covariance_NN.diagonal().max()  # runs that earn the same day by day say nothing
    if not differs.any():
        return 1.0
    error = np.sqrt(variance_N[differs])
    found = ((mean_N[differs] - mean_N[i]) / error).max()
    drawn = ((noise_DN[:, differs] - noise_DN[:, [i]]) / error).max(axis=1)
    return float(((drawn >= found).sum() + 1) / (len(drawn) + 1))
