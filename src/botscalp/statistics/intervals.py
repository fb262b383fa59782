"""95 % intervals that survive overlapping labels, by influence values summed over UTC days or longer.

A metric theta over N rows is, up to terms of higher order, a mean of influence values psi with sum 0, and

    se(theta)^2 = G / (G - 1) x sum over clusters (sum of psi in it)^2 / N^2,    interval theta +- t(G - 1) x se

with the G clusters that hold rows (Liang & Zeger 1986; small-sample terms as in Cameron & Miller 2015). A cluster is a
UTC day. Rows of one cluster may depend on each other in any way, across symbols too; clusters are taken as independent.
So the label's span has to be short against a cluster: where it is not short against a day, give a longer `cluster_ns`.

Each function takes `time_ns` of shape (N,), the rows' times in any order, and returns (low, high), or None with fewer
than MINIMUM_CLUSTERS clusters or where the metric is undefined.
"""

import numpy as np
from scipy.special import stdtrit
from scipy.stats import rankdata

from botscalp.statistics.metrics import ECE_BINS, ece_bin
from botscalp.times import DAY_NS
from botscalp.types import Float64, Int64

Interval = tuple[float, float]

MINIMUM_CLUSTERS = 10
SPANS_A_CLUSTER = 10
CONFIDENCE = 0.95


def cluster_ns_of(label_span_ns: int) -> int:
    """How long a cluster is for labels of that span: a day, or ten spans where that is longer."""
    return max(DAY_NS, SPANS_A_CLUSTER * label_span_ns)


def mean_interval(values: Float64, time_ns: Int64, cluster_ns: int = DAY_NS) -> Interval | None:
    """Of the mean: accuracy from hits, log loss from losses, mean net trade from trades, differences from pairs."""
    if len(values) == 0:
        return None
    theta = float(np.mean(values, dtype=np.float64))
    return _clustered(theta, values - theta, time_ns, cluster_ns)


def auc_interval(p: Float64, label: Float64, time_ns: Int64, cluster_ns: int = DAY_NS) -> Interval | None:
    """Of the area under the ROC curve, cut to [0, 1]."""
    if not _both_classes(label):
        return None
    interval = _clustered(*_auc_influence(p, label), time_ns, cluster_ns)
    return interval and (max(interval[0], 0.0), min(interval[1], 1.0))


def auc_difference_interval(
    p_a: Float64, p_b: Float64, label: Float64, time_ns: Int64, cluster_ns: int = DAY_NS
) -> Interval | None:
    """Of AUC(a) - AUC(b) on the same rows."""
    if not _both_classes(label):
        return None
    auc_a, influence_a = _auc_influence(p_a, label)
    auc_b, influence_b = _auc_influence(p_b, label)
    return _clustered(auc_a - auc_b, influence_a - influence_b, time_ns, cluster_ns)


def auc_change_interval(
    a: tuple[Float64, Float64, Int64], b: tuple[Float64, Float64, Int64], cluster_ns: int = DAY_NS
) -> Interval | None:
    """Of AUC(a) - AUC(b) on different rows that may lie in the same clusters; a and b are (p, label, time_ns)."""
    if not (_both_classes(a[1]) and _both_classes(b[1])):
        return None
    (auc_a, influence_a), (auc_b, influence_b) = _auc_influence(*a[:2]), _auc_influence(*b[:2])
    n = len(influence_a) + len(influence_b)
    influence = np.concatenate([influence_a * (n / len(influence_a)), -influence_b * (n / len(influence_b))])
    return _clustered(auc_a - auc_b, influence, np.concatenate([a[2], b[2]]), cluster_ns)


def brier_skill_interval(
    p: Float64, base_rate: Float64, label: Float64, time_ns: Int64, cluster_ns: int = DAY_NS
) -> Interval | None:
    """Of 1 - Brier(p) / Brier(base_rate); delta method for the ratio of the two means."""
    loss, loss_constant = (p - label) ** 2, (base_rate - label) ** 2
    if not np.sum(loss_constant) > 0.0:
        return None
    ratio = float(np.sum(loss) / np.sum(loss_constant))
    return _clustered(1.0 - ratio, (ratio * loss_constant - loss) / np.mean(loss_constant), time_ns, cluster_ns)


def ece_null_band(
    p: Float64, *, seed: int, span_bars: int = 1, level: float = 0.98, n_draws: int = 2_000
) -> Interval | None:
    """Where the ECE of a perfectly calibrated model that gives these p lies, with probability `level` or more.

    Labels are drawn from Bernoulli(p) and scored like `expected_calibration_error`. An ECE above the band is
    miscalibration; one below it is too good to be true. Labels that overlap over `span_bars` depend on each other by an
    unknown amount between none and that of one row in `span_bars`: the low end is drawn for the former, the high end
    for the latter. None with no rows.
    """
    if len(p) == 0:
        return None
    low = np.quantile(_calibrated_eces(p, 1, seed, n_draws), 0.5 - level / 2)
    high = np.quantile(_calibrated_eces(p, span_bars, seed, n_draws), 0.5 + level / 2)
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


def _clustered(theta: float, influence: Float64, time_ns: Int64, cluster_ns: int) -> Interval | None:
    """The interval of theta from its influence values."""
    _, cluster = np.unique(time_ns // cluster_ns, return_inverse=True)
    sums = np.bincount(cluster, weights=influence)
    n_clusters = len(sums)
    if n_clusters < MINIMUM_CLUSTERS:
        return None
    se = np.sqrt(n_clusters / (n_clusters - 1) * np.sum(sums**2)) / len(influence)
    half_width = float(stdtrit(n_clusters - 1, 0.5 + CONFIDENCE / 2) * se)
    return theta - half_width, theta + half_width


def _auc_influence(p: Float64, label: Float64) -> tuple[float, Float64]:
    """AUC and its influence values from placement values (DeLong et al. 1988, clustered: Obuchowski 1997).

    The placement of a positive is the share of negatives below it, of a negative the share of positives above it,
    ties counting half; both come from midranks (Sun & Xu 2014).
    """
    positive = label == 1.0
    n, n_positive = len(label), int(positive.sum())
    n_negative = n - n_positive
    rank = rankdata(p)
    placement = np.empty(n)
    placement[positive] = (rank[positive] - rankdata(p[positive])) / n_negative
    placement[~positive] = 1.0 - (rank[~positive] - rankdata(p[~positive])) / n_positive
    auc = float(placement[positive].mean())
    return auc, (placement - auc) * np.where(positive, n / n_positive, n / n_negative)


def _both_classes(label: Float64) -> bool:
    return len(label) > 0 and label.min() < label.max()
