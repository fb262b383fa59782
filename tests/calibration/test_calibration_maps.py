"""Fitted maps: their formula, their limits, and JSON there and back."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.calibration import Calibrator, IsotonicMap, LogOddsMap, calibrator_from_dict

finite = st.floats(-50, 50)
slope = st.floats(0, 50)
knots = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9).map(
    lambda pairs: IsotonicMap(tuple(sorted(x for x, _ in pairs)), tuple(sorted(y for _, y in pairs)))
)
calibrators = st.one_of(st.builds(LogOddsMap, slope, slope, finite), knots)


@given(calibrators)
def test_json_there_and_back_is_the_same_to_the_bit(calibrator: Calibrator) -> None:
    assert calibrator_from_dict(json.loads(json.dumps(calibrator.as_dict()))) == calibrator


def test_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="not a calibrator"):
        calibrator_from_dict({"map": "log_odds", "a": 1.0})


def test_values_by_hand() -> None:
    # p = 0.8: odds 4. Half the log odds is odds 2; adding ln 3 makes odds 6.
    p = LogOddsMap(0.5, 0.5, float(np.log(3))).calibrated(np.array([0.8]))
    np.testing.assert_allclose(p, 6 / 7, rtol=1e-14)
    # Only ln p counts: odds 0.8^2.
    np.testing.assert_allclose(LogOddsMap(2.0, 0.0, 0.0).calibrated(np.array([0.8])), 0.64 / 1.64, rtol=1e-14)


def test_the_identity_is_exact_and_saturated_probabilities_stay_finite() -> None:
    p = np.array([0.0, 1e-9, 0.1, 0.7, 1.0])
    np.testing.assert_array_equal(LogOddsMap(1.0, 1.0, 0.0).calibrated(p), p)
    calibrated = LogOddsMap(0.5, 0.5, 0.0).calibrated(np.array([0.0, 1.0]))
    np.testing.assert_allclose(calibrated, [1e-7**0.5, 1 - 1e-7**0.5], rtol=1e-3)
