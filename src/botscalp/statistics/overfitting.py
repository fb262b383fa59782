"""Whether the best of several runs is more than the luck of having tried them all.

Both functions take the runs' out-of-sample returns of the same UTC days, shape (days, runs): days down, runs across, as in
a table. The transpose is refused where it shows: with fewer than MINIMUM_DAYS rows.
"""

import numpy as np

from botscalp.types import Float64

MINIMUM_DAYS = 60
BLOCKS = 12
"""of days that are halved in all C(12, 6) = 924 ways; the 16 of the paper take 14 times as long and say the same"""
DRAWS = 2_000


def pbo(daily_returns: Float64) -> float:
    """The probability of backtest overfitting, by combinatorially symmetric cross-validation; Bailey et al. (2017).

    The share of halvings of the days in which the run with the best Sharpe ratio on one half is below the median of all on
    the other: 0 where the best stays good, 0.5 where choosing is worth nothing. It compares runs with each other alone: that of
    runs that all lose, each at its own pace, is 0 too.

    Raises:
        ValueError: fewer than MINIMUM_DAYS days or 2 runs.
    """
    from purgedcv import probability_of_backtest_overfitting

    _check(daily_returns)
    return float(probability_of_backtest_overfitting(daily_returns.T, BLOCKS).pbo)  # it wants (runs, days)


def spa_p(daily_returns: Float64, *, seed: int) -> float | None:
    """The p-value of Hansen's (2005) test of superior predictive ability, its consistent variant.

    The null hypothesis: no run's mean return is above 0, what being flat always gives. The stationary bootstrap keeps days
    together in blocks of the length that Politis and White (2004) find for the run that needs the longest. Over 250 days
    "p <= 0.05" is said of noise in 6 to 7 % of searches, in 11 % where days correlate with the day before by 0.3.

    Returns:
        1 where no run's mean is above 0; None where no run's equity ever moves.

    Raises:
        ValueError: as `pbo` does.
    """
    from arch.bootstrap import SPA, optimal_block_length

    _check(daily_returns)
    moving = daily_returns[:, np.ptp(daily_returns, axis=0) > 0.0]
    if not moving.shape[1]:
        return None
    if (moving.mean(axis=0) <= 0.0).all():
        return 1.0
    # A run's size is no merit: arch leaves the statistic in units of the losses, whatever its studentize says.
    scaled = moving / moving.std(axis=0)
    block_days = max(int(np.ceil(optimal_block_length(scaled)["stationary"].max())), 1)
    test = SPA(np.zeros(len(scaled)), -scaled, block_size=block_days, reps=DRAWS, seed=seed)
    test.compute()
    # The sample is one of the draws that the null hypothesis could have given: p is never 0.
    return (float(test.pvalues["consistent"]) * DRAWS + 1) / (DRAWS + 1)


def _check(daily_returns: Float64) -> None:
    days, runs = daily_returns.shape
    if days < MINIMUM_DAYS or runs < 2:
        raise ValueError(f"shape {daily_returns.shape} is not (days, runs) of {MINIMUM_DAYS} days and 2 runs or more")
