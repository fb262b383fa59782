"""The lines that a run says: what will run, a line a window, and a closing block to be read in ten seconds."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from botscalp.models import Model
from botscalp.models.boosting import Boosting
from botscalp.pipeline import details
from botscalp.pipeline.evidence.forecasts import Metrics
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.progress import place
from botscalp.pipeline.window import FittedWindow
from botscalp.report.answers import answers, paid_bps, real
from botscalp.report.blocks.trading import sharpe
from botscalp.report.numbers import figure, number
from botscalp.report.outcomes import MEANING
from botscalp.times import interval_name
from botscalp.windows import Range, Window

logger = logging.getLogger(__name__)


def announce(experiment: Experiment, panel: Panel, windows: Sequence[Window], device: str) -> None:
    """What will run."""
    features, label = experiment.features, experiment.label
    tests = Range(windows[0].test.start_ns, windows[-1].test.end_ns)
    kind = "real bars" if experiment.data.real else "SIMULATED bars: no evidence about any market"
    name = experiment.names["model"]
    model = name if name == "linear" else f"{name} beside linear"
    _say(
        f"{experiment.title}  study {experiment.job.study}",
        f"  data      {','.join(panel.symbols)} {interval_name(panel.interval_ns)}, {_days(Range(*panel.span_ns))}, "
        f"{len(panel.open_time_ns):,} bars, digest {panel.digest[:12]} ({kind})",
        f"  features  {len(features.columns)} columns x {features.lags} lags, none looks ahead (checked on prefixes)",
        f"  label     {experiment.names['label']} over {label.span_bars} bars, which is also the purge",
        f"  windows   {len(windows)} {experiment.names['wfo']}, tests {_days(tests)}",
        f"  model     {model}, {_most(experiment)} {_rounds(experiment.model)} at most, on {device}",
    )


def _rounds(model: Model) -> str:
    """What a fit of the model goes through one after another."""
    return "trees" if isinstance(model, Boosting) else "epochs"


def _most(experiment: Experiment) -> int:
    return experiment.model.trees if isinstance(experiment.model, Boosting) else experiment.trainer.epochs


def window_finished(window: Window, fit: FittedWindow, metrics: Metrics, *, model: Model, of: int) -> None:
    """One line."""
    _say(
        f"{place(window, of=of)}  test {_days(window.test)}  n {metrics['n']:,}  "
        f"AUC {number(metrics['auc'], '.4f')}  Brier skill {number(metrics['brier_skill'], '+.5f')}  "
        f"{len(fit.history)} {_rounds(model)}  {fit.fit_s:.1f} s  {fit.samples / fit.fit_s:,.0f} samples/s"
    )
    if len(fit.test.p) and np.ptp(fit.test.p) == 0.0 < np.ptp(fit.test.p_raw):
        _say("          its calibration found no slope: the probability is the base rate throughout")


def conclude(summary: Mapping[str, Any], folder: Path) -> None:
    """The verdict and what it rests on, in ten lines; every figure behind them goes to log.txt."""
    details.tell(summary)
    _say("", *(f"{label:<14} {text}" for label, text in _closing(summary, folder)))


def _closing(summary: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    """Labels and texts of the closing block."""
    outcome, plain = summary["verdict"]["outcome"], answers(summary)
    simulated = "" if real(summary) else " (SIMULATED bars)"
    yield "VERDICT", f"{outcome}: {MEANING[outcome]}{simulated}"
    yield "why", plain.why
    yield "forecast", _forecast(summary)
    yield "trades", _trades(summary)
    yield "costs", _costs(summary)
    yield "would change", plain.what_would_change
    yield "trials", _trials(summary["trials"])
    yield "time", _time(summary["time"])
    page = folder / "report.html"
    yield "report", f"every table is in log.txt{f', pictures in {page}' if page.is_file() else ''}"


def _forecast(summary: Mapping[str, Any]) -> str:
    metrics, test = summary["metrics"], summary["intervals"]["test"]
    linear, attainable = summary["baselines"].get("linear"), (summary["simulated"] or {}).get("auc_attainable")
    return (
        f"AUC {figure(metrics['auc'], test['auc'], '.4f')} on {metrics['n']:,} rows"
        + (f", linear {number(linear['metrics']['auc'], '.4f')}" if linear and linear["metrics"] else "")
        + (f", attainable {attainable:.4f}" if attainable is not None else "")
        + f"; Brier skill {figure(metrics['brier_skill'], test['brier_skill'], '+.5f')}"
    )


def _trades(summary: Mapping[str, Any]) -> str:
    trades, ends = summary["backtest"], summary["intervals"]["backtest"]
    if not trades["trades"]:
        return f"none in {trades['days']:,} days"
    return (
        f"{trades['trades']:,} in {trades['days']:,} days, net {figure(trades['mean_net_bps'], ends['mean_net_bps'], '+.2f')} "
        f"bps each, {trades['net_pnl']:+,.2f} ({trades['roi']:+.2%}) in all; Sharpe {sharpe(summary)}"
    )


def _costs(summary: Mapping[str, Any]) -> str:
    """What was paid, what was there to pay it from, and what other costs would have left."""
    paid, trades = paid_bps(summary), summary["backtest"]
    if paid is None:
        return "none paid"
    levels = {level["name"]: level for level in summary["costs"]}
    others = [
        f"{words} {number(levels[name]['mean_net_bps']['value'], '+.2f')}"
        for name, words in (("costs_x0", "at none"), ("costs_x0.5", "at half"), ("costs_x2", "at twice"))
        if name in levels
    ]
    earned = figure(trades["mean_gross_bps"], summary["intervals"]["backtest"]["mean_gross_bps"], "+.2f")
    return f"{paid:.2f} bps a trade, {earned} earned before them" + (f"; net {', '.join(others)}" if others else "")


def _time(time: Mapping[str, float]) -> str:
    return (
        f"{time['total_s']:.0f} s, of which start-up {time['startup_s']:.0f} s and "
        f"fit {time['fit_s']:.0f} s at {time['samples_per_s']:,.0f} samples/s; "
        f"{time['overhead']:.0%} is not optimiser steps"
    )


def _trials(trials: Mapping[str, Any] | None) -> str:
    """How much was tried, and what the best of so much luck would look like."""
    if trials is None:
        return "not counted (tracking=none)"
    best, probability = trials["expected_best_sharpe"], trials["deflated_sharpe"]
    if trials["count"] == 1:
        return "this is the first setting tried on these test bars" + (
            "" if probability is None else f"; probability that its Sharpe ratio is above 0: {probability:.3f}"
        )
    return f"{trials['count']:,} settings, this one included, have been tried on these test bars" + (
        ""
        if probability is None
        else f"; the best of so many without skill would show a Sharpe ratio of {best:.2f}, "
        f"probability that this one's is above: {probability:.3f}"
    )


def _say(*lines: str) -> None:
    for line in lines:
        logger.info(line)


def _days(part: Range) -> str:
    start, end = part.iso()
    return f"{start[:10]} .. {end[:10]}"
