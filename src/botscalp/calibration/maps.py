"""Fitted calibrators: small monotone maps of a probability, kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from botscalp.types import Float64

P_LEAST = 1e-7
"""probabilities are clipped to [P_LEAST, 1 - P_LEAST] before their logarithms are taken"""


def log_odds_parts(p: Float64) -> tuple[Float64, Float64]:
    """ln p and -ln(1 - p) after clipping; their sum is the log odds. Each of shape (N,)."""
    p = np.clip(np.asarray(p, np.float64), P_LEAST, 1.0 - P_LEAST)
    return np.log(p), -np.log1p(-p)


@dataclass(frozen=True)
class LogOddsMap:
    """p -> sigmoid(a ln p - b ln(1 - p) + c): beta calibration's family (Kull et al. 2017), which holds the others.

    Platt scaling has a = b, temperature scaling a = b = 1 / T and c = 0, the identity a = b = 1 and c = 0.
    The slopes a and b are not negative, so the map never reverses the order of two probabilities.
    """

    a: float
    b: float
    c: float

    def calibrated(self, p: Float64) -> Float64:
        """Shape (N,) to shape (N,). The identity returns p itself, unclipped."""
        if self == IDENTITY:
            return np.asarray(p, np.float64)
        from scipy.special import expit

        log_p, minus_log_q = log_odds_parts(p)
        calibrated: Float64 = expit(self.a * log_p + self.b * minus_log_q + self.c)
        return calibrated

    def as_dict(self) -> dict[str, Any]:
        return {"map": "log_odds", **asdict(self)}


IDENTITY = LogOddsMap(1.0, 1.0, 0.0)


@dataclass(frozen=True)
class IsotonicMap:
    """Linear interpolation between the knots (x, y), both ascending; constant beyond the first and last."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def calibrated(self, p: Float64) -> Float64:
        """Shape (N,) to shape (N,)."""
        return np.interp(np.asarray(p, np.float64), self.x, self.y)

    def as_dict(self) -> dict[str, Any]:
        return {"map": "isotonic", "x": list(self.x), "y": list(self.y)}


Calibrator = LogOddsMap | IsotonicMap


def calibrator_from_dict(values: Mapping[str, Any]) -> Calibrator:
    """The calibrator that `as_dict` described, to the bit."""
    match values:
        case {"map": "log_odds", "a": a, "b": b, "c": c}:
            return LogOddsMap(float(a), float(b), float(c))
        case {"map": "isotonic", "x": x, "y": y}:
            return IsotonicMap(tuple(map(float, x)), tuple(map(float, y)))
        case _:
            raise ValueError(f"not a calibrator: {values!r}")
