"""The options of the calibration group: how a calibrator is fitted.

A map never reverses the model's order: a negative slope is set to zero and what remains is fitted again.
"""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from botscalp.calibration.maps import IDENTITY, Calibrator, IsotonicMap, LogOddsMap, log_odds_parts
from botscalp.errors import UserError
from botscalp.types import Float32, Float64

log = logging.getLogger(__name__)


class Calibration(ABC):
    """An option of the calibration group."""

    name: ClassVar[str]
    """what a user types after `calibration=`"""
    minimum_rows: ClassVar[int] = 0
    """rows with labels that do not overlap, below which the fit is worth nothing"""

    def check_rows(self, n_rows: int, *, span_bars: int) -> None:
        """UserError where n_rows labelled rows, each with a label that spans span_bars, are too few for the fit."""
        n_apart = n_rows // span_bars
        if n_apart < self.minimum_rows:
            raise UserError(
                "calibration",
                self.name,
                f"needs {self.minimum_rows:,} rows without overlap, a window has {n_apart:,} "
                f"({n_rows:,} rows, each label spans {span_bars} bars)",
                "take calibration=platt, or a longer wfo.validation",
            )

    def fitted(self, p_raw: Float64 | Float32, label: Float64 | Float32) -> Calibrator:
        """The map fitted to raw probabilities and labels (0 or 1), both of shape (N,) and finite.

        Labels of one class alone, or none at all, say nothing about the map: a warning and the identity.
        """
        p, y = np.asarray(p_raw, np.float64), np.asarray(label, np.float64)
        assert np.isfinite(p).all() and np.isin(y, (0.0, 1.0)).all(), "labelled, predicted rows alone"
        if len(y) == 0 or y.min() == y.max():
            log.warning("calibration=%s: %d labels and not one of each class; p stays p_raw", self.name, len(y))
            return IDENTITY
        return self.fit(p, y)

    @abstractmethod
    def fit(self, p: Float64, label: Float64) -> Calibrator:
        """The map fitted to probabilities and labels of both classes, shape (N,): what a subclass gives."""
        ...


@dataclass(frozen=True, kw_only=True)
class NoCalibration(Calibration):
    """The raw probability as it is."""

    name: ClassVar[str] = "none"

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        return IDENTITY


@dataclass(frozen=True, kw_only=True)
class Temperature(Calibration):
    """Log odds divided by a temperature (Guo et al. 2017): one slope, and 0.5 stays 0.5."""

    name: ClassVar[str] = "temperature"

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        log_p, minus_log_q = log_odds_parts(p)
        (slope,), _ = _logistic(log_p + minus_log_q, label=label, intercept=False)
        return LogOddsMap(max(slope, 0.0), max(slope, 0.0), 0.0)


@dataclass(frozen=True, kw_only=True)
class Platt(Calibration):
    """Logistic regression on the log odds (Platt 1999, without his smoothed targets): slope and intercept."""

    name: ClassVar[str] = "platt"

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        log_p, minus_log_q = log_odds_parts(p)
        (slope,), c = _logistic(log_p + minus_log_q, label=label)
        return LogOddsMap(slope, slope, c) if slope >= 0.0 else _base_rate(label)


@dataclass(frozen=True, kw_only=True)
class Beta(Calibration):
    """Logistic regression on ln p and -ln(1 - p) (Kull et al. 2017): two slopes and an intercept."""

    name: ClassVar[str] = "beta"

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        log_p, minus_log_q = log_odds_parts(p)
        # Near p = 0.5 the two columns all but coincide; their sum and difference are well conditioned.
        (half_sum, half_difference), c = _logistic(log_p + minus_log_q, log_p - minus_log_q, label=label)
        a, b = half_sum + half_difference, half_sum - half_difference
        if a >= 0.0 and b >= 0.0:
            return LogOddsMap(a, b, c)
        # As in Kull et al.: the column with the (more) negative slope goes, the other is fitted alone.
        if a < b:
            (b,), c = _logistic(minus_log_q, label=label)
            return LogOddsMap(0.0, b, c) if b >= 0.0 else _base_rate(label)
        (a,), c = _logistic(log_p, label=label)
        return LogOddsMap(a, 0.0, c) if a >= 0.0 else _base_rate(label)


@dataclass(frozen=True, kw_only=True)
class Isotonic(Calibration):
    """The best non-decreasing map (pool adjacent violators): free of shape, so it needs many rows."""

    name: ClassVar[str] = "isotonic"
    minimum_rows: ClassVar[int] = 1_000

    def fit(self, p: Float64, label: Float64) -> Calibrator:
        from sklearn.isotonic import IsotonicRegression

        fit = IsotonicRegression(out_of_bounds="clip").fit(p, label)
        return IsotonicMap(tuple(fit.X_thresholds_.tolist()), tuple(fit.y_thresholds_.tolist()))


def _base_rate(label: Float64) -> LogOddsMap:
    """The constant map: what is left of Platt or beta calibration without a slope."""
    rate = float(np.mean(label))
    return LogOddsMap(0.0, 0.0, float(np.log(rate / (1.0 - rate))))


def _logistic(*columns: Float64, label: Float64, intercept: bool = True) -> tuple[list[float], float]:
    """Slopes and intercept of a logistic regression; a column without spread gets slope 0.

    A trace of ridge (1e-6 on the summed log loss) keeps the slopes finite where the labels are separable.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    x = np.stack(columns, axis=1)
    centre = x.mean(axis=0) if intercept else np.zeros(len(columns))
    scale = np.sqrt(np.mean((x - centre) ** 2, axis=0))
    scale[scale <= 1e-12 * np.abs(centre)] = np.inf
    fit = LogisticRegression(C=1e6, fit_intercept=intercept, tol=1e-10, max_iter=1000)
    with threadpool_limits(1):  # the last bits of BLAS depend on its threads
        fit.fit((x - centre) / scale, label)
    slopes = fit.coef_[0] / scale
    return slopes.tolist(), float(np.sum(fit.intercept_) - slopes @ centre)
