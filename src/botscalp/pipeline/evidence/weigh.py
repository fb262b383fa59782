"""What the predictions and the trades show: every figure that the summary prints and the verdict weighs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from botscalp.backtest.anatomy import Anatomy, anatomy
from botscalp.backtest.performance import Summary
from botscalp.pipeline.evidence.calibration import Calibrated, calibration
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.evidence.forecasts import Metrics, auc, brier_skill, forecast_estimates, metrics_of
from botscalp.pipeline.evidence.periods import Periods, compared, difference, raw_auc
from botscalp.pipeline.evidence.regimes import Regime, by_regime
from botscalp.pipeline.evidence.symbols import SymbolEvidence, by_symbol
from botscalp.pipeline.evidence.trading import AtCosts, at_costs, best_baseline, deflated, trade_estimates
from botscalp.pipeline.evidence.windows import WindowEvidence, by_window
from botscalp.pipeline.ledger import Search
from botscalp.pipeline.predictions import ModelPredictions, Predictions
from botscalp.pipeline.trading import Traded
from botscalp.statistics import figures
from botscalp.statistics.luck import Deflated
from botscalp.statistics.metrics import histogram

TWICE = {"costs_x0.5": "costs_x1", "costs_x1": "costs_x2"}
"""cost levels that were run at twice their costs too"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The figures of one run."""

    metrics: Metrics
    metrics_raw: Metrics
    windows: list[WindowEvidence]
    symbols: list[SymbolEvidence]
    estimates: dict[str, Estimate]
    """what rules weigh, by group/name, e.g. test/auc, backtest/mean_net_bps, auc_gain/linear"""
    backtest: Summary
    anatomy: Anatomy
    costs: list[AtCosts]
    baseline_metrics: dict[str, Metrics]
    baseline_backtests: dict[str, Summary]
    best_baseline: str
    """the one that earned most, doing nothing (flat) among them"""
    calibration: Calibrated
    periods: Periods
    regimes: list[Regime]
    share_up: float
    """of the labels that are scored: what saying "up" always, or never, would get right"""
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

    def at(self, level: AtCosts) -> "Evidence":
        """The evidence, had costs been at that level; twice as dear is the level that is, or itself where none was run."""
        by_name = {one.name: one for one in self.costs}
        dearer = by_name.get(TWICE.get(level.name, level.name), level)
        return replace(
            self,
            backtest=level.summary,
            best_baseline=level.best_baseline,
            deflated=level.deflated,
            estimates=self.estimates
            | level.estimates
            | {"costs_x2/mean_net_bps": dearer.estimates["backtest/mean_net_bps"]},
        )


def estimator_of(model: ModelPredictions, traded: Traded, *, span_bars: int, seed: int) -> Estimator:
    """The draws that all figures of a run share, from the first training row that is looked at to the end of the tests."""
    test, result = model.test, traded.result
    return Estimator.of_account(
        result,
        [auc(test, test.labelled), brier_skill(test, test.labelled), TradeRows.of(result).mean_net()],
        start_ns=min(int(one.open_time_ns.min()) for one in vars(model).values() if len(one.open_time_ns)),
        span_ns=span_bars * result.market[0].bars.interval_ns,
        seed=seed,
    )


def weigh(
    model: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    traded: Traded,
    *,
    symbols: Sequence[str],
    auc_attainable: float | None,
    search: Search | None,
    estimator: Estimator,
    span_bars: int,
    seed: int,
) -> Evidence:
    """Compute every figure, once, on the concatenation of all windows.

    Args:
        model: its predictions.
        baselines: other models' predictions of the same rows.
        symbols: which `Predictions.symbol` counts through.
        auc_attainable: AUC of the true probabilities on the same rows, where they are known.
        search: what was tried on these test bars so far, this run included.
        estimator: of the same predictions and trades, as `estimator_of` makes it.
        span_bars: the label's span; it decides how far rows depend on each other.
        seed: of the simulated null band.
    """
    test, result = model.test, traded.result
    interval_ns, trades = result.market[0].bars.interval_ns, TradeRows.of(result)
    rows = test.labelled
    p, label = test.p[rows], test.label[rows]
    right = (p > 0.5) == (label == 1.0)
    saturated = (p < 0.01) | (p > 0.99)
    others = {name: one.test for name, one in baselines.items()}
    calibrated = calibration(
        test, estimator.bars, span_bars=span_bars, symbols=len(symbols), interval_ns=interval_ns, seed=seed
    )
    costs = at_costs(traded, search, estimator)
    periods = compared(
        vars(model),
        {"test": [trades]} | {name: [TradeRows.of(one) for one in some] for name, some in traded.before.items()},
        estimator,
    )
    return Evidence(
        metrics=metrics_of(test, test.p, rows),
        metrics_raw=metrics_of(test, test.p_raw, rows),
        windows=by_window(test, result, trades, estimator),
        symbols=by_symbol(test, symbols, result, trades, estimator),
        estimates=forecast_estimates(test, others, estimator)
        | {
            "test/squared_calibration_error": calibrated.squared_error,
            "train/auc": periods.by_name["train"].estimates["auc"],
            "val/auc": periods.by_name["validation"].estimates["auc"],
            "val/auc_decay": estimator.of(difference(raw_auc(test), raw_auc(model.validation))),
        }
        | trade_estimates(traded, estimator)
        | {f"{level.name}/mean_net_bps": level.estimates["backtest/mean_net_bps"] for level in costs}
        | {"backtest/last_bars_excess_bps": _last_bars_excess(trades, test, span_bars * interval_ns, estimator)},
        backtest=result.summary,
        anatomy=anatomy(result),
        costs=costs,
        baseline_metrics={name: metrics_of(other, other.p, rows) for name, other in others.items()},
        baseline_backtests={name: other.summary for name, other in traded.baselines.items()},
        best_baseline=best_baseline(traded),
        calibration=calibrated,
        periods=periods,
        regimes=by_regime(test, symbols, result, trades, estimator),
        share_up=float(label.mean()),
        histogram=histogram(test.p),
        auc_attainable=auc_attainable,
        search=search,
        deflated=deflated(traded, search),
        saturated_and_right=float(np.mean(saturated & right)),
    )


def _last_bars_excess(trades: TradeRows, predictions: Predictions, span_ns: int, estimator: Estimator) -> Estimate:
    """Mean gross bps of trades entered in the last `span_ns` before some window's last prediction, less the others'.

    At 3 standard errors, and nothing below ten of either: a sentinel that is looked at in every run must not cry wolf.
    """
    ends_ns = np.array([predictions.open_time_ns[predictions.window == w].max() for w in np.unique(predictions.window)])
    end_ns = np.append(ends_ns, np.iinfo(np.int64).max)[np.searchsorted(ends_ns, trades.entry_ns)]
    late = end_ns - trades.entry_ns < span_ns
    few, many = (figures.mean(trades.gross_bps[here], trades.entry_ns[here]) for here in (late, ~late))
    if few is None or many is None or min(late.sum(), (~late).sum()) < 10:
        return Estimate(None, None)
    return estimator.of(few - many, confidence=0.9973)
