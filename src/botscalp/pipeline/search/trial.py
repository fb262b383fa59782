"""One trial: the settings' windows one after another, as long as they keep up, and what they come to."""

import json
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np

from botscalp.backtest.result import Result
from botscalp.pipeline.evidence.forecasts import window_metrics
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.fitting import fit_windows
from botscalp.pipeline.market import Market
from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.predictions import ModelPredictions
from botscalp.pipeline.provenance import provenance
from botscalp.pipeline.run_folder import CONFIG, write_predictions, write_trading
from botscalp.pipeline.search.order import TrialOrder
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.tracking import TrackedResult, TrackedWindow
from botscalp.pipeline.trading import chosen_brackets
from botscalp.pipeline.window import FittedWindow, check_joined, check_windows
from botscalp.windows import Range, Window

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
    watch, name = Stopwatch(), experiment.names["model"]
    with limited(order.timeout_s):
        bars = experiment.data.load()
        market = Market.load(bars, experiment.backtest)
        panel = build_panel(bars, features=experiment.features, label=experiment.label, seed=experiment.job.seed)
        purge_ns = experiment.label.span_bars * panel.interval_ns
        windows = experiment.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=purge_ns)
        check_joined(windows)
        check_windows(
            panel,
            windows,
            trainer=experiment.trainer,
            job_seed=experiment.job.seed,
            calibration=experiment.calibration,
            span_bars=experiment.label.span_bars,
        )
        import_module("botscalp.training.fit")  # Lightning takes seconds to import, once a process
        device = experiment.trainer.resolved_device()
        origin = provenance(experiment.data, panel, device)
        tests = Range(windows[0].test.start_ns, windows[-1].test.end_ns)
        with experiment.recorded(origin, folder / CONFIG, tests=tests) as run:
            fits: list[FittedWindow] = []
            scores: list[float | None] = []
            reason: str | None = None
            fitting = fit_windows(
                experiment,
                panel,
                windows,
                models={name: (experiment.model, experiment.trainer)},
                device=device,
                keep=None,
                watch=watch,
                shown=False,
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
            result = _traded(experiment, market, seen, predictions)
            write_predictions(folder, *(one.table(panel.symbols) for one in (predictions.test, predictions.validation)))
            write_trading(folder, result.trades, result.equity)
            summary = result.summary
            run.search([summary.sharpe if reason is None else None])  # fewer days make a wilder Sharpe ratio
            found = TrialResult(
                number=order.number,
                state="complete" if reason is None else "pruned",
                value=order.estimate(tuple(known)) if len(known) == len(scores) else None,
                scores=tuple(scores),
                incumbent=order.incumbent,
                reason=reason or "",
                sharpe=summary.sharpe,
                trades=summary.trades,
                mean_net_bps=summary.mean_net_bps,
                capital_quote=experiment.backtest.capital,
                fit_s=sum(fit.fit_s for fit in fits),
                total_s=watch.total_s,
            )
            (folder / FILE).write_text(json.dumps(asdict(found), indent=1) + "\n")
            run.log_result(_tracked(found, order), folder)
    return asdict(found)


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Interrupt the block after so many seconds, where it is the process's main thread that runs it."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(signum: int, frame: FrameType | None) -> None:
        raise TrialTimeoutError(f"it took longer than timeout_s={seconds:g}")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


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
