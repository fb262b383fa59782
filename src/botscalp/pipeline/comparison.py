"""Runs side by side on the rows and days that they share, and whether the best of them is more than luck."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from botscalp.errors import UserError
from botscalp.pipeline.evidence import Estimate
from botscalp.pipeline.stored_run import StoredRun
from botscalp.pipeline.trials import LEDGER, Search, Trial, search_so_far
from botscalp.statistics.intervals import auc_difference_interval, cluster_ns_of, mean_interval
from botscalp.statistics.luck import Deflated, deflated_sharpe
from botscalp.statistics.search import MINIMUM_DAYS, pbo, spa_p
from botscalp.times import DAY_NS
from botscalp.windows import Range

SPA_P_AT_MOST, PBO_AT_MOST, DEFLATED_AT_LEAST = 0.05, 0.2, 0.95
"""all three have to hold for the best to be more than luck"""

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
    search: Search
    """all that was tried on those days, these runs included"""
    pbo: float | None
    spa_p: float | None
    deflated: Deflated | None
    """the best run's Sharpe ratio of the common days against the search"""
    undefined: str | None
    """why pbo, spa_p and deflated, or some of them, are None"""

    @property
    def more_than_luck(self) -> bool | None:
        """Whether the best run is; None where it cannot be told."""
        if self.failures:
            return False
        return True if self.undefined is None else None

    @property
    def failures(self) -> tuple[str, ...]:
        """What speaks against it, in words."""
        probability = None if self.deflated is None else self.deflated.probability
        found = []
        if self.spa_p is not None and self.spa_p > SPA_P_AT_MOST:
            found.append(f"SPA p {self.spa_p:.3f} is above {SPA_P_AT_MOST}")
        if self.pbo is not None and self.pbo > PBO_AT_MOST:
            found.append(f"PBO {self.pbo:.2f} is above {PBO_AT_MOST}")
        if probability is not None and probability < DEFLATED_AT_LEAST:
            found.append(f"deflated Sharpe ratio {probability:.3f} is below {DEFLATED_AT_LEAST}")
        return tuple(found)

    @property
    def conclusion(self) -> str:
        """Whether the best is more than luck, in one sentence, and what its own verdict was."""
        best = f"the best of {len(self.rows)} runs, {self.rows[0].title},"
        if self.failures:
            found = f"T{best[1:]} is not more than luck: {', '.join(self.failures)}"
        elif self.undefined is not None:
            found = f"Whether {best} is more than luck cannot be told: {self.undefined}"
        else:
            found = f"T{best[1:]} is more than luck: SPA p, PBO and deflated Sharpe ratio are on the good side"
        return f"{found}. Its own verdict is {self.rows[0].verdict}."


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
        spans = "; ".join(
            f"{run.title} {run.daily.index[0]:%Y-%m-%d} .. {run.daily.index[-1]:%Y-%m-%d}" for run in runs
        )
        raise UserError(
            key, value, f"no day that all runs tested on: {spans}", "name runs whose tests overlap: runs=[...]"
        )
    daily_pnl = {run.id: float(run.daily.loc[days, "pnl_quote"].mean()) for run in runs}
    runs = sorted(runs, key=lambda run: daily_pnl[run.id], reverse=True)
    differs = _differences_of_configs([run.config for run in runs])
    rows = [
        _row(run, runs[0], days, differs=differing, daily_pnl=daily_pnl[run.id])
        for run, differing in zip(runs, differs, strict=True)
    ]
    returns = np.column_stack([run.daily.loc[days, "return"].to_numpy() for run in runs])
    search = _search(runs, days, store)
    enough = len(days) >= MINIMUM_DAYS
    deflated = (
        deflated_sharpe(returns[:, 0], trials=search.count, sharpe_variance=search.sharpe_variance) if enough else None
    )
    p = spa_p(returns, seed=seed) if enough else None
    undefined = None
    if not enough:
        undefined = f"{len(days)} days in common, and it takes {MINIMUM_DAYS}"
    elif deflated is None:
        undefined = "the best run never trades, or its returns are too wild for a Sharpe ratio"
    return Comparison(
        rows=tuple(rows),
        markets=tuple(sorted(runs[0].markets)),
        days=len(days),
        first_day=f"{days[0]:%Y-%m-%d}",
        last_day=f"{days[-1]:%Y-%m-%d}",
        search=search,
        pbo=pbo(returns) if enough else None,
        spa_p=p,
        deflated=deflated,
        undefined=undefined,
    )


