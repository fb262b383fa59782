"""What the predictions and the trades show: every figure that the summary prints and the verdict weighs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.performance import Summary, summarize
from botscalp.backtest.result import Result
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import Predictions, concatenated
from botscalp.pipeline.trading import Traded
from botscalp.pipeline.window import FittedWindow
from botscalp.statistics import intervals
from botscalp.statistics.intervals import Interval
from botscalp.statistics.metrics import probability_metrics
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
    estimates: dict[str, Estimate]
    """what rules weigh, by group/name, e.g. test/auc, backtest/mean_net_bps, auc_gain/linear"""
    backtest: Summary
    baseline_metrics: dict[str, Metrics]
    baseline_backtests: dict[str, Summary]
    ece_band: Interval | None
    """ECE that a perfectly calibrated forecast of this sharpness would show, 98 %"""
    saturation: float
    """share of probabilities below 0.01 or above 0.99"""


def weigh(
    predictions: Predictions,
    validation: Predictions,
    baselines: Mapping[str, Predictions],
    traded: Traded,
    *,
    last_bars: int,
    seed: int,
) -> Evidence:
    """Compute every figure, once, on the concatenation of all windows.

    Args:
        validation: second halves of validation, whose raw probabilities have not seen their labels.
        baselines: other forecasts of the same rows.
        last_bars: how many bars count as the last of a window.
        seed: of the simulated null band.
    """
    result = traded.result
    backtest = _summary(result)
    here = predictions.labelled
    p, label, time_ns = predictions.p[here], predictions.label[here], predictions.open_time_ns[here]
    base_rate = predictions.base_rate[here]
    metrics = probability_metrics(p, label, base_rate)
    auc = Estimate(metrics["auc"], intervals.auc_interval(p, label, time_ns))
    # Raw against raw: the calibrators have seen the validation labels, and they move ranks between windows.
    validation_auc = _raw_auc(validation)
    estimates = {
        "test/auc": auc,
        "test/brier_skill": Estimate(
            metrics["brier_skill"], intervals.brier_skill_interval(p, base_rate, label, time_ns)
        ),
        "validation/auc": validation_auc,
        "validation/auc_decay": _difference(_raw_auc(predictions), validation_auc),
        **_trade_estimates(result, backtest, predictions, last_bars),
    }
    for name, other in baselines.items():
        assert np.array_equal(other.row, predictions.row), "baselines predict the same rows"
        theirs = _metrics(other, other.p, here)["auc"]
        gain = None if auc.value is None or theirs is None else auc.value - theirs
        estimates[f"auc_gain/{name}"] = Estimate(
            gain, intervals.auc_difference_interval(p, other.p[here], label, time_ns)
        )
    return Evidence(
        metrics=metrics,
        metrics_raw=_metrics(predictions, predictions.p_raw, here),
        windows=[
            _metrics(predictions, predictions.p, predictions.of_window(window))
            for window in range(int(predictions.window.max()) + 1)
        ],
        estimates=estimates,
        backtest=backtest,
        baseline_metrics={name: _metrics(other, other.p, here) for name, other in baselines.items()},
        baseline_backtests={name: _summary(other) for name, other in traded.baselines.items()},
        ece_band=intervals.ece_null_band(p, seed=seed),
        saturation=float(np.mean((predictions.p < 0.01) | (predictions.p > 0.99))),
    )


def window_metrics(panel: Panel, fit: FittedWindow) -> Metrics:
    """The test metrics of one window alone."""
    predictions = concatenated(panel, [fit])
    return _metrics(predictions, predictions.p, predictions.labelled)


def _raw_auc(predictions: Predictions) -> Estimate:
    rows = predictions.labelled
    p, label, time_ns = predictions.p_raw[rows], predictions.label[rows], predictions.open_time_ns[rows]
    return Estimate(_metrics(predictions, predictions.p_raw, rows)["auc"], intervals.auc_interval(p, label, time_ns))


def _metrics(predictions: Predictions, p: Float64, rows: Bool) -> Metrics:
    return probability_metrics(p[rows], predictions.label[rows], predictions.base_rate[rows])


def _summary(result: Result) -> Summary:
    return summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)


def _difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b for figures from different rows, whose errors add up in squares."""
    if a.value is None or b.value is None or a.interval is None or b.interval is None:
        return Estimate(None, None)
    half = np.hypot(a.interval[1] - a.interval[0], b.interval[1] - b.interval[0]) / 2
    value = a.value - b.value
    return Estimate(value, (float(value - half), float(value + half)))


def _trade_estimates(
    result: Result, backtest: Summary, predictions: Predictions, last_bars: int
) -> dict[str, Estimate]:
    """Figures of trades, in bps of the entry's notional; trades of one UTC day may depend on each other."""
    records = result.records
    entry_ns = _entry_time_ns(result)
    costs = records["slippage_quote"] + records["fees_quote"] + records["funding_quote"]
    scale = 1e4 / (records["size_base"] * records["entry_price"])
    gross, costs = records["gross_quote"] * scale, costs * scale
    late = _in_last_bars(entry_ns, predictions, last_bars * result.market[0].bars.interval_ns)

    def mean(values: Float64, rows: Bool | slice = slice(None)) -> Estimate:
        values = values[rows]
        value = float(values.mean()) if len(values) else None
        return Estimate(value, intervals.mean_interval(values, entry_ns[rows]))

    sharpe = (
        None
        if backtest.sharpe_low is None or backtest.sharpe_high is None
        else (backtest.sharpe_low, backtest.sharpe_high)
    )
    return {
        "backtest/mean_net_bps": mean(gross - costs),
        "backtest/mean_gross_bps": mean(gross),
        "backtest/mean_net_bps_double_costs": mean(gross - 2 * costs),
        "backtest/win_rate": mean((records["pnl_quote"] > 0).astype(float)),
        "backtest/sharpe": Estimate(backtest.sharpe, sharpe),
        "backtest/mean_gross_bps_last_bars": mean(gross, late),
        "backtest/mean_gross_bps_other_bars": mean(gross, ~late),
    }


def _entry_time_ns(result: Result) -> Int64:
    """Open time of each trade's entry bar, in the order of the records."""
    times = [
        predicted.bars.open_time_ns[trades["entry"]]
        for predicted, trades in zip(result.market, result.trades_of, strict=True)
    ]
    return np.concatenate(times)


def _in_last_bars(entry_ns: Int64, predictions: Predictions, span_ns: int) -> Bool:
    """Which entries fall into the last `span_ns` before the last prediction of some window."""
    ends_ns = np.array([predictions.open_time_ns[predictions.window == w].max() for w in np.unique(predictions.window)])
    end_ns = np.append(ends_ns, np.iinfo(np.int64).max)[np.searchsorted(ends_ns, entry_ns)]
    late: Bool = end_ns - entry_ns < span_ns
    return late
