"""Stored predictions traded under other settings: one run with its trades, or a grid with its table."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from botscalp import indicators
from botscalp.backtest import Backtest, PredictedBars, summarize, sweep
from botscalp.data import Source
from botscalp.errors import UserError
from botscalp.pipeline.heatmap import write_heat_map
from botscalp.pipeline.run_folder import read_summary, write_trading
from botscalp.pipeline.tracking import Tracking
from botscalp.types import Bars

HEADLINE = (
    "mean_net_bps",
    "trades",
    "win_rate",
    "break_even",
    "sharpe",
    "max_drawdown",
    "net_pnl",
    "gross_pnl",
    "fees",
    "roi",
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is traded, and how."""

    source: Source
    backtest: Backtest
    grid: Mapping[str, list[float]]
    """values of settings; empty for a single run"""
    run_folder: Path | None
    """of the run that made the predictions"""
    predictions: Path
    study: str
    store: Path
    overrides: Mapping[str, str]

    @property
    def configs(self) -> int:
        """Settings tried: each is a trial."""
        return int(np.prod([len(values) for values in self.grid.values()], dtype=int))


def run_rescoring(job: Job, tracking: Tracking, folder: Path) -> None:
    """Trade the predictions, write the results into `folder`, and record one run.

    Raises:
        UserError: predictions and bars do not belong together.
    """
    span_ns = _test_span_ns(job.run_folder)
    market = predicted_market(read_predictions(job.predictions), job.source.load(), job.backtest, span_ns)
    kind = "grid" if job.grid else "rescored"
    tags = {"kind": kind, "trials": str(job.configs), "predictions": str(job.run_folder or job.predictions)}
    with tracking.run(store=job.store, study=job.study, name=kind, params=_params(job), tags=tags, config=None) as run:
        metrics = _grid(job, market, folder) if job.grid else _single(job, market, folder)
        run.log_result(metrics, {}, folder)


def _single(job: Job, market: list[PredictedBars], folder: Path) -> dict[str, float | None]:
    result = job.backtest.run(market)
    summary = asdict(summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote))
    write_trading(folder, result.trades, result.equity)
    (folder / "backtest.json").write_text(json.dumps({"trials": 1, "backtest": summary}, indent=1) + "\n")
    for name in HEADLINE:
        print(f"{name:>14}  {summary[name]}")
    if summary["sharpe"] is None:
        print(f"{'':>14}  no Sharpe ratio: {summary['sharpe_undefined']}")
    return {f"backtest/{name}": summary[name] for name in HEADLINE}


def _grid(job: Job, market: list[PredictedBars], folder: Path) -> dict[str, float | None]:
    table = sweep(market, job.backtest, job.grid)
    table.to_parquet(folder / "grid.parquet", index=False)
    table.to_csv(folder / "grid.csv", index=False)
    write_heat_map(folder / "grid.png", table, job.grid)
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
    (folder / "grid.json").write_text(json.dumps({"trials": len(table), "grid": job.grid, **spread}, indent=1) + "\n")
    best = table.sort_values("net_pnl", ascending=False, kind="stable").head(10)
    print(best[[*job.grid, "trades", "mean_net_bps", "net_pnl", "sharpe", "max_drawdown"]].to_string(index=False))
    print(
        f"{len(table):,} settings, {spread['profitable']:,} with a profit; the best of so many is no evidence by itself"
    )
    return {f"grid/{name}": value for name, value in spread.items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _params(job: Job) -> dict[str, str]:
    settings = {f"backtest.{name}": str(value) for name, value in asdict(job.backtest).items()}
    return settings | {f"grid.{name}": str(values) for name, values in job.grid.items()} | dict(job.overrides)


def _test_span_ns(folder: Path | None) -> tuple[int, int] | None:
    """From the first test bar of the run to the end of its last test; None for predictions that belong to no run."""
    if folder is None:
        return None
    tests = [window["test"] for window in read_summary(folder)["windows"]]
    return pd.Timestamp(tests[0][0]).value, pd.Timestamp(tests[-1][1]).value


def read_predictions(path: Path) -> pd.DataFrame:
    """open_time (UTC), p, symbol (absent where the file has none) and window (0 where it has none), by symbol and time.

    Raises:
        UserError: the file cannot be read, or lacks a column, or holds a p outside [0, 1] or a bar twice.
    """
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError("predictions", path, str(error), "name a Parquet or CSV file with open_time and p") from error
    for name in ("open_time", "p"):
        if name not in table:
            columns = ", ".join(map(str, table))
            raise UserError(
                "predictions", path, f"it has no column {name}, only {columns}", "name its columns open_time and p"
            )
    table = table.assign(open_time=pd.to_datetime(table.open_time, utc=True).astype("datetime64[ns, UTC]"))
    if "window" not in table:
        table["window"] = 0
    keys = [name for name in ("symbol", "open_time") if name in table]
    outside, twice = ~table.p.between(0, 1) & table.p.notna(), table.duplicated(keys)
    for wrong, problem in ((outside, "is no probability"), (twice, "is there twice")):
        if wrong.any():
            row = table[wrong].iloc[0]
            raise UserError("predictions", path, f"p={row.p} of {row.open_time} {problem}", "correct that row")
    return table.sort_values(keys, kind="stable", ignore_index=True)


def predicted_market(
    predictions: pd.DataFrame, bars: tuple[Bars, ...], backtest: Backtest, span_ns: tuple[int, int] | None
) -> list[PredictedBars]:
    """Each symbol's bars in the span, from its first prediction to its last where there is no span, with p and ATR.

    Raises:
        UserError: a prediction has no bar.
    """
    if "symbol" not in predictions:
        if len(bars) > 1:
            raise UserError("predictions", "no symbol", f"the bars have {len(bars)} symbols", "add a column symbol")
        predictions = predictions.assign(symbol=bars[0].symbol)
    known = {one.symbol: one for one in bars}
    market = []
    for symbol, rows in predictions.groupby("symbol", sort=False):
        if symbol not in known:
            raise UserError("data.symbols", list(known), f"there are predictions of {symbol}", "name their symbols")
        one = known[str(symbol)]
        times_ns = rows.open_time.astype("int64").to_numpy()
        row = np.searchsorted(one.open_time_ns, times_ns)
        found = one.open_time_ns[np.minimum(row, len(one) - 1)] == times_ns
        if not found.all():
            first = rows.open_time[~found].iloc[0]
            raise UserError(
                "data",
                symbol,
                f"{(~found).sum():,} predictions have no bar, first {first}",
                "load the bars they were made on",
            )
        p, window = np.full(len(one), np.nan), np.zeros(len(one), np.int64)
        p[row], window[row] = rows.p, rows.window
        start_ns, end_ns = span_ns or (times_ns[0], times_ns[-1] + 1)
        inside = slice(*np.searchsorted(one.open_time_ns, [start_ns, end_ns]))
        atr = indicators.atr(one, backtest.atr_span)[inside]
        market.append(PredictedBars(bars=one[inside], p=p[inside], atr=atr, window=window[inside]))
    return market
