"""What the predictions and the trades show: every figure that the summary prints and the verdict weighs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.anatomy import Anatomy, anatomy, positions_ns
from botscalp.backtest.performance import Summary, utc_day_returns
from botscalp.backtest.result import Result
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions, concatenated
from botscalp.pipeline.trading import ModelPredictions, Traded
from botscalp.pipeline.trials import Search
from botscalp.pipeline.window import FittedWindow
from botscalp.statistics import intervals
from botscalp.statistics.intervals import Interval
from botscalp.statistics.luck import Deflated, deflated_sharpe
from botscalp.statistics.metrics import histogram, probability_metrics
from botscalp.types import Bool, Float64, Int64

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; None where undefined."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The figures of one run."""

    metrics: Metrics
    metrics_raw: Metrics
    windows: list[Metrics]
    """test metrics of each window"""
    window_aucs: list[Estimate]
    estimates: dict[str, Estimate]
    """what rules weigh, by group/name, e.g. test/auc, backtest/mean_net_bps, auc_gain/linear"""
    backtest: Summary
    anatomy: Anatomy
    baseline_metrics: dict[str, Metrics]
    baseline_backtests: dict[str, Summary]
    share_up: float
    """of the labels that are scored: what saying "up" always, or never, would get right"""
    ece_band: Interval | None
    """ECE that a perfectly calibrated forecast of this sharpness would show, 98 %"""
    histogram: tuple[list[float], list[int]]
    """of all probabilities: edges and counts"""
    auc_attainable: float | None
    """AUC of the true probabilities on the same rows, where they are known"""
    search: Search | None
    """what was tried on these test bars so far, this run included; None where nothing is recorded"""
    deflated: Deflated | None
    """the Sharpe ratio against that search; None where either is undefined"""
    saturated_and_right: float
    """share of labelled rows whose probability is below 0.01 or above 0.99 and on the right side"""


def weigh(
    model: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    traded: Traded,
    *,
    auc_attainable: float | None,
    search: Search | None,
    span_bars: int,
    seed: int,
) -> Evidence:
    """Compute every figure, once, on the concatenation of all windows.

    Args:
        model: predictions of the test ranges, and of second halves of validation, whose raw probabilities have not seen their labels.
        baselines: other models' predictions of the same rows.
        auc_attainable: AUC of the true probabilities on the same rows, where they are known.
        search: what was tried on these test bars so far, this run included.
        span_bars: the label's span; it decides how far rows depend on each other.
        seed: of the simulated null band.
    """
    predictions, validation = model.test, model.validation
    others = {name: baseline.test for name, baseline in baselines.items()}
    interval_ns = traded.result.market[0].bars.interval_ns
    cluster_ns = intervals.cluster_ns_of(span_bars * interval_ns)
    backtest = traded.result.summary
    rows = predictions.labelled
    p, label, time_ns = predictions.p[rows], predictions.label[rows], predictions.open_time_ns[rows]
    base_rate = predictions.base_rate[rows]
    metrics = probability_metrics(p, label, base_rate)
    estimates = {
        "test/auc": Estimate(metrics["auc"], intervals.auc_interval(p, label, time_ns, cluster_ns)),
        "test/accuracy": _mean((p > 0.5) == (label == 1.0), time_ns, cluster_ns),
        "test/brier_skill": Estimate(
            metrics["brier_skill"], intervals.brier_skill_interval(p, base_rate, label, time_ns, cluster_ns)
        ),
        "val/auc": _auc(validation, validation.p_raw, validation.labelled, cluster_ns),
        "val/auc_decay": _decay(predictions, validation, cluster_ns),
        **_trade_estimates(traded.result, backtest, predictions, span_bars, cluster_ns),
    }
    for name, other in others.items():
        assert np.array_equal(other.row, predictions.row), "baselines predict the same rows"
        gain = _minus(metrics["auc"], _metrics(other, other.p, rows)["auc"])
        interval = intervals.auc_difference_interval(p, other.p[rows], label, time_ns, cluster_ns)
        estimates[f"auc_gain/{name}"] = Estimate(gain, interval)
    saturated = (p < 0.01) | (p > 0.99)
    windows = [predictions.of_window(window) for window in range(int(predictions.window.max()) + 1)]
    return Evidence(
        metrics=metrics,
        metrics_raw=_metrics(predictions, predictions.p_raw, rows),
        windows=[_metrics(predictions, predictions.p, window) for window in windows],
        window_aucs=[_auc(predictions, predictions.p, window, cluster_ns) for window in windows],
        estimates=estimates,
        backtest=backtest,
        anatomy=anatomy(traded.result),
        baseline_metrics={name: _metrics(other, other.p, rows) for name, other in others.items()},
        baseline_backtests={name: other.summary for name, other in traded.baselines.items()},
        share_up=float(label.mean()),
        ece_band=intervals.ece_null_band(p, seed=seed, span_bars=span_bars),
        histogram=histogram(predictions.p),
        auc_attainable=auc_attainable,
        search=search,
        deflated=None if search is None or backtest.sharpe is None else _deflated(traded.result, search),
        saturated_and_right=float(np.mean(saturated & ((p > 0.5) == (label == 1.0)))),
    )