def _check(runs: Sequence[StoredRun], key: str, value: object) -> None:
    if len(runs) < 2:
        remedy = "finish a second one (a sweep is `train -m`), or name them: runs=[...]"
        raise UserError(key, value, f"{len(runs)} finished runs, where a comparison takes two", remedy)
    ids = [run.id for run in runs]
    if len(set(ids)) < len(ids):
        raise UserError(key, value, "names a run twice", "name each run once")
    groups: dict[frozenset[str], list[str]] = {}
    for run in runs:
        groups.setdefault(run.markets, []).append(run.id)
    if len(groups) > 1:
        markets = "; ".join(f"{len(found)} on {', '.join(sorted(names))}" for names, found in groups.items())
        largest = max(groups.values(), key=len)
        remedy = f"name runs on one market, such as runs=[{','.join(largest)}]"
        raise UserError(key, value, f"runs on other bars cannot be compared: {markets}", remedy)


def _common_days(runs: Sequence[StoredRun]) -> pd.DatetimeIndex:
    days = runs[0].daily.index
    for run in runs[1:]:
        days = days.intersection(run.daily.index)
    return pd.DatetimeIndex(days)


def _search(runs: Sequence[StoredRun], days: pd.DatetimeIndex, store: Path) -> Search:
    """What the ledger counts on these days: these runs at the least, which may come from elsewhere."""
    if not (store / LEDGER).is_file():
        return Search(count=len(runs), sharpe_variance=None)
    start, end = Range(days[0].value, days[-1].value + DAY_NS).iso()
    trial = Trial(count=len(runs), markets=tuple(runs[0].markets), test_start=start, test_end=end)
    found = search_so_far(store, trial)
    return Search(count=max(found.count, len(runs)), sharpe_variance=found.sharpe_variance)


def _row(run: StoredRun, best: StoredRun, days: pd.DatetimeIndex, *, differs: dict[str, str], daily_pnl: float) -> Row:
    metrics, backtest, intervals = (run.summary[name] for name in ("metrics", "backtest", "intervals"))
    auc_less_best, daily_pnl_less_best = (
        (Estimate(None, None), Estimate(None, None)) if run is best else _less(run, best, days)
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
        daily_pnl=daily_pnl,
        auc_less_best=auc_less_best,
        daily_pnl_less_best=daily_pnl_less_best,
    )


def _less(run: StoredRun, best: StoredRun, days: pd.DatetimeIndex) -> tuple[Estimate, Estimate]:
    """AUC and mean daily net PnL of the run less the best one's: all paired intervals are made here."""
    cluster_ns = cluster_ns_of(max(run.span_ns, best.span_ns))
    pnl = (run.daily.loc[days, "pnl_quote"] - best.daily.loc[days, "pnl_quote"]).to_numpy()
    daily_pnl = Estimate(float(pnl.mean()), mean_interval(pnl, _ns(days), cluster_ns))
    both = run.labelled.merge(best.labelled, on=["symbol", "open_time"], suffixes=("", "_best"))
    label = both["label"].to_numpy()
    if not len(both) or (label != both["label_best"].to_numpy()).any() or label.min() == label.max():
        return Estimate(None, None), daily_pnl
    p, p_best = both["p"].to_numpy(), both["p_best"].to_numpy()
    time_ns = _ns(pd.DatetimeIndex(both.index.get_level_values("open_time")))
    auc = float(roc_auc_score(label, p) - roc_auc_score(label, p_best))
    return Estimate(auc, auc_difference_interval(p, p_best, label, time_ns, cluster_ns)), daily_pnl


def _ns(times: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.int64]]:
    return times.as_unit("ns").asi8


def _differences_of_configs(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
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
