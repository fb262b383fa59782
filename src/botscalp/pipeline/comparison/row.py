"""One run beside the others: what it found, what it took, and how far it lies from the best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from botscalp.backtest.performance import sharpe_ratio
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.experiment import NO_CHOICE
from botscalp.pipeline.stored_run import StoredRun
from botscalp.statistics import figures
from botscalp.statistics.best import UNLIKELY_P
from botscalp.statistics.bootstrap import interval_alone
from botscalp.types import Int64

Standing = Literal["best", "may be as good", "worse", "cannot be told"]

_SAY_NOTHING = {*NO_CHOICE, "tracking", "debug", "experiment"}
"""keys that change no figure, and groups of which other keys say what they changed"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run beside the others. Figures of the run as it found them, unless they say otherwise."""

    title: str
    run: str
    """MLflow id, or folder"""
    folder: str
    differs: dict[str, str]
    """its values of the keys that are not equal in all runs"""
    verdict: str
    reasons: tuple[str, ...]
    """the rules that brought the verdict about"""
    rules: dict[str, dict[str, Any]]
    """result, value and threshold of every rule"""
    auc: Estimate
    log_loss: Estimate
    brier_skill: Estimate
    trades: int
    mean_net_bps: Estimate
    sharpe: Estimate
    net_pnl: float
    baselines: dict[str, dict[str, float | None]]
    """of linear and buy_and_hold, as far as the run knows them: auc, mean_net_bps, and daily_pnl of the common days"""
    windows: int
    device: str
    total_s: float
    fit_s: float
    daily_pnl: float
    """mean net PnL of the common days, in the quote currency"""
    daily_sharpe: float | None
    """annualised Sharpe ratio of the common days"""
    auc_less_best: Estimate
    """its AUC less the best run's, on the same rows; undefined where their labels differ, and for the best itself"""
    daily_pnl_less_best: Estimate
    """its mean net PnL of the common days less the best run's; undefined for the best itself"""
    as_good_p: float | None
    """how probable it is to fall so far behind for a run as good as the best; it counts that the best was picked"""

    @property
    def standing(self) -> Standing:
        """Whether the run may be as good as the best, by net PnL a day."""
        if self.daily_pnl_less_best.value is None:
            return "best"
        if self.as_good_p is None:
            return "cannot be told"
        return "may be as good" if self.as_good_p > UNLIKELY_P else "worse"


def row_of(
    run: StoredRun,
    best: StoredRun,
    days: pd.DatetimeIndex,
    *,
    differs: dict[str, str],
    less_best: Estimate,
    as_good_p: float | None,
    seed: int,
) -> Row:
    """The run beside the best.

    Args:
        days: common to all runs.
        differs: see `differences`.
        less_best: its mean net PnL of the days less the best run's.
        as_good_p: see `statistics.best`.
        seed: of the bootstrap.
    """
    summary = run.summary
    metrics, backtest, intervals, verdict = (summary[name] for name in ("metrics", "backtest", "intervals", "verdict"))
    return Row(
        title=run.title,
        run=run.id,
        folder=str(run.folder.resolve()),
        differs=differs,
        verdict=verdict["outcome"],
        reasons=tuple(verdict["reasons"]),
        rules={
            rule["name"]: {name: rule[name] for name in ("result", "value", "threshold")} for rule in verdict["rules"]
        },
        auc=Estimate(metrics["auc"], intervals["test"]["auc"]),
        log_loss=Estimate(metrics["log_loss"], intervals["test"]["log_loss"]),
        brier_skill=Estimate(metrics["brier_skill"], intervals["test"]["brier_skill"]),
        trades=backtest["trades"],
        mean_net_bps=Estimate(backtest["mean_net_bps"], intervals["backtest"]["mean_net_bps"]),
        sharpe=Estimate(backtest["sharpe"], intervals["backtest"]["sharpe"]),
        net_pnl=backtest["net_pnl"],
        baselines=_baselines(run, days),
        windows=len(summary["windows"]),
        device=summary["device"],
        total_s=summary["time"]["total_s"],
        fit_s=summary["time"]["fit_s"],
        daily_pnl=mean_daily_pnl(run, days),
        daily_sharpe=sharpe_ratio(run.daily.loc[days, "return"].to_numpy())[0],
        auc_less_best=Estimate(None, None) if run is best else _auc_less(run, best, seed),
        daily_pnl_less_best=Estimate(None, None) if run is best else less_best,
        as_good_p=as_good_p,
    )


def mean_daily_pnl(run: StoredRun, days: pd.DatetimeIndex) -> float:
    """What the run's account gains on the mean of those days."""
    return float(run.daily.loc[days, "pnl_quote"].mean())


def differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each config the keys whose values are not equal in all that have them; an option's own keys say nothing of others."""
    flat = [dict(_flat(config)) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one if not {key, key.partition(".")[0]} & _SAY_NOTHING)
    differing = [key for key in keys if len({one[key] for one in flat if key in one}) > 1]
    return [{key: one[key] for key in differing if key in one} for one in flat]


def _baselines(run: StoredRun, days: pd.DatetimeIndex) -> dict[str, dict[str, float | None]]:
    """What the run's figures are to be seen beside; the PnL only where the run has no other days."""
    found: dict[str, dict[str, float | None]] = {}
    for name in ("linear", "buy_and_hold"):
        baseline = run.summary["baselines"].get(name)
        if baseline is not None:
            metrics, backtest = baseline["metrics"] or {}, baseline["backtest"] or {}
            whole = len(days) == len(run.daily) and "net_pnl" in backtest
            found[name] = {
                "auc": metrics.get("auc"),
                "mean_net_bps": backtest.get("mean_net_bps"),
                "daily_pnl": backtest["net_pnl"] / len(days) if whole else None,
            }
    return found


def _auc_less(run: StoredRun, best: StoredRun, seed: int) -> Estimate:
    """AUC of the run less the best one's, on the rows of both."""
    both = run.labelled.merge(best.labelled, on=["symbol", "open_time"], suffixes=("", "_best"))
    label = both["label"].to_numpy()
    if not len(both) or (label != both["label_best"].to_numpy()).any() or label.min() == label.max():
        return Estimate(None, None)
    p, p_best = both["p"].to_numpy(), both["p_best"].to_numpy()
    time_ns = nanoseconds(pd.DatetimeIndex(both.index.get_level_values("open_time")))
    auc, auc_best = figures.auc(p, label, time_ns), figures.auc(p_best, label, time_ns)
    assert auc is not None and auc_best is not None, "labels of both kinds"
    gap, span_ns = auc - auc_best, max(run.span_ns, best.span_ns)
    interval = interval_alone(gap, cell_ns=run.interval_ns, span_ns=span_ns, seed=seed)
    return Estimate(gap.value, interval)


def nanoseconds(times: pd.DatetimeIndex) -> Int64:
    """The times as the statistics take them."""
    return times.as_unit("ns").asi8.astype(np.int64, copy=False)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as text; an option goes by its class's name."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif key == "_target_":
            yield prefix.rstrip("."), str(value).rpartition(".")[2]
        else:
            yield f"{prefix}{key}", str(value)
