"""Stored predictions traded under other settings: one run with its trades, or a grid with its table."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from botscalp.backtest import Backtest, anatomy, sweep
from botscalp.backtest.result import Result
from botscalp.data import Source
from botscalp.data.bars import market_digest
from botscalp.data.store import sha256_of
from botscalp.errors import UserError
from botscalp.options import described
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.evidence.trading import trade_estimates
from botscalp.pipeline.experiment import check_study
from botscalp.pipeline.ledger import Trial, market_names, setting_digest
from botscalp.pipeline.market import Market
from botscalp.pipeline.run_folder import read_summary, write_trading
from botscalp.pipeline.scores import StoredScores, read_scores
from botscalp.pipeline.tracking import NewRun, TrackedResult, Tracking
from botscalp.pipeline.trading import Account, chosen_brackets
from botscalp.report.drawing import write_png
from botscalp.report.figures import heat_map
from botscalp.report.numbers import figure
from botscalp.times import interval_name
from botscalp.types import Bars, Int64
from botscalp.whole_files import whole, write_whole
from botscalp.windows import Range

logger = logging.getLogger(__name__)

HEADLINE = {
    "mean_net_bps": "+.2f",
    "trades": ",",
    "win_rate": ".4f",
    "break_even": ".4f",
    "gross_pnl": "+,.2f",
    "slippage": ",.2f",
    "fees": ",.2f",
    "funding": ",.2f",
    "net_pnl": "+,.2f",
    "roi": "+.2%",
    "sharpe": "+.2f",
    "max_drawdown": ".2%",
}
"""what is told of a setting, in which form; net_pnl is gross_pnl less the three below it"""


@dataclass(frozen=True, kw_only=True)
class Rescoring:
    """What is traded, and how."""

    source: Source
    backtest: Backtest
    grid: Mapping[str, list[float]]
    """values of settings; empty for a single run"""
    run_folder: Path | None
    """of the run that made the predictions"""
    predictions: Path
    study: str
    seed: int
    """of the bootstrap"""
    store: Path
    overrides: Mapping[str, str]

    def __post_init__(self) -> None:
        check_study(self.study)
        if self.backtest.select == "none":
            return
        if self.run_folder is None:
            raise UserError(
                "backtest.select",
                self.backtest.select,
                "predictions of a file have no validation range",
                "name a run, or set backtest.select=none",
            )
        if self.grid:
            raise UserError(
                "backtest.select",
                self.backtest.select,
                "settings are chosen window by window and cannot be a grid at once",
                "list them in backtest.candidates, or set backtest.select=none",
            )

    @property
    def configs(self) -> int:
        """Settings tried: each is a trial."""
        return int(np.prod([len(values) for values in self.grid.values()], dtype=int))


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The predictions with the market that they are about."""

    market: Market
    test: StoredScores
    span_ns: tuple[int, int]
    """from the first test bar to the end of the last; for predictions of no run, from the first to the last"""
    starts_ns: Int64
    """of the windows' tests"""


Scored = tuple[dict[str, float | None], list[float | None]]
"""metrics for the tracking store, and the Sharpe ratio of each setting, None where it has none"""


def run_rescoring(job: Rescoring, tracking: Tracking, folder: Path) -> None:
    """Trade the predictions, write the results into `folder`, and record one run.

    Raises:
        UserError: predictions and bars do not belong together.
    """
    loaded = load(job)
    kind = "grid" if job.grid else "rescored"
    start, end = Range(*loaded.span_ns).iso()
    new = NewRun(
        store=job.store,
        study=job.study,
        name=kind,
        params=_params(job),
        tags={"kind": kind, "predictions": str(job.run_folder or job.predictions)},
        trial=Trial(
            count=job.configs,
            markets=market_names(job.source, interval_name(loaded.market.bars[0].interval_ns)),
            test_start=start,
            test_end=end,
            setting=_setting(job, loaded),
        ),
        config=None,
    )
    with tracking.run(new) as run:
        metrics, sharpes = _grid(job, loaded, folder) if job.grid else _single(job, loaded, folder)
        search = run.search(sharpes)
        if search is not None:
            print(f"{search.count:,} settings have been tried on these test bars so far")
        run.log_result(TrackedResult(metrics=metrics), folder)


def _setting(job: Rescoring, loaded: Loaded) -> str:
    """Names what is tried: whoever trades the same predictions in the same way again tries nothing new."""
    return setting_digest(
        {
            "backtest": described(job.backtest),
            "grid": job.grid,
            "predictions": sha256_of(job.predictions),
            "bars": market_digest(loaded.market.bars),
        }
    )


def load(job: Rescoring) -> Loaded:
    """Read the predictions, the bars, and what else the settings name."""
    bars = job.source.load()
    test = read_scores(job.predictions, bars)
    if job.run_folder is None:
        starts_ns = _window_starts_ns(test, job.predictions)
        span_ns = (int(test.open_time_ns.min()), int(test.open_time_ns.max()) + 1)
    else:
        _warn_of_other_bars(job.run_folder, bars)
        tests = [window["test"] for window in read_summary(job.run_folder)["windows"]]
        starts_ns = np.array([pd.Timestamp(start).value for start, _ in tests])
        span_ns = (int(starts_ns[0]), pd.Timestamp(tests[-1][1]).value)
    return Loaded(market=Market.load(bars, job.backtest), test=test, span_ns=span_ns, starts_ns=starts_ns)


