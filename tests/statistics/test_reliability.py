"""Measures of calibration by hand, against an oracle, and on calibrated forecasts whose labels overlap."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom, norm
from sklearn.isotonic import IsotonicRegression

from botscalp.statistics.bootstrap import Resampling
from botscalp.statistics.metrics import expected_calibration_error
from botscalp.statistics.reliability import (
    brier_parts,
    ece_apart,
    ece_null_band,
    equal_bins,
    reliability,
    squared_error,
)
from botscalp.types import Float64, Int64

BAR_NS = 300 * 10**9
EMPTY, NO_TIMES = np.empty(0), np.empty(0, np.int64)


def drawn(p: Float64, rng: np.random.Generator) -> Float64:
    """Independent labels of a calibrated forecast."""
    return (rng.random(len(p)) < p).astype(float)


def calibrated_market(
    rng: np.random.Generator, n: int, *, horizon: int = 6, edge: float = 0.1
) -> tuple[Float64, Float64]:
    """Labels that overlap, and their true probabilities given all that is known: returns and their signal are normal."""
    phi = np.exp(-1 / 12)
    shock = rng.normal(size=n + horizon + 500) * np.sqrt(1 - phi**2)
    signal = lfilter([1], [1, -phi], shock)[500:]
    move = np.append(0.0, np.cumsum(edge * signal[:-1] + rng.normal(size=n + horizon - 1)))
    known = edge * (1 - phi**horizon) / (1 - phi) * signal[:n]
    # The shock k bars from now moves what is left of the horizon's returns.
    left = edge * (1 - phi ** np.arange(1, horizon)) / (1 - phi)
    deviation = np.sqrt(horizon + (1 - phi**2) * np.sum(left**2))
    return norm.cdf(known / deviation), (move[horizon : n + horizon] > move[:n]).astype(float)


def resampling(n: int, *, span_bars: int = 1, seed: int = 0) -> Resampling:
    return Resampling.of(
        [], start_ns=0, end_ns=n * BAR_NS, cell_ns=BAR_NS, span_ns=span_bars * BAR_NS, seed=seed, draws=400
    )


# --- ECE of rows apart, and its null band ---


def test_ece_apart_by_hand() -> None:
    p, label = np.array([0.5, 0.5, 0.5, 0.5, 0.9]), np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    # Bars 0, 2 and 4 miss by 0.5, 0.5 and 0.1, upwards, in two bins; bars 1 and 3 by 0.5 in either direction, in one.
    assert ece_apart(p, label, np.arange(5), span_bars=2) == pytest.approx((1.1 / 3 + 0.0) / 2)
    # Only the bars' numbers decide, not the rows' order; an offset without rows is left out.
    assert ece_apart(p[::-1], label[::-1], np.arange(5)[::-1], span_bars=2) == pytest.approx((1.1 / 3 + 0.0) / 2)
    assert ece_apart(p, label, 3 * np.arange(5), span_bars=3) == pytest.approx(expected_calibration_error(p, label))
    assert ece_apart(EMPTY, EMPTY, NO_TIMES, span_bars=2) is None


def test_with_a_span_of_one_bar_all_rows_stand_apart() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(500)
    label = drawn(p, rng)
    assert ece_apart(p, label, np.arange(500), span_bars=1) == expected_calibration_error(p, label)


def test_null_band_agrees_with_labels_drawn_row_by_row() -> None:
    rng = np.random.default_rng(3)
    for p in (np.clip(0.5 + 0.02 * rng.normal(size=2_000), 0, 1), rng.beta(0.3, 0.3, 2_000)):
        eces = [expected_calibration_error(p, drawn(p, rng)) for _ in range(4_000)]
        band = ece_null_band(p, seed=0, span_bars=1)
        assert band == pytest.approx(np.quantile(eces, [0.01, 0.99]).tolist(), rel=0.08)


def test_null_band_is_seeded_and_tells_too_little_and_too_much() -> None:
    rng = np.random.default_rng(4)
    p = np.clip(0.5 + 0.1 * rng.normal(size=9_000), 0, 1)
    band = ece_null_band(p, seed=5, span_bars=1)
    assert band is not None and band == ece_null_band(p, seed=5, span_bars=1)
    assert ece_null_band(EMPTY, seed=5, span_bars=1) is None
    label = drawn(p, rng)
    assert band[0] < expected_calibration_error(p, label) < band[1]
    assert expected_calibration_error(np.clip(p + 0.05, 0, 1), label) > band[1]
    # Labels dealt out so that every thousandth of p gets its exact share: no honest draw is that even.
    order = np.argsort(p)
    dealt = np.empty(len(p))
    dealt[order] = np.diff(np.floor(np.cumsum(p[order])), prepend=0.0)
    assert expected_calibration_error(p, dealt) < band[0]


def test_a_span_raises_both_ends_of_the_null_band_and_symbols_the_high_one() -> None:
    p = np.random.default_rng(2).normal(0.5, 0.02, 9_000)
    one, span, symbols = (ece_null_band(p, seed=0, span_bars=bars, symbols=n) for bars, n in ((1, 1), (6, 1), (6, 4)))
    assert one is not None and span is not None and symbols is not None
    assert span == pytest.approx((one[0] * np.sqrt(6), one[1] * np.sqrt(6)), rel=0.2)
    assert symbols[0] == span[0] and symbols[1] == pytest.approx(2 * span[1], rel=0.2)


def exceeded(n_runs: int, n: int) -> tuple[float, float]:
    """How often calibrated forecasts of half an hour lie above the band of all rows, and above that of rows apart."""
    rng, naive, apart = np.random.default_rng(5), 0, 0
    for seed in range(n_runs):
        p, label = calibrated_market(rng, n)
        band = ece_null_band(p, seed=seed, span_bars=1, n_draws=500)
        band_apart = ece_null_band(p, seed=seed, span_bars=6, n_draws=500)
        ece = ece_apart(p, label, np.arange(n), span_bars=6)
        assert band is not None and band_apart is not None and ece is not None
        naive += expected_calibration_error(p, label) > band[1]
        apart += ece > band_apart[1]
    return naive / n_runs, apart / n_runs


def test_overlapping_labels_exceed_the_band_of_independent_rows() -> None:
    naive, apart = exceeded(40, 4_000)
    assert naive > 0.15 and apart <= 0.05, (naive, apart)


@pytest.mark.slow
def test_overlapping_labels_exceed_the_band_of_rows_apart_in_2_percent_at_most() -> None:
    naive, apart = exceeded(400, 8_640)
    print(f"above the band of all rows {naive}, of rows apart {apart}")
    assert naive > 0.15 and apart <= 0.02, (naive, apart)


# --- the squared error ---


@pytest.mark.parametrize("bias", [0.0, 0.02])
@pytest.mark.parametrize("span_bars", [1, 6])
def test_squared_error_is_right_on_average(bias: float, span_bars: int) -> None:
    rng, found = np.random.default_rng(6), []
    for seed in range(50):
        p, label = calibrated_market(rng, 3_000, horizon=span_bars)
        squared = squared_error(
            p + bias, label, np.arange(3_000) * BAR_NS, resampling(3_000, span_bars=span_bars, seed=seed)
        )
        assert squared is not None
        found.append(squared[0])
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(bias**2, abs=3 * error)
    naive = 10 * 0.25 / 3_000  # what noise adds to it where rows are independent
    assert error < naive


def test_an_interval_leaves_0_where_forecasts_are_far_off_and_holds_it_where_not() -> None:
    p, label = calibrated_market(np.random.default_rng(7), 6_000)
    time_ns, draws = np.arange(6_000) * BAR_NS, resampling(6_000, span_bars=6)
    calibrated, shifted = (squared_error(q, label, time_ns, draws) for q in (p, p + 0.1))
    assert calibrated is not None and shifted is not None
    assert calibrated[1] is not None and shifted[1] is not None
    assert calibrated[1][0] == 0.0
    assert 0.0 < shifted[1][0] < 0.1**2 < shifted[1][1]
    assert squared_error(EMPTY, EMPTY, NO_TIMES, draws) is None
    few = squared_error(p[:500], label[:500], time_ns[:500], draws)
    assert few is not None and few[1] is None


# --- the Brier score's parts ---


def forecasts(n: int = 2_000, seed: int = 8) -> tuple[Float64, Float64]:
    """Overconfident ones, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(5, 5, n)
    return np.clip(0.5 + 1.5 * (truth - 0.5), 0, 1).round(2), drawn(truth, rng)


