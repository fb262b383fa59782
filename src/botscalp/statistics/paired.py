"""Scores of two settings on the same windows, compared window by window: an easy month is easy for both."""

import numpy as np
from scipy.stats import t as student

from botscalp.types import Float64

MINIMUM_WINDOWS = 3
"""below which nothing is said"""


def worse_p(differences: Float64) -> float | None:
    """How probable so low a mean difference is for a setting that is no worse: Student's t, one-sided.

    Args:
        differences: a setting's scores less the other's on the same windows, shape (windows,); more is better.

    Returns:
        None with fewer than MINIMUM_WINDOWS.
    """
    windows = len(differences)
    if windows < MINIMUM_WINDOWS:
        return None
    mean, error = float(np.mean(differences)), float(np.std(differences, ddof=1)) / np.sqrt(windows)
    if error < abs(mean) * 1e-12 or error == 0.0:  # they never differ
        return 0.0 if mean < 0.0 else 1.0
    return float(student.cdf(mean / error, windows - 1))


def mean_interval(values: Float64) -> tuple[float, float] | None:
    """The 95 % interval of the windows' mean by Student's t, windows taken for independent; None as in `worse_p`."""
    windows = len(values)
    if windows < MINIMUM_WINDOWS:
        return None
    reach = float(student.ppf(0.975, windows - 1) * np.std(values, ddof=1) / np.sqrt(windows))
    mean = float(np.mean(values))
    return mean - reach, mean + reach


def expected_best(count: int, error: float) -> float:
    """What the best of so many independent means shows that are 0 in truth, each known to a standard error.

    The expected maximum of so many normal draws. Settings of a search share their bars, so theirs is lower.
    """
    from scipy.integrate import quad
    from scipy.stats import norm

    def density(x: float) -> float:
        return float(x * count * norm.pdf(x) * norm.cdf(x) ** (count - 1))

    return float(quad(density, -8.0, 8.0)[0]) * error
