"""Runs side by side on the rows and days that they share, and whether the best of them is more than luck."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from botscalp.errors import UserError
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.luck import Luck, luck_of_the_best
from botscalp.pipeline.stored_run import StoredRun
from botscalp.pipeline.trials import LEDGER, Search, Trial, search_so_far
from botscalp.statistics import figures
from botscalp.statistics.bootstrap import interval_alone
from botscalp.times import DAY_NS
from botscalp.windows import Range

_NO_CHOICE = ("study", "store", "resume", "fail_on", "tracking", "debug", "experiment")
"""keys that change no figure"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run beside the others. Figures of the run as it found them, but for the last three."""

    title: str
    run: str
    """MLflow id, or folder"""
    differs: dict[str, str]
    """its values of the keys that are not equal in all runs"""
    auc: Estimate
    brier_skill: Estimate
    trades: int
    mean_net_bps: Estimate
    sharpe: Estimate
    net_pnl: float
    verdict: str
    daily_pnl: float
    """mean net PnL of the common days, in the quote currency"""
    auc_less_best: Estimate
    """its AUC less the best run's, on the same rows; undefined where their labels differ, and for the best itself"""
    daily_pnl_less_best: Estimate
    """its mean net PnL of the common days less the best run's; undefined for the best itself"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What there is to say of runs on one market."""

    rows: tuple[Row, ...]
    """the one with the highest daily_pnl first"""
    markets: tuple[str, ...]
    days: int
    """UTC days that all runs tested on"""
    first_day: str
    last_day: str
    luck: Luck

    @property
    def conclusion(self) -> str:
        """Whether the best is more than luck, in a sentence, and what its own verdict was."""
        best = self.rows[0]
        sentence = self.luck.sentence(f"the best of {len(self.rows)} runs, {best.title},")
        return f"{sentence} Its own verdict is {best.verdict}."


def compare_runs(runs: Sequence[StoredRun], *, store: Path, seed: int, key: str, value: object) -> Comparison:
    """Set the runs side by side.

    Args:
        store: holds the ledger of all that was tried.
        seed: of the bootstrap.
        key, value: what the user named the runs by, for messages.

    Raises:
        UserError: fewer than two runs, one of them twice, other markets, or no day in common.
    """
    _check(runs, key, value)
    days = _common_days(runs)
    if not len(days):
        spans = "; ".join(f"{run.title} {' .. '.join(_ends(run.daily.index))}" for run in runs)
        problem = f"no day that all runs tested on: {spans}"
        raise UserError(key, value, problem, "name runs whose tests overlap: runs=[...]")
    runs = sorted(runs, key=lambda run: _daily_pnl(run, days), reverse=True)
    differs = _differences([run.config for run in runs])
    returns = np.column_stack([run.daily.loc[days, "return"].to_numpy() for run in runs])
    first_day, last_day = _ends(days)
    return Comparison(
        rows=tuple(_row(run, runs[0], days, found, seed) for run, found in zip(runs, differs, strict=True)),
        markets=tuple(sorted(runs[0].markets)),
        days=len(days),
        first_day=first_day,
        last_day=last_day,
        luck=luck_of_the_best(returns, _search(runs, days, store), seed=seed),
    )


def _check(runs: Sequence[StoredRun], key: str, value: object) -> None:
    if len(runs) < 2:
        remedy = "finish a second one (a sweep is `train -m`), or name them: runs=[...]"
        raise UserError(key, value, f"a comparison takes two finished runs or more, not {len(runs)}", remedy)
    ids = [run.id for run in runs]
    if len(set(ids)) < len(ids):
        raise UserError(key, value, "names a run twice", "name each run once")
    groups: dict[frozenset[str], list[str]] = {}
    for run in runs:
        groups.setdefault(run.markets, []).append(run.id)
    if len(groups) > 1:
        markets = "; ".join(f"{len(found)} on {', '.join(sorted(names))}" for names, found in groups.items())
        largest = max(groups.values(), key=len)
        such = f"[{','.join(largest)}]" if len(largest) > 1 else "[...]"
        raise UserError(
            key, value, f"runs on other bars cannot be compared: {markets}", f"name runs on the same bars: runs={such}"
        )