def test_brier_parts_add_up_and_nothing_is_gained_twice() -> None:
    p, label = forecasts()
    parts = brier_parts(p, label)
    assert parts is not None
    assert parts.miscalibration > 0.001 and parts.discrimination > 0.01
    assert parts.uncertainty == pytest.approx(label.mean() * (1 - label.mean()))
    total = parts.miscalibration - parts.discrimination + parts.uncertainty
    assert total == pytest.approx(np.mean((p - label) ** 2))
    again = brier_parts(IsotonicRegression().fit_transform(p, label), label)
    assert again is not None
    assert again.miscalibration == pytest.approx(0.0, abs=1e-12)
    assert again.discrimination == pytest.approx(parts.discrimination)
    constant = brier_parts(np.full(len(p), 0.7), label)
    assert constant is not None
    assert constant.miscalibration == pytest.approx((0.7 - label.mean()) ** 2)
    assert constant.discrimination == pytest.approx(0.0, abs=1e-12)
    assert brier_parts(EMPTY, EMPTY) is None


def test_brier_parts_agree_with_model_diagnostics() -> None:
    scoring = pytest.importorskip("model_diagnostics.scoring", reason="needs model-diagnostics (the extra `bench`)")
    p, label = forecasts()
    parts, expected = brier_parts(p, label), scoring.decompose(label, p, scoring_function=scoring.SquaredError())
    assert parts is not None
    assert parts.miscalibration == pytest.approx(expected["miscalibration"][0], abs=1e-12)
    assert parts.discrimination == pytest.approx(expected["discrimination"][0], abs=1e-12)
    assert parts.uncertainty == pytest.approx(expected["uncertainty"][0], abs=1e-12)