def window_metrics(panel: Panel, fit: FittedWindow) -> Metrics:
    """The test metrics of one window alone."""
    predictions = concatenated(panel, [fit.test], [fit.base_rate])
    return _metrics(predictions, predictions.p, predictions.labelled)


def _auc(predictions: Predictions, p: Float64, rows: Bool, cluster_ns: int) -> Estimate:
    interval = intervals.auc_interval(p[rows], predictions.label[rows], predictions.open_time_ns[rows], cluster_ns)
    return Estimate(_metrics(predictions, p, rows)["auc"], interval)


def _decay(test: Predictions, validation: Predictions, cluster_ns: int) -> Estimate:
    """AUC on test less AUC on validation: raw against raw, for the calibrators have seen the validation labels.

    A window's validation lies in an earlier window's test range, so the errors are not independent.
    """
    (a, auc_a), (b, auc_b) = (
        (
            (one.p_raw[one.labelled], one.label[one.labelled], one.open_time_ns[one.labelled]),
            _metrics(one, one.p_raw, one.labelled)["auc"],
        )
        for one in (test, validation)
    )
    return Estimate(_minus(auc_a, auc_b), intervals.auc_change_interval(a, b, cluster_ns))


def _mean(values: NDArray[np.generic], time_ns: Int64, cluster_ns: int) -> Estimate:
    numbers = values.astype(np.float64)
    if not len(numbers):
        return Estimate(None, None)
    return Estimate(float(numbers.mean()), intervals.mean_interval(numbers, time_ns, cluster_ns))


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _metrics(predictions: Predictions, p: Float64, rows: Bool) -> Metrics:
    return probability_metrics(p[rows], predictions.label[rows], predictions.base_rate[rows])


def _trade_estimates(
    result: Result, backtest: Summary, predictions: Predictions, span_bars: int, cluster_ns: int
) -> dict[str, Estimate]:
    """Figures of trades, in bps of the entry's notional."""
    records = result.records
    entry_ns, _ = positions_ns(result)
    costs = records["slippage_quote"] + records["fees_quote"] + records["funding_quote"]
    to_bps = 1e4 / (records["size_base"] * records["entry_price"])
    gross, costs = records["gross_quote"] * to_bps, costs * to_bps
    late = _in_last_bars(entry_ns, predictions, span_bars * result.market[0].bars.interval_ns)
    low, high = backtest.sharpe_low, backtest.sharpe_high
    return {
        "backtest/mean_net_bps": _mean(gross - costs, entry_ns, cluster_ns),
        "backtest/mean_gross_bps": _mean(gross, entry_ns, cluster_ns),
        "backtest/mean_net_bps_double_costs": _mean(gross - 2 * costs, entry_ns, cluster_ns),
        "backtest/win_rate": _mean(records["pnl_quote"] > 0, entry_ns, cluster_ns),
        "backtest/sharpe": Estimate(backtest.sharpe, None if low is None or high is None else (low, high)),
        "backtest/last_bars_excess_bps": _excess(gross[late], gross[~late]),
    }


def _deflated(result: Result, search: Search) -> Deflated | None:
    returns = utc_day_returns(result.close_time_ns, result.equity_quote, result.capital_quote)
    return deflated_sharpe(returns, trials=search.count, sharpe_variance=search.sharpe_variance)


def _excess(few: Float64, many: Float64) -> Estimate:
    """Mean of `few` less mean of `many`, with Welch's interval at 3 standard errors; nothing below ten of either."""
    if min(len(few), len(many)) < 10:
        return Estimate(None, None)
    value = float(few.mean() - many.mean())
    half = 3 * float(np.sqrt(few.var(ddof=1) / len(few) + many.var(ddof=1) / len(many)))
    return Estimate(value, (value - half, value + half))


def _in_last_bars(entry_ns: Int64, predictions: Predictions, span_ns: int) -> Bool:
    """Which entries fall into the last `span_ns` before the last prediction of some window."""
    ends_ns = np.array([predictions.open_time_ns[predictions.window == w].max() for w in np.unique(predictions.window)])
    end_ns = np.append(ends_ns, np.iinfo(np.int64).max)[np.searchsorted(ends_ns, entry_ns)]
    late: Bool = end_ns - entry_ns < span_ns
    return late
