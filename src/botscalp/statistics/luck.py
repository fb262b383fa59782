"""What the best of many trials without skill would show, and what is left of a Sharpe ratio above it."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from botscalp.times import DAYS_PER_YEAR
from botscalp.types import Float64


@dataclass(frozen=True, kw_only=True)
class Deflated:
    """A Sharpe ratio against its search."""

    expected_best_sharpe: float
    """annualised; of the best of as many trials without skill, 0 for a single one"""
    probability: float
    """that the true Sharpe ratio is above it: the deflated Sharpe ratio, with one trial the probabilistic one"""


def deflated_sharpe(daily_returns: Float64, *, trials: int, sharpe_variance: float | None) -> Deflated | None:
    """The deflated Sharpe ratio of daily returns, shape (days,); Bailey and Lopez de Prado (2012, 2014).

    Args:
        trials: settings tried on these days, this one included.
        sharpe_variance: of the trials' annualised Sharpe ratios; where it is not known, that of luck alone, 365 / days.

    Returns:
        None where returns never move, or are too wild for the formula.
    """
    from purgedcv import deflated_sharpe_ratio_full

    if len(daily_returns) < 2 or np.ptp(daily_returns) == 0.0 or not np.isfinite(daily_returns).all():
        return None
    variance = DAYS_PER_YEAR / len(daily_returns) if sharpe_variance is None else sharpe_variance
    try:
        found = deflated_sharpe_ratio_full(daily_returns, trials, variance, bars_per_year=DAYS_PER_YEAR)
    except ValueError:
        return None
    return Deflated(expected_best_sharpe=found.sr_star * sqrt(DAYS_PER_YEAR), probability=found.dsr)
