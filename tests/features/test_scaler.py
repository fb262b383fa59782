"""Scaler: fitted in float64, robust to constant columns, the same bits after JSON."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.features.scaler import Scaler
from botscalp.types import Float32


def rows(seed: int = 0, n: int = 4_000) -> Float32:
    rng = np.random.default_rng(seed)
    return rng.normal([0.0, 5.0, -1e-4], [1.0, 1e-2, 1e-6], (n, 3)).astype(np.float32)


def test_training_rows_get_mean_zero_and_spread_one() -> None:
    x_NF = rows()
    z_NF = Scaler.fitted(x_NF).scaled(x_NF)
    assert z_NF.dtype == np.float32
    np.testing.assert_allclose(z_NF.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(z_NF.std(axis=0, dtype=np.float64), 1, rtol=1e-6)


@settings(deadline=None)
@given(value=st.floats(-(2.0**100), 2.0**100, width=32), n=st.integers(1, 3_000))
def test_a_constant_column_becomes_zero(value: float, n: int) -> None:
    x_NF = np.full((n, 1), value, dtype=np.float32)
    scaler = Scaler.fitted(x_NF)
    assert scaler.scale_F.tolist() == [1.0]
    np.testing.assert_allclose(scaler.scaled(x_NF) / max(1.0, abs(value)), 0, atol=1e-12)


def test_a_million_rows_far_from_zero_lose_no_digits() -> None:
    x_NF = (10_000 + np.arange(1_000_000) % 2).astype(np.float32)[:, None]
    scaler = Scaler.fitted(x_NF)
    np.testing.assert_allclose([scaler.mean_F[0], scaler.scale_F[0]], [10_000.5, 0.5], rtol=1e-13)


def test_outliers_are_clipped_and_nan_stays_nan() -> None:
    scaler = Scaler(np.array([1.0]), np.array([2.0]))
    x_TF = np.array([[1.0], [3.0], [1e9], [-1e9], [np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(scaler.scaled(x_TF), np.array([[0], [1], [10], [-10], [np.nan]], dtype=np.float32))


def test_json_keeps_every_bit() -> None:
    scaler = Scaler.fitted(rows(1))
    copy = Scaler.from_dict(json.loads(json.dumps(scaler.as_dict())))
    np.testing.assert_array_equal(copy.mean_F, scaler.mean_F)
    np.testing.assert_array_equal(copy.scaled(rows(2)), scaler.scaled(rows(2)))


def test_the_last_bit_of_a_float32_is_no_spread() -> None:
    x_NF = np.full((1_000, 1), 0.1, dtype=np.float32)
    x_NF[::2] = np.nextafter(x_NF[::2], np.float32(1))
    assert Scaler.fitted(x_NF).scale_F.tolist() == [1.0]
