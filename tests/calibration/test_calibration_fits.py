"""Calibrators recover planted distortions, agree with scikit-learn's, and never reverse the order."""

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from botscalp.calibration import Calibration, IsotonicMap, LogOddsMap
from botscalp.calibration.options import Beta, Isotonic, NoCalibration, Platt, Temperature
from botscalp.errors import UserError
from botscalp.types import Float64

OPTIONS: list[Calibration] = [NoCalibration(), Temperature(), Platt(), Beta(), Isotonic()]
FITTING = OPTIONS[1:]


def forecasts(n: int, *, spread: float, seed: int = 0) -> tuple[Float64, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return expit(spread * rng.normal(size=n)), rng


@pytest.mark.parametrize("spread", [0.3, 2.0])
@pytest.mark.parametrize(
    ("option", "planted"),
    [
        (Temperature(), LogOddsMap(0.4, 0.4, 0.0)),
        (Platt(), LogOddsMap(0.4, 0.4, -0.2)),
        (Platt(), LogOddsMap(2.5, 2.5, 0.1)),
        (Beta(), LogOddsMap(0.4, 1.2, 0.3)),
        (Beta(), LogOddsMap(1.5, 0.0, 0.9)),
    ],
)
def test_a_planted_distortion_is_recovered(option: Calibration, planted: LogOddsMap, spread: float) -> None:
    p, rng = forecasts(400_000, spread=spread)
    truth = planted.calibrated(p)
    fitted = option.fitted(p, (rng.random(len(p)) < truth).astype(float))
    assert np.abs(fitted.calibrated(p) - truth).mean() < 0.004
    if spread == 2.0:  # near p = 0.5 only the map as a whole is determined, not its three numbers
        assert isinstance(fitted, LogOddsMap)
        np.testing.assert_allclose([fitted.a, fitted.b, fitted.c], [planted.a, planted.b, planted.c], atol=0.03)


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose log odds are its input."""

    def fit(self, x: Float64, y: Float64) -> "Given":
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, x: Float64) -> Float64:
        return x[:, 0]

    def predict(self, x: Float64) -> Float64:
        return (x[:, 0] > 0).astype(float)


@pytest.mark.parametrize(
    ("option", "method", "tolerance"),
    # Platt's own targets are smoothed by 1 / (n + 2), ours are not.
    [(Temperature(), "temperature", 1e-5), (Platt(), "sigmoid", 1e-3), (Isotonic(), "isotonic", 1e-12)],
)
@pytest.mark.parametrize("spread", [0.3, 1.5])
def test_agrees_with_scikit_learn(option: Calibration, method: str, tolerance: float, spread: float) -> None:
    p, rng = forecasts(3_000, spread=spread)
    label = (rng.random(len(p)) < expit(0.6 * logit(p) + 0.05)).astype(float)
    x = logit(p)[:, None]
    oracle: Any = CalibratedClassifierCV(FrozenEstimator(Given().fit(x, label)), method=method).fit(x, label)
    np.testing.assert_allclose(option.fitted(p, label).calibrated(p), oracle.predict_proba(x)[:, 1], atol=tolerance)


@settings(deadline=None, max_examples=60)
@given(
    option=st.sampled_from(OPTIONS),
    rows=st.lists(
        st.tuples(
            st.floats(0, 1) | st.floats(0.45, 0.55) | st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0])
        ),
        max_size=40,
    ),
)
def test_whatever_the_rows_the_map_is_finite_and_keeps_the_order(
    option: Calibration, rows: list[tuple[float, float]]
) -> None:
    p, label = np.array(rows).reshape(-1, 2).T
    grid = np.concatenate([np.linspace(0, 1, 201), [1e-9, 1 - 1e-9]])
    grid.sort()
    q = option.fitted(p, label).calibrated(grid)
    assert ((q >= 0) & (q <= 1)).all()
    assert (np.diff(q) >= -1e-12).all()


@pytest.mark.parametrize("option", [Temperature(), Platt(), Beta()])
def test_a_model_that_is_wrong_way_round_is_not_turned_over_but_silenced(option: Calibration) -> None:
    p, rng = forecasts(5_000, spread=1.0)
    label = (rng.random(len(p)) < 1.0 - 0.9 * p).astype(float)
    rate = 0.5 if option.name == "temperature" else label.mean()
    np.testing.assert_allclose(option.fitted(p, label).calibrated(p), rate, atol=1e-6)


@pytest.mark.parametrize("planted", [(0.4, 1.2, 0.3), (-0.3, 1.2, -0.5), (1.2, -0.3, 0.5), (-0.5, -0.5, 0.0)])
def test_beta_is_the_best_map_without_negative_slopes(planted: tuple[float, float, float]) -> None:
    p, rng = forecasts(20_000, spread=2.0)
    x = np.stack([np.log(p), -np.log1p(-p), np.ones(len(p))], axis=1)
    label = (rng.random(len(p)) < expit(x @ planted)).astype(float)

    def log_loss(abc: Float64) -> tuple[float, Float64]:
        z = x @ abc
        return float(np.mean(np.logaddexp(0.0, z) - label * z)), x.T @ (expit(z) - label) / len(p)

    best = minimize(log_loss, np.ones(3), jac=True, bounds=[(0, None), (0, None), (None, None)], tol=1e-12).x
    fitted = Beta().fitted(p, label)
    assert isinstance(fitted, LogOddsMap)
    np.testing.assert_allclose([fitted.a, fitted.b, fitted.c], best, atol=1e-3)


@pytest.mark.parametrize("option", [Temperature(), Platt(), Beta()])
def test_separable_labels_give_a_finite_steep_map(option: Calibration) -> None:
    p, _ = forecasts(1_000, spread=20.0)
    label = (p > 0.5).astype(float)
    fitted = option.fitted(p, label)
    assert isinstance(fitted, LogOddsMap)
    assert np.isfinite([fitted.a, fitted.b, fitted.c]).all()
    assert np.abs(fitted.calibrated(p) - label).mean() < 1e-3


@pytest.mark.parametrize("option", FITTING)
@pytest.mark.parametrize("label", [[], [1.0, 1.0, 1.0]])
def test_labels_of_one_class_or_none_leave_p_as_it_is(
    option: Calibration, label: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fitted = option.fitted(np.array([0.2, 0.3, 0.6])[: len(label)], np.array(label))
    p = np.array([0.0, 0.1, 0.9, 1.0])
    np.testing.assert_array_equal(fitted.calibrated(p), p)
    assert f"calibration={option.name}" in caplog.text


def test_float32_rows_as_a_network_gives_them_fit_in_float64() -> None:
    p, rng = forecasts(2_000, spread=1.0)
    p32, label32 = p.astype(np.float32), (rng.random(len(p)) < p).astype(np.float32)
    assert Platt().fitted(p32, label32) == Platt().fitted(p32.astype(float), label32.astype(float))


def test_isotonic_asks_for_a_thousand_rows_that_do_not_overlap() -> None:
    Isotonic().check_rows(3_000, span_bars=3)
    with pytest.raises(UserError, match=r"needs 1,000 rows without overlap, a window has 999") as caught:
        Isotonic().check_rows(2_999, span_bars=3)
    assert (caught.value.key, caught.value.value) == ("calibration", "isotonic")
    for option in OPTIONS[:-1]:
        option.check_rows(0, span_bars=3)


def test_isotonic_is_constant_beyond_its_knots() -> None:
    fitted = Isotonic().fitted(np.array([0.3, 0.4, 0.5, 0.6]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert fitted == IsotonicMap((0.3, 0.4, 0.5, 0.6), (0.0, 0.5, 0.5, 1.0))
    np.testing.assert_allclose(fitted.calibrated(np.array([0.0, 0.35, 0.45, 1.0])), [0.0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("option", FITTING, ids=lambda option: option.name)
def test_threads_change_no_bit(option: Calibration) -> None:
    """Rows enough for a BLAS to split among its threads."""
    p, rng = forecasts(40_000, spread=0.3)
    label = (rng.uniform(size=len(p)) < p).astype(np.float64)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(option.fitted(expit(1.4 * logit(p) + 0.1), label).as_dict())
    assert found[0] == found[1]
