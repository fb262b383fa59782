"""summary.json: everything a run found, under public names. Fractions, never percent; None where undefined."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import sqrt
from typing import Any

from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.evidence.periods import Periods
from botscalp.pipeline.evidence.weigh import Evidence
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.rules import Outcome, Verdict
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.trading import Traded
from botscalp.pipeline.window import FittedWindow
from botscalp.windows import Window

SCHEMA = 1


def summarized(
    experiment: Experiment,
    windows: Sequence[Window],
    fits: Sequence[FittedWindow],
    evidence: Evidence,
    traded: Traded,
    verdict: Verdict,
    *,
    outcomes_at_costs: Mapping[str, Outcome],
    origin: Mapping[str, Any],
    watch: Stopwatch,
    location: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        outcomes_at_costs: the verdict's, had the costs been others.
        origin: where it comes from.
        location: where MLflow keeps it.
    """
    return {
        "schema": SCHEMA,
        "title": experiment.title,
        "settings": experiment.compared,
        "overrides": dict(experiment.overrides),
        "verdict": {
            "outcome": verdict.outcome,
            "reasons": [rule.name for rule in verdict.reasons()],
            "rules": [asdict(rule) for rule in verdict.rules],
        },
        "metrics": evidence.metrics,
        "metrics_raw": evidence.metrics_raw,
        "histogram": {"edges": evidence.histogram[0], "counts": evidence.histogram[1]},
        "intervals": _grouped(evidence),
        "calibration": {
            **{name: getattr(evidence.calibration, name) for name in ("ece_apart", "ece_null_band")},
            "squared_error": evidence.calibration.squared_error.as_dict(),
            "brier_parts": evidence.calibration.brier_parts and asdict(evidence.calibration.brier_parts),
            "reliability": [asdict(one) for one in evidence.calibration.reliability],
            "reliability_raw": [asdict(one) for one in evidence.calibration.reliability_raw],
        },
        "periods": _periods(evidence.periods),
        "regimes": [_plain(vars(regime)) for regime in evidence.regimes],
        "costs": [
            {
                "name": level.name,
                "outcome": outcomes_at_costs[level.name],
                "trades": level.summary.trades,
                "net_pnl": level.summary.net_pnl,
                **{name: level.estimates[f"backtest/{name}"].as_dict() for name in ("mean_net_bps", "sharpe", "roi")},
            }
            for level in evidence.costs
        ],
        "baselines": _baselines(evidence),
        "simulated": {"auc_attainable": evidence.auc_attainable},
        "backtest": asdict(evidence.backtest),
        "anatomy": asdict(evidence.anatomy),
        "sizes": [asdict(row) for row in traded.sizes],
        "windows": [
            {
                "window": window.index,
                "train": window.train.iso(),
                "validation": window.validation.iso(),
                "test": window.test.iso(),
                "n_train": fit.n_train,
                "n_validation": fit.n_validation,
                "n_test": found.metrics["n"],
                "metrics": found.metrics,
                "trades": found.trades,
                "mean_net_bps": found.mean_net_bps.value,
                "intervals": {name: getattr(found, name).interval for name in ("auc", "brier_skill", "mean_net_bps")},
                "bracket": asdict(bracket),
                "fit_s": fit.fit_s,
                "epochs": len(fit.history),
            }
            for window, fit, found, bracket in zip(windows, fits, evidence.windows, traded.brackets, strict=True)
        ],
        "symbols": [_plain(vars(one)) for one in evidence.symbols],
        **origin,
        "time": seconds(watch, fits),
        "trials": _trials(evidence),
        "mlflow": location,
    }


def seconds(watch: Stopwatch, fits: Sequence[FittedWindow]) -> dict[str, float]:
    """Where the time went so far, the training's speed, and how much of the time trained nothing.

    That several workers always ran side by side is the least that the share of all else can be held against.
    """
    fit_s, total_s = sum(fit.fit_s for fit in fits), watch.total_s
    return {
        "total_s": total_s,
        "startup_s": watch.seconds["startup"],
        "features_s": watch.seconds["features"],
        "fit_s": fit_s,
        "steps_s": watch.seconds.get("steps", 0.0),
        "predict_s": sum(fit.predict_s for fit in fits),
        "backtest_s": watch.seconds["backtest"],
        "sentinels_s": watch.seconds["sentinels"],
        "report_s": watch.seconds["report"],
        "samples_per_s": sum(fit.samples for fit in fits) / fit_s,
        "overhead": 1 - watch.seconds.get("steps side by side", 0.0) / total_s,
    }