def _common_days(runs: Sequence[StoredRun]) -> pd.DatetimeIndex:
    days = runs[0].daily.index
    for run in runs[1:]:
        days = days.intersection(run.daily.index)
    return pd.DatetimeIndex(days)


def _ends(days: pd.Index) -> tuple[str, str]:
    return f"{days[0]:%Y-%m-%d}", f"{days[-1]:%Y-%m-%d}"


def _daily_pnl(run: StoredRun, days: pd.DatetimeIndex) -> float:
    return float(run.daily.loc[days, "pnl_quote"].mean())


def _search(runs: Sequence[StoredRun], days: pd.DatetimeIndex, store: Path) -> Search:
    """What the ledger counts on these days: these runs at the least, which may come from elsewhere."""
    if not (store / LEDGER).is_file():
        return Search(count=len(runs), sharpe_variance=None)
    start, end = Range(days[0].value, days[-1].value + DAY_NS).iso()
    trial = Trial(count=len(runs), markets=tuple(runs[0].markets), test_start=start, test_end=end)
    found = search_so_far(store, trial)
    return Search(count=max(found.count, len(runs)), sharpe_variance=found.sharpe_variance)


def _row(run: StoredRun, best: StoredRun, days: pd.DatetimeIndex, differs: dict[str, str], seed: int) -> Row:
    metrics, backtest, intervals = (run.summary[name] for name in ("metrics", "backtest", "intervals"))
    auc_less_best, daily_pnl_less_best = (
        (Estimate(None, None), Estimate(None, None)) if run is best else _less(run, best, days, seed)
    )
    return Row(
        title=run.title,
        run=run.id,
        differs=differs,
        auc=Estimate(metrics["auc"], intervals["test"]["auc"]),
        brier_skill=Estimate(metrics["brier_skill"], intervals["test"]["brier_skill"]),
        trades=backtest["trades"],
        mean_net_bps=Estimate(backtest["mean_net_bps"], intervals["backtest"]["mean_net_bps"]),
        sharpe=Estimate(backtest["sharpe"], intervals["backtest"]["sharpe"]),
        net_pnl=backtest["net_pnl"],
        verdict=run.summary["verdict"]["outcome"],
        daily_pnl=_daily_pnl(run, days),
        auc_less_best=auc_less_best,
        daily_pnl_less_best=daily_pnl_less_best,
    )


def _less(run: StoredRun, best: StoredRun, days: pd.DatetimeIndex, seed: int) -> tuple[Estimate, Estimate]:
    """AUC and mean daily net PnL of the run less the best one's."""
    pnl = (run.daily.loc[days, "pnl_quote"] - best.daily.loc[days, "pnl_quote"]).to_numpy()
    daily = figures.mean(pnl, _ns(days))
    daily_pnl = Estimate(float(pnl.mean()), interval_alone(daily, cell_ns=DAY_NS, span_ns=0, seed=seed))
    both = run.labelled.merge(best.labelled, on=["symbol", "open_time"], suffixes=("", "_best"))
    label = both["label"].to_numpy()
    if not len(both) or (label != both["label_best"].to_numpy()).any() or label.min() == label.max():
        return Estimate(None, None), daily_pnl
    p, p_best = both["p"].to_numpy(), both["p_best"].to_numpy()
    time_ns = _ns(pd.DatetimeIndex(both.index.get_level_values("open_time")))
    auc, auc_best = figures.auc(p, label, time_ns), figures.auc(p_best, label, time_ns)
    assert auc is not None and auc_best is not None, "labels of both kinds"
    gap, span_ns = auc - auc_best, max(run.span_ns, best.span_ns)
    interval = interval_alone(gap, cell_ns=run.interval_ns, span_ns=span_ns, seed=seed)
    return Estimate(gap.value, interval), daily_pnl


def _ns(times: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.int64]]:
    return times.as_unit("ns").asi8


def _differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Of each config the keys whose values are not equal in all that have them; an option's own keys say nothing of others."""
    flat = [dict(_flat(config)) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one if key.partition(".")[0] not in _NO_CHOICE)
    differing = [key for key in keys if len({one[key] for one in flat if key in one}) > 1]
    return [{key: one[key] for key in differing if key in one} for one in flat]


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as text; an option goes by its class's name."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif key == "_target_":
            yield prefix.rstrip("."), str(value).rpartition(".")[2]
        else:
            yield f"{prefix}{key}", str(value)
