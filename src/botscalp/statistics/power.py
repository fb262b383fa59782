"""How many trades a win rate needs before it says anything."""

from math import ceil, sqrt

from scipy.special import ndtr, ndtri

ERROR = 0.05
"""chance of seeing a difference where there is none; one-sided"""
POWER = 0.8
"""chance of seeing the difference that is there"""


def trades_needed(rate: float, other: float) -> int:
    """Independent trades that tell the two win rates apart, at ERROR and POWER (Fleiss et al. 2003, section 2.5)."""
    deviations = ndtri(1 - ERROR) * _deviation(rate) + ndtri(POWER) * _deviation(other)
    return ceil((float(deviations) / (other - rate)) ** 2)


def power(trades: int, rate: float, other: float) -> float:
    """Chance that so many independent trades at the win rate `other` are told from `rate`, at ERROR."""
    shift = abs(other - rate) * sqrt(trades) - ndtri(1 - ERROR) * _deviation(rate)
    return float(ndtr(shift / _deviation(other)))


def _deviation(rate: float) -> float:
    return sqrt(rate * (1 - rate))
