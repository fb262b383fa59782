"""Intervals against other formulas, and their coverage where labels overlap."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, ttest_1samp

from botscalp.statistics.intervals import (
    Interval,
    auc_change_interval,
    auc_difference_interval,
    auc_interval,
    brier_skill_interval,
    cluster_ns_of,
    ece_null_band,
    mean_interval,
)
from botscalp.statistics.metrics import expected_calibration_error, log_losses, probability_metrics
from botscalp.types import Float64, Int64

DAY_NS = 86_400 * 10**9


def daily_times(n_days: int, rows_a_day: int) -> Int64:
    return np.repeat(np.arange(19_000, 19_000 + n_days), rows_a_day) * DAY_NS + np.tile(np.arange(rows_a_day), n_days)


def test_with_equal_days_the_mean_s_interval_is_student_s_over_daily_means() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=40 * 7) + np.repeat(rng.normal(size=40), 7)
    expected = ttest_1samp(values.reshape(40, 7).mean(axis=1), 0).confidence_interval(0.95)
    assert mean_interval(values, daily_times(40, 7)) == pytest.approx(tuple(expected))


def test_order_of_rows_does_not_matter_and_symbols_share_their_days() -> None:
    rng = np.random.default_rng(1)
    values, time_ns = rng.normal(size=600), daily_times(20, 30)
    shuffled = rng.permutation(600)
    assert mean_interval(values[shuffled], time_ns[shuffled]) == pytest.approx(mean_interval(values, time_ns))
    # The same rows twice, as two symbols that move as one: no more is known than before.
    assert mean_interval(np.tile(values, 2), np.tile(time_ns, 2)) == pytest.approx(mean_interval(values, time_ns))


def scored(n_days: int = 30, rows_a_day: int = 40, seed: int = 2) -> tuple[Float64, Float64, Float64, Float64, Int64]:
    """Two forecasts, base rates, labels and times."""
    rng = np.random.default_rng(seed)
    n = n_days * rows_a_day
    truth = np.clip(0.5 + 0.1 * rng.normal(size=n), 0.05, 0.95)
    label = (rng.random(n) < truth).astype(float)
    other = np.clip(truth + 0.05 * rng.normal(size=n), 0, 1).round(2)
    base_rate = np.where(np.arange(n) < n / 2, 0.45, 0.55).astype(float)
    return truth, other, base_rate, label, daily_times(n_days, rows_a_day)


def jackknife(statistic: Callable[..., float], time_ns: Int64, *columns: Float64) -> float:
    """Standard error from leaving out one day at a time: another way to the same limit (Efron & Stein 1981)."""
    days = np.unique(time_ns // DAY_NS)
    left_out = [statistic(*(column[time_ns // DAY_NS != day] for column in columns)) for day in days]
    return float(np.sqrt((len(days) - 1) * np.var(left_out)))


def skill(p: Float64, base_rate: Float64, label: Float64) -> float:
    return float(1 - np.mean((p - label) ** 2) / np.mean((base_rate - label) ** 2))


def auc(p: Float64, label: Float64) -> float:
    above, below = p[label == 1][:, None], p[label == 0][None, :]
    return float(np.mean((above > below) + 0.5 * (above == below)))


def test_centres_are_the_metrics_and_widths_those_of_a_day_jackknife() -> None:
    p, other, base_rate, label, time_ns = scored()
    cases: list[tuple[Interval | None, float, float]] = [
        (auc_interval(other, label, time_ns), auc(other, label), jackknife(auc, time_ns, other, label)),
        (
            auc_difference_interval(p, other, label, time_ns),
            auc(p, label) - auc(other, label),
            jackknife(lambda a, b, y: auc(a, y) - auc(b, y), time_ns, p, other, label),
        ),
        (
            brier_skill_interval(p, base_rate, label, time_ns),
            skill(p, base_rate, label),
            jackknife(skill, time_ns, p, base_rate, label),
        ),
    ]
    t = 2.0452296  # Student's 97.5 % point with 29 degrees of freedom
    for interval, theta, se in cases:
        assert interval is not None
        low, high = interval
        assert (low + high) / 2 == pytest.approx(theta, abs=1e-12)
        assert (high - low) / 2 == pytest.approx(t * se, rel=0.02)


def test_centre_of_the_interval_is_the_published_metric() -> None:
    p, _, base_rate, label, time_ns = scored()
    published = probability_metrics(p, label, base_rate)
    for name, interval in {
        "auc": auc_interval(p, label, time_ns),
        "brier_skill": brier_skill_interval(p, base_rate, label, time_ns),
        "log_loss": mean_interval(log_losses(p, label), time_ns),
    }.items():
        assert interval is not None
        assert sum(interval) / 2 == pytest.approx(published[name], abs=1e-6)


def test_a_model_against_itself_differs_by_nothing() -> None:
    p, _, _, label, time_ns = scored()
    assert auc_difference_interval(p, p, label, time_ns) == (0.0, 0.0)
    assert mean_interval(p - p, time_ns) == (0.0, 0.0)


def test_a_separating_model_s_interval_stays_inside_one() -> None:
    _, _, _, label, time_ns = scored()
    p = label.copy()
    p[:3] = 0.5
    interval = auc_interval(p, label, time_ns)
    assert interval is not None and 0.99 < interval[0] < interval[1] == 1.0


def test_nothing_is_said_where_nothing_is_known() -> None:
    p, _, _, label, time_ns = scored(n_days=9)
    assert mean_interval(p, time_ns) is None
    assert auc_interval(p, label, time_ns) is None
    assert mean_interval(np.empty(0), np.empty(0, np.int64)) is None
    p, _, _, label, time_ns = scored(n_days=10)
    assert mean_interval(p, time_ns) is not None
    assert auc_interval(p, np.ones_like(label), time_ns) is None
    assert auc_difference_interval(p, p, np.ones_like(label), time_ns) is None
    assert brier_skill_interval(p, label, label, time_ns) is None
    assert ece_null_band(np.empty(0), seed=0) is None


# --- coverage on overlapping labels ---


def forecast_market(
    rng: np.random.Generator, n: int, *, horizon: int, edge: float, memory_bars: float
) -> tuple[Float64, Float64, Float64]:
    """Two forecasts and the labels of a market with clustered volatility, whose next return leans on a slow signal."""
    phi = np.exp(-1 / memory_bars)
    total = n + horizon + 500
    signal = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.normal(size=total))[500:]
    volatility = np.exp(0.5 * lfilter([np.sqrt(1 - 0.99**2)], [1, -0.99], rng.normal(size=total))[500:])
    price = np.zeros(n + horizon)
    noise = rng.normal(size=n + horizon - 1)
    price[1:] = np.cumsum(volatility[1:] * (edge * signal[:-1] + np.sqrt(1 - edge**2) * noise))
    label = (price[horizon:] > price[:-horizon]).astype(float)
    strength = edge * (1 - phi**horizon) / (1 - phi) / np.sqrt(horizon)
    p = norm.cdf((strength or 0.08) * signal[:n])
    return p, norm.cdf(0.05 * (signal[:n] + np.roll(signal[:n], 7))), label


METRICS = ("auc", "auc_difference", "accuracy", "brier_skill", "log_loss_difference")


def intervals_of(p: Float64, q: Float64, label: Float64, time_ns: Int64) -> tuple[Interval | None, ...]:
    return (
        auc_interval(p, label, time_ns),
        auc_difference_interval(p, q, label, time_ns),
        mean_interval((p > 0.5) == label, time_ns),
        brier_skill_interval(p, np.full_like(p, 0.505), label, time_ns),
        mean_interval(log_losses(p, label) - log_losses(q, label), time_ns),
    )


def coverage(n_runs: int, *, n: int, horizon: int, edge: float, memory_bars: float) -> dict[str, float]:
    """The share of runs whose 95 % interval holds the truth, itself measured on a market 250 times as long."""
    rng = np.random.default_rng(7)
    long = forecast_market(rng, 250 * n, horizon=horizon, edge=edge, memory_bars=memory_bars)
    truth = [np.mean(interval or np.nan) for interval in intervals_of(*long, np.arange(250 * n) * 300 * 10**9)]
    time_ns = np.arange(n) * 300 * 10**9
    hits = np.zeros(len(METRICS))
    for _ in range(n_runs):
        run = forecast_market(rng, n, horizon=horizon, edge=edge, memory_bars=memory_bars)
        for i, interval in enumerate(intervals_of(*run, time_ns)):
            assert interval is not None
            hits[i] += interval[0] <= truth[i] <= interval[1]
    return dict(zip(METRICS, (hits / n_runs).tolist(), strict=True))


def test_a_month_of_half_hour_labels_is_covered() -> None:
    """60 runs: enough to see that an interval for independent rows, which covers 64 to 70 % here, will not do."""
    covered = coverage(60, n=8_640, horizon=6, edge=0.03, memory_bars=12)
    assert all(share >= 0.85 for share in covered.values()), covered


@pytest.mark.slow
@pytest.mark.parametrize(
    ("horizon", "memory_bars", "edge"),
    [
        (1, 12, 0.03),
        (6, 1, 0.03),
        (6, 12, 0.0),
        (6, 12, 0.03),
        (6, 12, 0.06),
        (6, 48, 0.03),
        (12, 12, 0.03),
        (12, 48, 0.0),
    ],
)
def test_coverage_is_90_to_98_percent(horizon: int, memory_bars: float, edge: float) -> None:
    covered = coverage(1_000, n=8_640, horizon=horizon, edge=edge, memory_bars=memory_bars)
    print(f"h={horizon} memory={memory_bars} edge={edge}: {covered}")
    assert all(0.90 <= share <= 0.98 for share in covered.values()), covered


# --- the null band of ECE ---


def test_null_band_agrees_with_labels_drawn_row_by_row() -> None:
    rng = np.random.default_rng(3)
    for p in (np.clip(0.5 + 0.02 * rng.normal(size=2_000), 0, 1), rng.beta(0.3, 0.3, 2_000)):
        drawn = [expected_calibration_error(p, (rng.random(len(p)) < p).astype(float)) for _ in range(4_000)]
        band = ece_null_band(p, seed=0)
        assert band == pytest.approx(np.quantile(drawn, [0.01, 0.99]).tolist(), rel=0.08)


def test_null_band_is_seeded_and_tells_too_little_and_too_much() -> None:
    rng = np.random.default_rng(4)
    p = np.clip(0.5 + 0.1 * rng.normal(size=9_000), 0, 1)
    band = ece_null_band(p, seed=5)
    assert band is not None and band == ece_null_band(p, seed=5)
    label = (rng.random(len(p)) < p).astype(float)
    assert band[0] < expected_calibration_error(p, label) < band[1]
    assert expected_calibration_error(np.clip(p + 0.05, 0, 1), label) > band[1]
    # Labels dealt out so that every thousandth of p gets its exact share: no honest draw is that even.
    order = np.argsort(p)
    dealt = np.empty(len(p))
    dealt[order] = np.diff(np.floor(np.cumsum(p[order])), prepend=0.0)
    assert expected_calibration_error(p, dealt) < band[0]


def test_a_longer_cluster_widens_the_interval_of_long_labels() -> None:
    """Daily bars, a label of five days: day clusters miss the dependence, ten spans do not."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(2_000)
    values = np.convolve(noise, np.ones(5), mode="valid")
    time_ns = np.arange(len(values)) * DAY_NS
    by_day = mean_interval(values, time_ns)
    by_spans = mean_interval(values, time_ns, cluster_ns_of(5 * DAY_NS))
    assert by_day is not None and by_spans is not None
    assert 1.5 < (by_spans[1] - by_spans[0]) / (by_day[1] - by_day[0]) < 3.0  # sqrt(5) = 2.2


def test_change_of_auc_on_the_same_rows_is_zero_and_certain() -> None:
    rng = np.random.default_rng(1)
    p, label = rng.random(3_000), (rng.random(3_000) < 0.5).astype(float)
    time_ns = np.arange(3_000) * 300 * 10**9 * 12
    assert auc_change_interval((p, label, time_ns), (p, label, time_ns)) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_overlap_raises_only_the_high_end_of_the_null_band() -> None:
    p = np.random.default_rng(2).normal(0.5, 0.02, 9_000)
    alone, overlapping = ece_null_band(p, seed=0), ece_null_band(p, seed=0, span_bars=6)
    assert alone is not None and overlapping is not None
    assert overlapping[0] == alone[0]
    assert 1.7 < overlapping[1] / alone[1] < 3.2  # sqrt(6) = 2.4