def _trials(evidence: Evidence) -> dict[str, Any] | None:
    """The search that the run is part of, and what is left of its Sharpe ratio."""
    search, deflated = evidence.search, evidence.deflated
    if search is None:
        return None
    return {
        "count": search.count,
        "sharpe_sd": None if search.sharpe_variance is None else sqrt(search.sharpe_variance),
        "expected_best_sharpe": deflated and deflated.expected_best_sharpe,
        "deflated_sharpe": deflated and deflated.probability,
    }


def headline(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """What MLflow shows of the run, the most telling figure first: its compare page preselects that one."""
    metrics, backtest, intervals = summary["metrics"], summary["backtest"], summary["intervals"]
    time, trials = summary["time"], summary["trials"]
    shown: dict[str, float | None] = {}
    for group, name, value in (
        ("backtest", "mean_net_bps", backtest["mean_net_bps"]),
        ("test", "auc", metrics["auc"]),
        ("test", "brier_skill", metrics["brier_skill"]),
        ("test", "ece", metrics["ece"]),
        *(("backtest", name, backtest[name]) for name in ("trades", "win_rate", "sharpe")),
    ):
        shown |= _with_interval(group, name, value, intervals)
    dearer = {level["name"]: level["net_pnl"] for level in summary["costs"]}
    shown |= {
        "backtest/dsr": trials and trials["deflated_sharpe"],
        "backtest/max_drawdown": backtest["max_drawdown"],
        "backtest/net_pnl": backtest["net_pnl"],
        "backtest/net_pnl_2x_cost": dearer.get("costs_x2"),
    }
    for name in ("roi", "gross_pnl", "fees", "break_even"):
        shown |= _with_interval("backtest", name, backtest[name], intervals)
    for name in ("log_loss", "accuracy", "pr_auc", "brier", "n"):
        shown |= _with_interval("test", name, metrics[name], intervals)
    validation = summary["periods"]["validation"]["auc"]
    shown |= {"val/auc": validation["value"], "val/auc_lo": validation["low"], "val/auc_hi": validation["high"]}
    shown |= {f"time/{name}": time[name] for name in ("total_s", "fit_s", "samples_per_s")}
    return shown | {"time/windows_per_s": len(summary["windows"]) / time["fit_s"]}


def _with_interval(group: str, name: str, value: float | None, intervals: Mapping[str, Any]) -> dict[str, float | None]:
    """The figure, and `_lo` and `_hi` where it has an interval."""
    if name not in intervals[group]:
        return {f"{group}/{name}": value}
    low, high = intervals[group][name] or (None, None)
    return {f"{group}/{name}": value, f"{group}/{name}_lo": low, f"{group}/{name}_hi": high}


def _grouped(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """Intervals of the figures that stand elsewhere in the summary; those of gains stand with their baselines."""
    groups: dict[str, dict[str, Any]] = {"test": {}, "train": {}, "val": {}, "backtest": {}}
    for name, estimate in evidence.estimates.items():
        group, _, figure = name.partition("/")
        if group in groups:
            groups[group][figure] = estimate.interval
    return groups


def _baselines(evidence: Evidence) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "metrics": evidence.baseline_metrics.get(name),
            "backtest": backtest and asdict(backtest),
            "gains": {
                gain: estimate.as_dict()
                for gain in ("auc", "log_loss", "pnl")
                if (estimate := evidence.estimates.get(f"{gain}_gain/{name}"))
            },
        }
        for name, backtest in {"flat": None, **evidence.baseline_backtests}.items()
    }


def _periods(periods: Periods) -> dict[str, Any]:
    return {
        **{
            name: {"rows": period.rows, "trades": period.trades, **_plain(period.estimates)}
            for name, period in periods.by_name.items()
        },
        **{name: _plain(losses) for name, losses in periods.losses.items()},
        "overfitted": periods.overfitted,
        "old_rule": asdict(periods.old_rule),
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Estimates as value, low and high."""
    return {name: value.as_dict() if isinstance(value, Estimate) else value for name, value in values.items()}
