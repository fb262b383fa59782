"""Runs side by side on the rows and days that they share, and whether the best of them is more than luck."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from botscalp.errors import UserError
from botscalp.pipeline.comparison.row import Row, differences, mean_daily_pnl, nanoseconds, row_of
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.ledger import LEDGER, Search, Trial, search_so_far
from botscalp.pipeline.luck import Luck, luck_of_the_best
from botscalp.pipeline.stored_run import StoredRun
from botscalp.statistics.best import Shortfalls
from botscalp.times import DAY_NS
from botscalp.windows import Range


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What there is to say of runs on one market."""

    rows: tuple[Row, ...]
    """the one with the highest daily_pnl first"""
    study: str | None
    """whose runs they are; None where they were named one by one"""
    markets: tuple[str, ...]
    days: int
    """UTC days that all runs tested on"""
    first_day: str
    last_day: str
    luck: Luck
    unfinished: dict[str, int] | None
    """the study's other runs by how they ended, such as KILLED; None where they are not known"""
    curves: Mapping[str, pd.DataFrame]
    """return and pnl_quote of the common days, by run"""

    @property
    def conclusion(self) -> str:
        """Whether the best is more than luck, in a sentence, and what its own verdict was."""
        best = self.rows[0]
        sentence = self.luck.sentence(f"the best of {len(self.rows)} runs, {best.title},")
        return f"{sentence} Its own verdict is {best.verdict}."


def compare_runs(
    runs: Sequence[StoredRun],
    *,
    store: Path,
    seed: int,
    key: str,
    value: object,
    study: str | None = None,
    unfinished: dict[str, int] | None = None,
) -> Comparison:
    """Set the runs side by side.

    Args:
        store: holds the ledger of all that was tried.
        seed: of the bootstrap.
        key, value: what the user named the runs by, for messages.
        study, unfinished: as in `Comparison`.

    Raises:
        UserError: fewer than two runs, one of them twice, other markets, or no day in common.
    """
    _check(runs, key, value)
    days = _common_days(runs)
    if not len(days):
        spans = "; ".join(f"{run.title} {' .. '.join(_ends(run.daily.index))}" for run in runs)
        problem = f"no day that all runs tested on: {spans}"
        raise UserError(key, value, problem, "name runs whose tests overlap: runs=[...]")
    runs = sorted(runs, key=lambda run: mean_daily_pnl(run, days), reverse=True)
    curves = {run.id: run.daily.loc[days] for run in runs}
    returns, pnl = (np.column_stack([curve[name] for curve in curves.values()]) for name in ("return", "pnl_quote"))
    behind = Shortfalls.of(pnl, nanoseconds(days), seed=seed)
    as_good = behind.as_good_p()
    differs = differences([run.config for run in runs])
    first_day, last_day = _ends(days)
    return Comparison(
        rows=tuple(
            row_of(
                run,
                runs[0],
                days,
                differs=differs[rank],
                less_best=Estimate(behind.by_run[rank].value, behind.interval(rank)),
                as_good_p=None if as_good is None else float(as_good[rank]),
                seed=seed,
            )
            for rank, run in enumerate(runs)
        ),
        study=study,
        markets=tuple(sorted(runs[0].markets)),
        days=len(days),
        first_day=first_day,
        last_day=last_day,
        luck=luck_of_the_best(returns, _search(runs, days, store), seed=seed),
        unfinished=unfinished,
        curves=curves,
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
        such = f"name runs on the same bars: runs=[{','.join(largest)}]"
        remedy = (
            such if len(largest) > 1 else "train those that are to be compared on the same bars, under one study=NAME"
        )
        raise UserError(key, value, f"runs on other bars cannot be compared: {markets}", remedy)


def _common_days(runs: Sequence[StoredRun]) -> pd.DatetimeIndex:
    days = runs[0].daily.index
    for run in runs[1:]:
        days = days.intersection(run.daily.index)
    return pd.DatetimeIndex(days)


def _ends(days: pd.Index) -> tuple[str, str]:
    return f"{days[0]:%Y-%m-%d}", f"{days[-1]:%Y-%m-%d}"


def _search(runs: Sequence[StoredRun], days: pd.DatetimeIndex, store: Path) -> Search:
    """What the ledger counts on these days: these runs at the least, which may come from elsewhere."""
    if not (store / LEDGER).is_file():
        return Search(count=len(runs), sharpe_variance=None)
    start, end = Range(days[0].value, days[-1].value + DAY_NS).iso()
    trial = Trial(count=len(runs), markets=tuple(runs[0].markets), test_start=start, test_end=end)
    found = search_so_far(store, trial)
    return Search(count=max(found.count, len(runs)), sharpe_variance=found.sharpe_variance)
