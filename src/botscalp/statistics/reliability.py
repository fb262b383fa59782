"""Whether probabilities mean what they say, by measures whose noise is known.

Arrays have shape (N,), p and label in float64, labels 0 or 1. Labels that overlap over `span_bars` depend on each other, so
nothing here takes rows of one span for independent.
"""

from dataclasses import dataclass

import numpy as np

from botscalp.statistics.bootstrap import MINIMUM_BLOCKS, Interval, Resampling
from botscalp.statistics.figures import Figure
from botscalp.statistics.metrics import ECE_BINS, ece_bin, expected_calibration_error
from botscalp.types import Float64, Int64

EQUAL_BINS = 10
SIZES = 200
BAND = 0.98
"""share of calibrated forecasts whose ECE lies inside the null band, or more"""


@dataclass(frozen=True, kw_only=True)
class BrierParts:
    """Brier score = miscalibration - discrimination + uncertainty (CORP: Dimitriadis, Gneiting & Jordan 2021)."""

    miscalibration: float
    """what the best non-decreasing map of the probabilities would gain"""
    discrimination: float
    """what the mapped probabilities gain over the constant share of label 1"""
    uncertainty: float
    """Brier score of that constant"""


def brier_parts(p: Float64, label: Float64) -> BrierParts | None:
    """The decomposition by isotonic regression, without bins; None with no rows."""
    from sklearn.isotonic import IsotonicRegression

    if len(p) == 0:
        return None
    recalibrated = IsotonicRegression().fit_transform(p, label)
    score, best, constant = (
        float(np.mean((forecast - label) ** 2)) for forecast in (p, recalibrated, np.full(len(p), label.mean()))
    )
    return BrierParts(miscalibration=score - best, discrimination=constant - best, uncertainty=constant)


def ece_apart(p: Float64, label: Float64, number: Int64, *, span_bars: int) -> float | None:
    """The ECE of every span-th row, whose labels share no bar, averaged over the spans' offsets.

    Args:
        number: of each row's bar, counted in bars of the interval.
    """
    offset = number % span_bars
    eces = [expected_calibration_error(p[rows], label[rows]) for o in range(span_bars) if (rows := offset == o).any()]
    return float(np.mean(eces)) if eces else None


def ece_null_band(p: Float64, *, seed: int, span_bars: int, symbols: int = 1, n_draws: int = 2_000) -> Interval | None:
    """Where `ece_apart` of a perfectly calibrated model that gives these p lies, with probability BAND or more.

    Labels are drawn from Bernoulli(p), one a span. An ECE above the band is miscalibration, one below it is too good to be
    true. The average over the offsets lies nearer the middle than one offset's ECE, whose quantiles these are. Symbols may
    move as one: for the high end they count as one. None with no rows.
    """
    if len(p) == 0:
        return None
    low = np.quantile(_calibrated_eces(p, span_bars, seed, n_draws), 0.5 - BAND / 2)
    high = np.quantile(_calibrated_eces(p, span_bars * symbols, seed, n_draws), 0.5 + BAND / 2)
    return float(low), float(high)


