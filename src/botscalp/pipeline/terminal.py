"""The lines that a run says: what will run, a line a window, and a closing block to be read in ten seconds."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from botscalp.pipeline.evidence import Metrics
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.window import FittedWindow
from botscalp.times import interval_name
from botscalp.windows import Range, Window

logger = logging.getLogger(__name__)

_DECISIVE = {"SUSPICIOUS": ("fired",), "REJECTED": ("fail",), "INCONCLUSIVE": ("undecided",), "CANDIDATE": ()}


def announce(experiment: Experiment, panel: Panel, windows: Sequence[Window], device: str) -> None:
    """What will run."""
    features, label = experiment.features, experiment.label
    tests = Range(windows[0].test.start_ns, windows[-1].test.end_ns)
    kind = "real bars" if experiment.data.real else "SIMULATED bars: no evidence about any market"
    _say(
        f"{experiment.title}  study {experiment.job.study}",
        f"  data      {','.join(panel.symbols)} {interval_name(panel.interval_ns)}, {_days(Range(*panel.span_ns))}, "
        f"{len(panel.open_time_ns):,} bars, digest {panel.digest[:12]} ({kind})",
        f"  features  {len(features.columns)} columns x {features.lags} lags, none looks ahead (checked on prefixes)",
        f"  label     {experiment.names['label']} over {label.span_bars} bars, which is also the purge",
        f"  windows   {len(windows)} {experiment.names['wfo']}, tests {_days(tests)}",
        f"  model     {experiment.names['model']} beside linear, {experiment.trainer.epochs} epochs at most, on {device}",
    )


def window_finished(window: Window, fit: FittedWindow, metrics: Metrics, *, of: int) -> None:
    """One line."""
    _say(
        f"window {window.index + 1:>{len(str(of))}}/{of}  test {_days(window.test)}  n {metrics['n']:,}  "
        f"AUC {_number(metrics['auc'], '.4f')}  Brier skill {_number(metrics['brier_skill'], '+.5f')}  "
        f"{len(fit.history)} epochs  {fit.fit_s:.1f} s  {fit.samples / fit.fit_s:,.0f} samples/s"
    )


def conclude(summary: Mapping[str, Any]) -> None:
    """The verdict with its reasons, then the figures behind it."""
    metrics, raw, backtest, interval = (summary[key] for key in ("metrics", "metrics_raw", "backtest", "intervals"))
    attainable = summary["simulated"]["auc_attainable"]
    _say(
        "",
        f"forecast   AUC {_figure(metrics['auc'], interval['test']['auc'], '.4f')}"
        + (f", attainable on this market {attainable:.4f}" if attainable is not None else ""),
        f"           Brier skill {_figure(metrics['brier_skill'], interval['test']['brier_skill'], '+.5f')}  "
        f"log loss {metrics['log_loss']:.5f}  accuracy {metrics['accuracy']:.4f}  n {metrics['n']:,}",
        f"           ECE {_number(metrics['ece'], '.5f')} calibrated, {_number(raw['ece'], '.5f')} raw, "
        f"{_range(summary['ece_null_band'], '.5f')} if perfectly calibrated",
    )
    for name, baseline in summary["baselines"].items():
        if baseline["metrics"] is not None:
            gain = interval["auc_gain"][name]
            _say(
                f"           {name} baseline AUC {_number(baseline['metrics']['auc'], '.4f')}, "
                f"ours is {_figure(_minus(metrics['auc'], baseline['metrics']['auc']), gain, '+.4f')} above on the same rows"
            )
    _say(
        f"backtest   {backtest['trades']:,} trades in {backtest['days']} days: {backtest['targets']:,} targets, "
        f"{backtest['stops']:,} stops, {backtest['timeouts']:,} timeouts; "
        f"win rate {_number(backtest['win_rate'], '.3f')}, break-even {_number(backtest['break_even'], '.3f')}",
        f"           gross {backtest['gross_pnl']:+,.2f} - fees {backtest['fees']:,.2f} - slippage {backtest['slippage']:,.2f}"
        f" = net {backtest['net_pnl']:+,.2f} (ROI {backtest['roi']:+.2%}, max drawdown {backtest['max_drawdown']:.2%})",
        f"           a trade: gross {_number(backtest['mean_gross_bps'], '+.2f')} bps, "
        f"net {_figure(backtest['mean_net_bps'], interval['backtest']['mean_net_bps'], '+.2f')} bps; "
        f"Sharpe {_figure(backtest['sharpe'], interval['backtest']['sharpe'], '+.2f') if backtest['sharpe'] is not None else backtest['sharpe_undefined']}",
    )
    for row in summary["sizes"]:
        _say(
            f"           at {row['contract']:g} a trade: net {row['net_pnl']:+,.2f}, "
            f"max drawdown {row['max_drawdown_quote']:,.2f} ({row['max_drawdown']:.2%})"
        )
    time = summary["time"]
    _say(
        f"time       {time['total_s']:.0f} s, of which fit {time['fit_s']:.0f} s at {time['samples_per_s']:,.0f} samples/s",
        "",
        f"VERDICT    {summary['verdict']['outcome']}",
    )
    for rule in _reasons(summary["verdict"]):
        span = _range((rule["low"], rule["high"]), ".4g") if rule["low"] is not None else ""
        _say(
            f"  {rule['result']:<9}  {rule['name']}: {_number(rule['value'], '.4g')} {span} against {_number(rule['threshold'], '.4g')}: {rule['words']}"
        )


def _reasons(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [rule for rule in verdict["rules"] if rule["result"] in _DECISIVE[verdict["outcome"]]]


def _say(*lines: str) -> None:
    for line in lines:
        logger.info(line)


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)


def _range(interval: Sequence[float] | None, form: str) -> str:
    return "" if interval is None else f"[{format(interval[0], form)}, {format(interval[1], form)}]"


def _figure(value: float | None, interval: Sequence[float] | None, form: str) -> str:
    return f"{_number(value, form)} {_range(interval, form)}".strip()


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _days(part: Range) -> str:
    start, end = part.iso()
    return f"{start[:10]} .. {end[:10]}"