def _window_starts_ns(test: StoredScores, path: Path) -> Int64:
    """When each window's first prediction is made, by the windows' numbers: 0, 1, 2, ... in the order of time."""
    numbers = np.unique(test.window)
    starts_ns = np.array([np.min(test.open_time_ns[test.window == window]) for window in numbers], np.int64)
    if not np.array_equal(numbers, np.arange(len(numbers))) or (np.diff(starts_ns) <= 0).any():
        remedy = "number them 0, 1, 2, ... in the order of time, or leave the column out"
        raise UserError("predictions", path, f"its windows are {numbers.tolist()}, or not in order", remedy)
    return starts_ns


def _warn_of_other_bars(folder: Path, bars: Sequence[Bars]) -> None:
    """The bars of a run are known by their digest; others may be what the user wants, or a mistake."""
    digest = read_summary(folder)["data"]["digest"]
    if digest != market_digest(bars):
        logger.warning("these are not the bars that the run was made on (%s)", digest[:12])


def _single(job: Rescoring, loaded: Loaded, folder: Path) -> Scored:
    brackets = None
    if job.backtest.select == "validation":
        assert job.run_folder is not None
        path, once = job.run_folder / "validation.parquet", ("symbol", "open_time", "window")
        validation = read_scores(path, loaded.market.bars, once=once)
        brackets = chosen_brackets(loaded.market, job.backtest, validation, len(loaded.starts_ns))
    result = job.backtest.run(loaded.market.predicted(loaded.test, loaded.span_ns, loaded.starts_ns), brackets)
    summary, estimates = asdict(result.summary), _estimates(result, job.seed)
    write_trading(folder, result.trades, result.equity)
    found = {
        "trials": 1,
        "backtest": summary,
        "intervals": {name: estimate.interval for name, estimate in estimates.items()},
        "anatomy": asdict(anatomy(result)),
        "brackets": None if brackets is None else [asdict(bracket) for bracket in brackets],
    }
    write_whole(folder / "backtest.json", json.dumps(found, indent=1) + "\n")
    for window, bracket in enumerate(brackets or ()):
        print(f"window {window}: {', '.join(f'{name} {value:g}' for name, value in asdict(bracket).items())}")
    for name, form in HEADLINE.items():
        ends = estimates[name].interval if name in estimates else None
        print(f"{name:>14}  {figure(summary[name], ends, form)}")
    if summary["sharpe"] is None:
        print(f"{'':>14}  no Sharpe ratio: {summary['sharpe_undefined']}")
    return {f"backtest/{name}": summary[name] for name in HEADLINE}, [summary["sharpe"]]


def _estimates(result: Result, seed: int) -> dict[str, Estimate]:
    """The trades' and the days' figures that have an interval, by their names in `Summary`."""
    trades = TradeRows.of(result).mean_net()
    start_ns = min(int(one.bars.open_time_ns[0]) for one in result.market)
    estimator = Estimator.of_account(result, [trades], start_ns=start_ns, span_ns=0, seed=seed)
    estimates = trade_estimates(Account(result=result, baselines={}), estimator)
    return {name.partition("/")[2]: one for name, one in estimates.items() if name.startswith("backtest/")}


def _grid(job: Rescoring, loaded: Loaded, folder: Path) -> Scored:
    table = sweep(loaded.market.predicted(loaded.test, loaded.span_ns, loaded.starts_ns), job.backtest, job.grid)
    with whole(folder / "grid.parquet") as aside:
        table.to_parquet(aside, index=False)
    with whole(folder / "grid.csv") as aside:
        table.to_csv(aside, index=False)
    write_png(folder / "grid.png", heat_map.grid(table, job.grid).figure)
    sharpe = table.sharpe.dropna()
    spread = {
        "configs": len(table),
        "profitable": int((table.net_pnl > 0).sum()),
        "sharpe_sd": float(sharpe.std()) if len(sharpe) > 1 else None,
        "sharpe_median": float(sharpe.median()) if len(sharpe) else None,
        "sharpe_max": float(sharpe.max()) if len(sharpe) else None,
        "mean_net_bps_median": _number(table.mean_net_bps.median()),
        "mean_net_bps_max": _number(table.mean_net_bps.max()),
    }
    write_whole(folder / "grid.json", json.dumps({"trials": len(table), "grid": job.grid, **spread}, indent=1) + "\n")
    best = table.sort_values("net_pnl", ascending=False, kind="stable").head(10)
    print(best[[*job.grid, "trades", "mean_net_bps", "net_pnl", "sharpe", "max_drawdown"]].to_string(index=False))
    print(
        f"{len(table):,} settings, {spread['profitable']:,} with a profit; the best of so many is no evidence by itself"
    )
    return {f"grid/{name}": value for name, value in spread.items()}, sharpe.tolist()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _params(job: Rescoring) -> dict[str, str]:
    settings = {f"backtest.{name}": str(value) for name, value in asdict(job.backtest).items()}
    return settings | {f"grid.{name}": str(values) for name, values in job.grid.items()} | dict(job.overrides)