def _calibrated_eces(p: Float64, rows_a_draw: int, seed: int, n_draws: int) -> Float64:
    """ECEs of simulated calibrated models, one label drawn for each `rows_a_draw` rows; shape (n_draws,)."""
    # Rows within 1/20 of a bin share their draws: a binomial with their mean p, whose variance is right to 0.2 %.
    cells_per_bin = 20
    cell = ece_bin(p, ECE_BINS * cells_per_bin)
    count = np.bincount(cell, minlength=ECE_BINS * cells_per_bin)
    used = count > 0
    mean_p = np.minimum(np.bincount(cell, weights=p, minlength=len(count))[used] / count[used], 1.0)
    draws = -(-count[used] // rows_a_draw)
    excess = np.zeros((n_draws, len(count)))
    rate = np.random.default_rng(seed).binomial(draws, mean_p, (n_draws, used.sum())) / draws
    excess[:, used] = (rate - mean_p) * count[used]
    eces: Float64 = np.abs(excess.reshape(n_draws, ECE_BINS, cells_per_bin).sum(axis=2)).sum(axis=1) / len(p)
    return eces


def equal_bins(p: Float64) -> Int64:
    """The number of each row's bin among EQUAL_BINS of equally many rows, equal p in one bin; shape (N,)."""
    edges = np.quantile(p, np.arange(1, EQUAL_BINS) / EQUAL_BINS)
    return np.searchsorted(np.unique(edges), p, side="right")


def squared_error(
    p: Float64, label: Float64, time_ns: Int64, resampling: Resampling
) -> tuple[float, Interval | None] | None:
    """The mean over equal bins of (share of label 1 - mean p)^2, less what noise adds to it, and its 95 % interval.

    After Kumar, Liang & Ma (2019), whose noise term takes rows for independent; here it is the variance that the block
    bootstrap finds. So a calibrated model's value is 0 on average, and may be negative. The interval holds every size that
    the value does not contradict: were the excess d of the bins of that size, in the direction found, the value would err by
    2 d e + e^2 - E e^2, with e the bootstrap's noise. The excess found is longer than the true one, by noise that hides its
    direction: it is scaled by its length without that noise, or by half of its square where less is left. None with no rows.
    """
    if len(p) == 0:
        return None
    bins = equal_bins(p)
    weight, excess, noise = [], [], []
    for number in np.unique(bins):
        rows = bins == number
        gap = label[rows] - p[rows]
        d = float(gap.mean())
        drawn = resampling.draws(Figure(d, (gap - d) / len(gap), time_ns[rows]))
        weight.append(len(gap) / len(p))
        excess.append(d)
        noise.append(drawn - d)
    weight_B, excess_B, noise_BD = np.array(weight), np.array(excess), np.array(noise)
    blocks = resampling.blocks(time_ns)
    few_blocks = blocks / (blocks - 2) if blocks > 2 else 1.0  # the bootstrap centres on what it resamples
    spread_B = few_blocks * np.mean(noise_BD**2, axis=1)
    value = float(weight_B @ (excess_B**2 - spread_B))
    if blocks < MINIMUM_BLOCKS:
        return value, None
    length = np.sqrt(max(value, float(weight_B @ excess_B**2) / 2, np.finfo(float).tiny))
    direction_B = excess_B / length
    linear_D = 2 * (weight_B * direction_B) @ noise_BD
    square_D = weight_B @ (noise_BD**2 - spread_B[:, None])
    size_S = np.linspace(0.0, 3 * np.sqrt(weight_B @ (excess_B**2 + 4 * spread_B)), SIZES)
    error_SD = resampling.stretch(blocks) * (size_S[:, None] * linear_D + square_D)
    low_S, high_S = np.quantile(error_SD, [0.025, 0.975], axis=1)
    held_S = size_S[(size_S**2 + low_S <= value) & (value <= size_S**2 + high_S)]
    return value, (float(held_S.min() ** 2), float(held_S.max() ** 2)) if len(held_S) else (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """One point of the reliability diagram."""

    rows: int
    mean_p: float
    share_up: float
    low: float
    high: float
    """ends of the range in which a calibrated forecast's share of label 1 lies in 95 %"""


def reliability(p: Float64, label: Float64, *, rows_a_draw: int) -> list[ReliabilityBin]:
    """The bins of equally many rows, by p.

    Args:
        rows_a_draw: rows that count as one independent label: the label's span times the symbols.
    """
    from scipy.stats import binom

    if len(p) == 0:
        return []
    bins, found = equal_bins(p), []
    for number in np.unique(bins):
        rows = bins == number
        draws, mean_p = -(-int(rows.sum()) // rows_a_draw), float(p[rows].mean())
        low, high = binom.ppf([0.025, 0.975], draws, mean_p) / draws
        found.append(
            ReliabilityBin(
                rows=int(rows.sum()),
                mean_p=mean_p,
                share_up=float(label[rows].mean()),
                low=float(low),
                high=float(high),
            )
        )
    return found
