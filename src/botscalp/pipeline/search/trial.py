"""One trial: the settings' windows one after another, as long as they keep up, and what they come to."""

import json
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from botscalp.backtest.result import Result
from botscalp.pipeline.evidence.forecasts import window_metrics
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.fitting import fit_windows
from botscalp.pipeline.market import Market
from botscalp.pipeline.predictions import ModelPredictions
from botscalp.pipeline.prepared import Prepared
from botscalp.pipeline.run_folder import CONFIG, write_predictions, write_trading
from botscalp.pipeline.search.order import TrialOrder
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.tracking import TrackedResult, TrackedWindow
from botscalp.pipeline.trading import chosen_brackets
from botscalp.pipeline.window import FittedWindow
from botscalp.whole_files import write_whole
from botscalp.windows import Window

logger = logging.getLogger(__name__)

FILE = "trial.json"


class TrialTimeoutError(RuntimeError):
    """A trial took longer than it may."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial came to, as trial.json holds it."""

    number: int
    state: Literal["complete", "pruned"]
    value: float | None
    """mean of the scores, of a pruned trial an estimate; None where a window has no score"""
    scores: tuple[float | None, ...]
    """the objective on each window's test, as far as it came"""
    tests: tuple[tuple[str, str], ...]
    """of these windows, start and end as UTC text"""
    markets: tuple[str, ...]
    incumbent: int | None
    reason: str
    """why it was pruned"""
    sharpe: float | None
    """annualised, net of costs, of the days that it came to"""
    trades: int
    mean_net_bps: float | None
    capital_quote: float
    fit_s: float
    total_s: float


def run_trial(experiment: Experiment, order: TrialOrder, folder: Path) -> dict[str, Any]:
    """Fit the windows until the trial falls behind, trade what was predicted, write the files, and return the result.

    No baseline and no sentinel runs, and no verdict is given: those are for the setting that wins.

    Raises:
        UserError: bars, windows or options cannot work together.
        CausalityError: a feature looks ahead.
        TrialTimeoutError: the trial took too long.
    """
    watch, name, deadline = Stopwatch(), experiment.names["model"], Deadline(order.timeout_s)
    prepared = Prepared.of(experiment, watch)
    panel, windows = prepared.panel, prepared.windows
    with experiment.recorded(prepared.origin, folder / CONFIG, tests=prepared.tests) as run:
        fits: list[FittedWindow] = []
        scores: list[float | None] = []
        reason: str | None = None
        fitting = fit_windows(
            experiment,
            panel,
            windows,
            models={name: (experiment.model, experiment.trainer)},
            device=prepared.device,
            keep=None,
            watch=watch,
            shown=False,
            at_epoch=deadline.check,
        )
        with closing(fitting):
            for fitted in fitting:
                window, fit = windows[len(fits)], fitted[name]
                fits.append(fit)
                metrics = window_metrics(panel, fit)
                run.log_window(TrackedWindow.of(window, fit, metrics, title=experiment.title))
                scores.append(metrics[order.objective])
                known = [score for score in scores if score is not None]
                reason = order.reason_to_stop(tuple(known)) if len(known) == len(scores) else None
                if reason is not None:
                    break
        predictions = ModelPredictions.of(panel, fits)
        seen = windows[: len(fits)]
        result = _traded(experiment, prepared.market, seen, predictions)
        write_predictions(folder, *(one.table(panel.symbols) for one in (predictions.test, predictions.validation)))
        write_trading(folder, result.trades, result.equity)
        summary = result.summary
        run.search([summary.sharpe if reason is None else None])  # fewer days make a wilder Sharpe ratio
        found = TrialResult(
            number=order.number,
            state="complete" if reason is None else "pruned",
            value=order.estimate(tuple(known)) if len(known) == len(scores) else None,
            scores=tuple(scores),
            tests=tuple(window.test.iso() for window in seen),
            markets=tuple(prepared.origin["data"]["markets"]),
            incumbent=order.incumbent,
            reason=reason or "",
            sharpe=summary.sharpe,
            trades=summary.trades,
            mean_net_bps=summary.mean_net_bps,
            capital_quote=experiment.backtest.capital,
            fit_s=sum(fit.fit_s for fit in fits),
            total_s=watch.total_s,
        )
        write_whole(folder / FILE, json.dumps(asdict(found), indent=1) + "\n")
        run.log_result(_tracked(found, order), folder)
    return asdict(found)


@dataclass(frozen=True)
class Deadline:
    """Looked at after every epoch: a signal in between could end the import of a library, or a lock's owner."""

    limit_s: float | None
    began: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise TrialTimeoutError once it has passed."""
        if self.limit_s is not None and time.monotonic() - self.began > self.limit_s:
            raise TrialTimeoutError(f"it took longer than timeout_s={self.limit_s:g}")


def _traded(experiment: Experiment, market: Market, windows: Sequence[Window], model: ModelPredictions) -> Result:
    starts_ns = np.array([window.test.start_ns for window in windows])
    span_ns = (windows[0].test.start_ns, windows[-1].test.end_ns)
    brackets = chosen_brackets(market, experiment.backtest, model.validation, len(windows))
    return experiment.backtest.run(market.predicted(model.test, span_ns, starts_ns), brackets)


def _tracked(found: TrialResult, order: TrialOrder) -> TrackedResult:
    metrics = {
        f"test/{order.objective}": found.value,
        "backtest/mean_net_bps": found.mean_net_bps,
        "backtest/sharpe": found.sharpe,
        "backtest/trades": float(found.trades),
        "search/windows": float(len(found.scores)),
        "time/fit_s": found.fit_s,
        "time/total_s": found.total_s,
    }
    return TrackedResult(metrics=metrics, tags={"trial.state": found.state}, note=found.reason)
