"""Probabilities that were stored by a run, or that anybody made: read, checked, and matched with their bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from botscalp.errors import UserError
from botscalp.types import Bars, Float64, Int64


@dataclass(frozen=True, kw_only=True)
class StoredScores:
    """Probabilities of bars, by symbol and time; every array has shape (n,)."""

    open_time_ns: Int64
    symbol: Int64
    """position in the bars that they were matched with"""
    window: Int64
    p: Float64


def read_scores(path: Path, bars: Sequence[Bars]) -> StoredScores:
    """A Parquet or CSV file with open_time (UTC) and p, and with symbol and window where there are several.

    Raises:
        UserError: the file cannot be read, lacks a column, holds a p outside [0, 1] or a bar twice, or a prediction has
            no bar.
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
    if table.empty:
        raise UserError("predictions", path, "holds no rows", "name a file with predictions")
    table = table.assign(open_time=pd.to_datetime(table.open_time, utc=True).astype("datetime64[ns, UTC]"))
    if "symbol" not in table:
        if len(bars) > 1:
            raise UserError("predictions", path, f"the bars have {len(bars)} symbols", "add a column symbol")
        table["symbol"] = bars[0].symbol
    if "window" not in table:
        table["window"] = 0
    outside, twice = ~table.p.between(0, 1) & table.p.notna(), table.duplicated(["symbol", "open_time"])
    for wrong, problem in ((outside, "is no probability"), (twice, "is there twice")):
        if wrong.any():
            row = table[wrong].iloc[0]
            raise UserError("predictions", path, f"p={row.p} of {row.open_time} {problem}", "correct that row")
    return _matched(table.sort_values(["symbol", "open_time"], kind="stable"), bars)


def _matched(table: pd.DataFrame, bars: Sequence[Bars]) -> StoredScores:
    position = {one.symbol: index for index, one in enumerate(bars)}
    for symbol, rows in table.groupby("symbol", sort=False):
        if symbol not in position:
            raise UserError("data.symbols", list(position), f"there are predictions of {symbol}", "name their symbols")
        missing = ~np.isin(rows.open_time.astype("int64"), bars[position[str(symbol)]].open_time_ns)
        if missing.any():
            raise UserError(
                "data",
                symbol,
                f"{missing.sum():,} predictions have no bar, first {rows.open_time[missing].iloc[0]}",
                "load the bars they were made on",
            )
    return StoredScores(
        open_time_ns=np.asarray(table.open_time.astype("int64"), np.int64),
        symbol=np.asarray(table.symbol.map(position), np.int64),
        window=np.asarray(table.window, np.int64),
        p=table.p.to_numpy(np.float64),
    )
