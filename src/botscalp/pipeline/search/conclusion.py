"""What the trials of a search come to together: the best, how far it is ahead, and what luck alone would have shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.ledger import LEDGER, Trial, search_so_far
from botscalp.pipeline.search.ended import EndedTrial, ranked
from botscalp.pipeline.search.order import WITHOUT_SKILL
from botscalp.pipeline.search.plan import Plan
from botscalp.pipeline.stored_run import by_day
from botscalp.report.numbers import estimate, number
from botscalp.statistics.luck import deflated_sharpe
from botscalp.statistics.overfitting import MINIMUM_DAYS, pbo
from botscalp.statistics.paired import expected_best, mean_interval
from botscalp.types import Float64

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class SearchLuck:
    """What is left of the best trial once all others are counted; None where it cannot be told."""

    trials: int
    """all of the study, pruned and failed ones too, and whatever else the ledger counts on these windows"""
    completed: int
    """which PBO compares"""
    pbo: float | None
    sharpe: float | None
    """the best's, annualised"""
    expected_best_sharpe: float | None
    deflated: float | None
    expected_best_value: float | None
    """of the objective, by the best of so many settings without skill"""
    undefined: str | None


def concluded(
    plan: Plan,
    trials: Sequence[EndedTrial],
    *,
    study: str,
    sampler: str,
    created: str,
    store: Path,
    importance: Mapping[str, float] | None,
    holdout_run: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What search.json holds; plain values.

    Args:
        importance: share of the objective's variance by setting.
        holdout_run: see `holdout_figures`.
    """
    best, runner_up, *_ = [*ranked(trials), None, None]
    difference = None
    if best is not None and runner_up is not None:
        gaps = _scores(best) - _scores(runner_up)
        difference = Estimate(float(gaps.mean()), mean_interval(gaps)).as_dict()
    luck = search_luck(plan, trials, store=store)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "study": study,
        "objective": plan.objective,
        "direction": "maximize",
        "sampler": sampler,
        "created": created,
        "markets": list(plan.markets),
        "search": {"windows": [{"test": list(test)} for test in plan.search]},
        "holdout": {"windows": [{"test": list(test)} for test in plan.holdout]},
        "trials": [
            {name: value for name, value in vars(one).items() if name not in ("words", "capital_quote")}
            | {"params": dict(one.params), "scores": list(one.scores)}
            for one in trials
        ],
        "best": None if best is None else best.number,
        "runner_up": None if runner_up is None else runner_up.number,
        "difference": difference,
        "luck": vars(luck),
        "holdout_run": holdout_run,
        "importance": None if importance is None else dict(importance),
        "time": {
            "total_s": sum(one.seconds or 0.0 for one in trials),
            "fit_s": sum(one.fit_s or 0.0 for one in trials),
            "pruned": sum(one.state == "pruned" for one in trials),
            "saved_windows": sum(len(plan.search) - len(one.scores) for one in trials if one.state == "pruned"),
            "failed": sum(one.state == "failed" for one in trials),
        },
    }
    return found | {"conclusion": conclusion(found)}


def search_luck(plan: Plan, trials: Sequence[EndedTrial], *, store: Path) -> SearchLuck:
    """The luck of the best trial."""
    complete = ranked(trials)
    count = max(len(trials), _counted(plan, store))
    if not complete:
        return _luck(count, complete, undefined="no trial came to all its windows")
    best = _scores(complete[0])
    error = float(best.std(ddof=1) / np.sqrt(len(best)))
    value = WITHOUT_SKILL[plan.objective] + expected_best(count, error)
    daily = daily_returns(complete)
    days = len(daily)
    if days < MINIMUM_DAYS:
        reason = f"{days} days in common, and it takes {MINIMUM_DAYS}"
        return _luck(count, complete, expected_best_value=value, undefined=reason)
    sharpes = [one.sharpe for one in complete if one.sharpe is not None]
    variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else None
    deflated = deflated_sharpe(daily[:, 0], trials=count, sharpe_variance=variance)
    return _luck(
        count,
        complete,
        expected_best_value=value,
        pbo=pbo(daily) if len(complete) > 1 else None,
        expected_best_sharpe=None if deflated is None else deflated.expected_best_sharpe,
        deflated=None if deflated is None else deflated.probability,
        undefined="the best never trades, or too wildly for a Sharpe ratio" if deflated is None else None,
    )


def daily_returns(trials: Sequence[EndedTrial]) -> Float64:
    """Of the UTC days that all accounts have, shape (days, trials)."""
    returns = []
    for one in trials:
        equity = pd.read_parquet(Path(one.folder) / "equity.parquet")
        assert one.capital_quote is not None, "a complete trial"
        close_time_ns = equity["close_time"].dt.as_unit("ns").astype(np.int64).to_numpy()
        returns.append(by_day(close_time_ns, equity["equity_quote"].to_numpy(), one.capital_quote)["return"])
    together = pd.concat(returns, axis=1, join="inner")
    found: Float64 = together.to_numpy(np.float64)
    return found


def holdout_figures(summary: Mapping[str, Any], plan: Plan, *, trial: int, folder: Path) -> dict[str, Any]:
    """What the winner's run on the holdout windows came to, from its summary.json."""
    test, trades = summary["intervals"]["test"], summary["intervals"]["backtest"]
    metrics, counted = summary["metrics"], summary["trials"]
    return {
        "trial": trial,
        "times": 1 if counted is None else counted["count"],
        "verdict": summary["verdict"]["outcome"],
        "auc": Estimate(metrics["auc"], test["auc"]).as_dict(),
        "objective": Estimate(metrics[plan.objective], test[plan.objective]).as_dict(),
        "mean_net_bps": Estimate(summary["backtest"]["mean_net_bps"], trades["mean_net_bps"]).as_dict(),
        "folder": str(folder),
        "report": str(folder / "report.html") if (folder / "report.html").is_file() else None,
    }


def conclusion(found: Mapping[str, Any]) -> str:
    """What the search found, in a few sentences."""
    if found["best"] is None:
        return f"None of {len(found['trials']):,} trials came to all its windows."
    trials = {one["number"]: one for one in found["trials"]}
    best, luck, unseen = trials[found["best"]], found["luck"], found["holdout_run"]
    name = found["objective"].replace("_", " ")
    sentences = [
        f"Trial {best['number']} is the best of {luck['trials']:,}: {name} {best['value']:+.5f} on the search windows, "
        f"where the best of so many without skill would show {number(luck['expected_best_value'], '+.5f')}."
    ]
    if found["difference"] is not None:
        gap = found["difference"]
        told = "is ahead of" if (gap["low"] or 0.0) > 0.0 else "cannot be told from"
        sentences.append(f"It {told} the runner-up, trial {found['runner_up']}: {estimate(gap, '+.5f')}.")
    if unseen is not None and unseen["trial"] == found["best"]:
        net = unseen["mean_net_bps"]
        sentences.append(
            f"On the windows that no trial saw: {name} {number(unseen['objective']['value'], '+.5f')}, "
            f"net {number(net['value'], '+.2f')} bps a trade, {unseen['verdict']}."
        )
    return " ".join(sentences)


def _luck(count: int, complete: Sequence[EndedTrial], **known: Any) -> SearchLuck:
    unknown = ("pbo", "expected_best_sharpe", "deflated", "expected_best_value", "undefined")
    values: dict[str, Any] = dict.fromkeys(unknown) | known
    return SearchLuck(trials=count, completed=len(complete), sharpe=complete[0].sharpe if complete else None, **values)


def _counted(plan: Plan, store: Path) -> int:
    """What the ledger knows to have been tried on the search windows."""
    if not (store / LEDGER).is_file():
        return 0
    tried = Trial(count=0, markets=plan.markets, test_start=plan.search[0][0], test_end=plan.search[-1][1])
    return search_so_far(store, tried).count


def _scores(trial: EndedTrial) -> Float64:
    return np.array(trial.scores, np.float64)
