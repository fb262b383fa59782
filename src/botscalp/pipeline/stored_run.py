"""A run that `train` finished, read back from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from botscalp.backtest.performance import utc_day_pnl, utc_day_returns, utc_days_ns
from botscalp.options import build
from botscalp.pipeline.run_folder import read_summary
from botscalp.times import parse_interval
from botscalp.types import Float64, Int64


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What a run said of itself, what it predicted, and what its account did day by day."""

    folder: Path
    config: Mapping[str, Any]
    """config.yaml"""
    summary: Mapping[str, Any]
    """summary.json"""
    labelled: pd.DataFrame
    """p and label of the test bars that have a label, by symbol and open_time"""
    daily: pd.DataFrame
    """return and pnl_quote of each UTC day, by its start"""

    @property
    def title(self) -> str:
        """Such as gru-h3."""
        return str(self.summary["title"])

    @property
    def id(self) -> str:
        """The run's id in MLflow; its folder where it was not tracked."""
        tracked = self.summary["mlflow"]
        return str(tracked["run_id"] if tracked else self.folder)

    @property
    def markets(self) -> frozenset[str]:
        """The names of the histories that it was made on, one a symbol."""
        return frozenset(self.summary["data"]["markets"])

    @property
    def interval_ns(self) -> int:
        """Of its bars."""
        return parse_interval(self.summary["data"]["interval"])

    @property
    def span_ns(self) -> int:
        """How far its labels look ahead."""
        bars: int = build(self.config["label"], "label").span_bars
        return bars * self.interval_ns


def read_run(folder: Path, config: Mapping[str, Any]) -> StoredRun:
    """The run of that folder.

    Args:
        config: what its config.yaml says, as dicts and lists.

    Raises:
        UserError: the run did not finish.
    """
    summary = read_summary(folder)
    predictions = pd.read_parquet(folder / "predictions.parquet").set_index(["symbol", "open_time"])
    equity = pd.read_parquet(folder / "equity.parquet")
    close_time_ns = equity["close_time"].dt.as_unit("ns").astype(np.int64).to_numpy()
    return StoredRun(
        folder=folder,
        config=config,
        summary=summary,
        labelled=predictions[["p", "label"]].dropna(),
        daily=by_day(close_time_ns, equity["equity_quote"].to_numpy(), float(config["backtest"]["capital"])),
    )


def by_day(close_time_ns: Int64, equity_quote: Float64, capital_quote: float) -> pd.DataFrame:
    """The columns return and pnl_quote, a row a UTC day; an account that is lost returns -1 that day, and 0 from then on."""
    returns = utc_day_returns(close_time_ns, equity_quote, capital_quote)
    lost = np.flatnonzero(~(returns > -1.0))
    if len(lost):
        returns[lost[0]], returns[lost[0] + 1 :] = -1.0, 0.0
    return pd.DataFrame(
        {"return": returns, "pnl_quote": utc_day_pnl(close_time_ns, equity_quote, capital_quote)},
        index=pd.to_datetime(utc_days_ns(close_time_ns), utc=True),
    )
