"""summary.json: everything a run found, under public names. Fractions, never percent; None where undefined."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from botscalp.backtest.variants import SizeRow
from botscalp.pipeline.evidence import Evidence
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.provenance import code_version
from botscalp.pipeline.rules import Verdict
from botscalp.pipeline.window import FittedWindow
from botscalp.statistics.metrics import histogram
from botscalp.times import interval_name
from botscalp.types import Float64
from botscalp.windows import Range, Window

SCHEMA = 1


def summarized(
    experiment: Experiment,
    panel: Panel,
    windows: Sequence[Window],
    fits: Sequence[FittedWindow],
    evidence: Evidence,
    verdict: Verdict,
    *,
    histogram_of: Float64,
    sizes: Sequence[SizeRow],
    auc_attainable: float | None,
    device: str,
    seconds: Mapping[str, float],
    total_s: float,
    location: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What summary.json holds."""
    edges, counts = histogram(histogram_of)
    fit_s = sum(fit.fit_s for fit in fits)
    return {
        "schema": SCHEMA,
        "title": experiment.title,
        "verdict": {
            "outcome": verdict.outcome,
            "reasons": [rule.name for rule in verdict.reasons()],
            "rules": [asdict(rule) for rule in verdict.rules],
        },
        "metrics": evidence.metrics,
        "metrics_raw": evidence.metrics_raw,
        "histogram": {"edges": edges, "counts": counts},
        "intervals": _grouped(evidence),
        "ece_null_band": evidence.ece_band,
        "baselines": _baselines(evidence),
        "simulated": {"auc_attainable": auc_attainable},
        "backtest": asdict(evidence.backtest),
        "sizes": [asdict(row) for row in sizes],
        "windows": [
            {
                "window": window.index,
                "train": window.train.iso(),
                "validation": window.validation.iso(),
                "test": window.test.iso(),
                "n_train": fit.n_train,
                "n_validation": fit.n_validation,
                "n_test": metrics["n"],
                "metrics": metrics,
                "fit_s": fit.fit_s,
                "epochs": len(fit.history),
            }
            for window, fit, metrics in zip(windows, fits, evidence.windows, strict=True)
        ],
        "data": {
            "source": experiment.data.source,
            "symbols": panel.symbols,
            "interval": interval_name(panel.interval_ns),
            "start": Range(*panel.span_ns).iso()[0],
            "end": Range(*panel.span_ns).iso()[1],
            "rows": len(panel.open_time_ns),
            "digest": panel.digest,
        },
        "code": code_version(),
        "device": device,
        "time": {
            "total_s": total_s,
            "startup_s": seconds["startup"],
            "features_s": seconds["features"],
            "fit_s": fit_s,
            "predict_s": sum(fit.predict_s for fit in fits),
            "backtest_s": seconds["backtest"],
            "report_s": seconds["report"],
            "samples_per_s": sum(fit.samples for fit in fits) / fit_s,
        },
        "mlflow": location,
    }


def headline(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """What MLflow shows of the run, the most telling figure first: its compare page preselects that one."""
    metrics, backtest, intervals = summary["metrics"], summary["backtest"], summary["intervals"]
    shown: dict[str, float | None] = {}
    for group, name, value in (
        ("backtest", "mean_net_bps", backtest["mean_net_bps"]),
        ("test", "auc", metrics["auc"]),
        ("test", "brier_skill", metrics["brier_skill"]),
    ):
        low, high = intervals[group][name] or (None, None)
        shown |= {f"{group}/{name}": value, f"{group}/{name}_lo": low, f"{group}/{name}_hi": high}
    for name in ("ece", "log_loss", "accuracy", "pr_auc", "brier", "n"):
        shown[f"test/{name}"] = metrics[name]
    for name in ("trades", "win_rate", "break_even", "sharpe", "max_drawdown", "net_pnl", "gross_pnl", "fees", "roi"):
        shown[f"backtest/{name}"] = backtest[name]
    for name in ("total_s", "fit_s", "samples_per_s"):
        shown[f"time/{name}"] = summary["time"][name]
    return shown


def tags(summary: Mapping[str, Any]) -> dict[str, str]:
    """What a person filters runs by."""
    verdict = summary["verdict"]
    return {
        "verdict": verdict["outcome"],
        "verdict.reason": next(iter(verdict["reasons"]), ""),
        "data.digest": summary["data"]["digest"],
        "data.source": summary["data"]["source"],
        "device": summary["device"],
        "mlflow.source.git.commit": summary["code"]["commit"] or "",
        "code.dirty": str(summary["code"]["dirty"]).lower(),
    }


def _grouped(evidence: Evidence) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {"test": {}, "validation": {}, "backtest": {}, "auc_gain": {}}
    for name, estimate in evidence.estimates.items():
        group, _, figure = name.partition("/")
        groups[group][figure] = estimate.interval
    return groups


def _baselines(evidence: Evidence) -> dict[str, dict[str, Any]]:
    return {
        name: {"metrics": evidence.baseline_metrics.get(name), "backtest": asdict(backtest)}
        for name, backtest in evidence.baseline_backtests.items()
    }
