"""Each window by itself: is it steady? A diagnosis, for the score is on all windows together."""

from dataclasses import dataclass

import numpy as np

from botscalp.backtest.result import Result
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.evidence.forecasts import Metrics, auc, brier_skill, metrics_of
from botscalp.pipeline.predictions import Predictions
from botscalp.types import Int64


@dataclass(frozen=True, kw_only=True)
class WindowEvidence:
    """The figures of one window's test."""

    metrics: Metrics
    auc: Estimate
    brier_skill: Estimate
    trades: int
    """entered in it, wherever they ended"""
    mean_net_bps: Estimate


def by_window(test: Predictions, result: Result, trades: TradeRows, estimator: Estimator) -> list[WindowEvidence]:
    """The windows, oldest first; one too short for an interval has none."""
    window_of_trade = _windows_of_entry(result)
    found = []
    for window in range(int(test.window.max()) + 1):
        rows, mine = test.of_window(window), trades[window_of_trade == window]
        found.append(
            WindowEvidence(
                metrics=metrics_of(test, test.p, rows),
                auc=estimator.of(auc(test, rows)),
                brier_skill=estimator.of(brier_skill(test, rows)),
                trades=len(mine.net_bps),
                mean_net_bps=estimator.of(mine.mean_net()),
            )
        )
    return found


def _windows_of_entry(result: Result) -> Int64:
    """The window in which each of the records was entered."""
    window = np.empty(len(result.records), np.int64)
    for position, one in enumerate(result.market):
        here = result.records["symbol"] == position
        window[here] = one.window[result.records["entry"][here]]
    return window
