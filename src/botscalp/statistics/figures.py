"""Figures of rows, each with what every row contributes to it.

A figure theta of N rows is, up to terms of higher order, a mean: where row i counts w_i times instead of once, it becomes

    theta + sum over i of w_i x contribution_i,    the contributions summing to 0

(the influence function over N; Hampel 1974). So one resampling of time gives every figure's distribution at the price of
a sum, differences are paired by construction, and rows of several symbols at one time stay together: `bootstrap.py`.

Each function takes `time_ns` of shape (N,), the rows' times in any order, and returns None where the figure is undefined.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from botscalp.times import DAYS_PER_YEAR
from botscalp.types import Float64, Int64


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure and its rows; both arrays have shape (N,)."""

    value: float
    contribution: Float64
    time_ns: Int64
    sides: tuple[Int64, ...] = ()
    """times of what a difference is made of; it is known no better than the side that is known worse"""

    def __sub__(self, other: "Figure") -> "Figure":
        """The difference of two figures, of the same rows or of others."""
        return Figure(
            self.value - other.value,
            np.concatenate([self.contribution, -other.contribution]),
            np.concatenate([self.time_ns, other.time_ns]),
            (*(self.sides or (self.time_ns,)), *(other.sides or (other.time_ns,))),
        )


def mean(values: Float64, time_ns: Int64) -> Figure | None:
    """The mean: accuracy from hits, log loss from losses, the mean trade from trades."""
    if len(values) == 0:
        return None
    value = float(np.mean(values, dtype=np.float64))
    return Figure(value, (values - value) / len(values), time_ns)


def total(values: Float64, time_ns: Int64) -> Figure | None:
    """The sum, for as many rows as there are."""
    if len(values) == 0:
        return None
    value = float(np.sum(values, dtype=np.float64))
    return Figure(value, values - value / len(values), time_ns)


def auc(p: Float64, label: Float64, time_ns: Int64) -> Figure | None:
    """The area under the ROC curve, from placement values (DeLong et al. 1988).

    The placement of a positive is the share of negatives below it, of a negative the share of positives above it,
    ties counting half; both come from midranks (Sun & Xu 2014).
    """
    positive = label == 1.0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not (n_positive and n_negative):
        return None
    rank = rankdata(p)
    placement = np.empty(len(p))
    placement[positive] = (rank[positive] - rankdata(p[positive])) / n_negative
    placement[~positive] = 1.0 - (rank[~positive] - rankdata(p[~positive])) / n_positive
    value = float(placement[positive].mean())
    return Figure(value, (placement - value) / np.where(positive, n_positive, n_negative), time_ns)


def brier_skill(p: Float64, base_rate: Float64, label: Float64, time_ns: Int64) -> Figure | None:
    """1 - Brier(p) / Brier(base_rate)."""
    loss, loss_constant = (p - label) ** 2, (base_rate - label) ** 2
    if not np.sum(loss_constant) > 0.0:
        return None
    ratio = float(np.sum(loss) / np.sum(loss_constant))
    return Figure(1.0 - ratio, (ratio * loss_constant - loss) / np.sum(loss_constant), time_ns)


def sharpe(daily_returns: Float64, time_ns: Int64) -> Figure | None:
    """The annualised Sharpe ratio as `backtest.performance` publishes it (its influence: Ledoit & Wolf 2008, section 3)."""
    deviation = float(np.std(daily_returns)) if len(daily_returns) else 0.0
    if not 0.0 < deviation < np.inf:
        return None
    z = (daily_returns - np.mean(daily_returns)) / deviation
    a_day = float(np.mean(daily_returns)) / deviation
    a_year = np.sqrt(DAYS_PER_YEAR * (1 - 1 / len(z)))  # over the deviation that divides by n - 1
    return Figure(float(a_day * a_year), a_year * (z - a_day / 2 * (z**2 - 1)) / len(z), time_ns)