# --- the reliability diagram ---


def test_bins_by_hand() -> None:
    p = np.repeat([0.1, 0.3, 0.6, 0.8], [10, 10, 10, 10])
    label = np.tile([1.0, 0.0, 0.0, 0.0, 1.0], 8)
    found = reliability(p, label, rows_a_draw=2)
    assert [one.rows for one in found] == [10, 10, 10, 10]  # ten bins of four rows, but equal p stays together
    assert [one.mean_p for one in found] == pytest.approx([0.1, 0.3, 0.6, 0.8])
    assert [one.share_up for one in found] == pytest.approx([0.4] * 4)
    for one in found:
        low, high = binom.interval(0.95, 5, one.mean_p)
        assert (one.low, one.high) == pytest.approx((low / 5, high / 5))
    assert reliability(EMPTY, EMPTY, rows_a_draw=2) == []


def test_equal_bins_hold_equally_many_rows_in_the_order_of_p() -> None:
    p: Float64 = np.random.default_rng(9).random(1_000)
    bins: Int64 = equal_bins(p)
    assert np.bincount(bins).tolist() == [100] * 10
    assert (np.diff(bins[np.argsort(p)]) >= 0).all()


@pytest.mark.parametrize("span_bars", [1, 6])
def test_bands_hold_calibrated_forecasts_in_95_percent(span_bars: int) -> None:
    rng, inside = np.random.default_rng(10), []
    for _ in range(100):
        p, label = calibrated_market(rng, 6_000, horizon=span_bars)
        inside += [one.low <= one.share_up <= one.high for one in reliability(p, label, rows_a_draw=span_bars)]
    assert len(inside) == 1_000
    assert 0.94 <= np.mean(inside) <= (0.97 if span_bars == 1 else 1.0), np.mean(inside)
