"""Probabilities that were stored by a run, or that anybody made: read, checked, and matched with their bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from botscalp.data.files import numbers, table_of, times_ns
from botscalp.errors import UserError
from botscalp.types import Bars, Float64, Int64


class Scores(Protocol):
    """Probabilities of bars; every array has shape (n,)."""

    @property
    def open_time_ns(self) -> Int64: ...
    @property
    def symbol(self) -> Int64:
        """Position in the market's bars."""

    @property
    def window(self) -> Int64: ...
    @property
    def p(self) -> Float64: ...


@dataclass(frozen=True, kw_only=True)
class StoredScores:
    """Probabilities of bars, by symbol and time; every array has shape (n,)."""

    open_time_ns: Int64
    symbol: Int64
    """position in the bars that they were matched with"""
    window: Int64
    p: Float64


def read_scores(path: Path, bars: Sequence[Bars], *, once: Sequence[str] = ("symbol", "open_time")) -> StoredScores:
    """A file with open_time (as bars have it) and p, and with symbol and window where there are several.

    Args:
        once: the columns that tell one prediction from another; validation ranges of several windows may hold the same bar.

    Raises:
        UserError: the file cannot be read, lacks a column, holds a p outside [0, 1], a window that is no number, or a
            prediction twice, or a prediction has no bar.
    """
    try:
        table = _columns(table_of(path), path, bars)
    except UserError as error:
        key = error.key if error.key != "data.path" else "predictions"
        raise error.about(key) from None
    for wrong, problem in (
        (~table.p.between(0, 1) & table.p.notna(), "is no probability"),
        (table.duplicated(list(once)), "is there twice"),
    ):
        if wrong.any():
            row = table[wrong].iloc[0]
            time = pd.Timestamp(row.open_time, tz="UTC")
            raise UserError("predictions", path, f"p={row.p} of {time} {problem}", "correct that row")
    return _matched(table.sort_values(["symbol", "open_time", "window"], kind="stable"), bars)


def _columns(table: pd.DataFrame, path: Path, bars: Sequence[Bars]) -> pd.DataFrame:
    """open_time in ns, symbol, window and p."""
    for name in ("open_time", "p"):
        if name not in table:
            held = ", ".join(map(str, table))
            raise UserError("predictions", path, f"it has no column {name}, only {held}", "name it open_time and p")
    if table.empty:
        raise UserError("predictions", path, "holds no rows", "name a file with predictions")
    if "symbol" not in table and len(bars) > 1:
        raise UserError("predictions", path, f"the bars have {len(bars)} symbols", "add a column symbol")
    symbol = table.symbol if "symbol" in table else pd.Series(bars[0].symbol, table.index)
    window = numbers(table.window, path) if "window" in table else np.zeros(len(table))
    if symbol.isna().any() or not (np.isfinite(window) & (window == np.floor(window))).all():
        problem = "a symbol is missing" if symbol.isna().any() else "a window is no whole number"
        raise UserError("predictions", path, problem, "correct that row")
    return pd.DataFrame(
        {
            "open_time": times_ns(table.open_time, path),
            "symbol": symbol.to_numpy(),
            "window": window.astype(np.int64),
            "p": numbers(table.p, path),
        }
    )


def _matched(table: pd.DataFrame, bars: Sequence[Bars]) -> StoredScores:
    position = {one.symbol: index for index, one in enumerate(bars)}
    for symbol, rows in table.groupby("symbol", sort=False):
        if symbol not in position:
            raise UserError("data.symbols", list(position), f"there are predictions of {symbol}", "name their symbols")
        missing = ~np.isin(rows.open_time, bars[position[str(symbol)]].open_time_ns)
        if missing.any():
            first = pd.Timestamp(rows.open_time[missing].iloc[0], tz="UTC")
            problem = f"{missing.sum():,} predictions have no bar, first {first}"
            raise UserError("data", symbol, problem, "load the bars they were made on")
    return StoredScores(
        open_time_ns=np.asarray(table.open_time, np.int64),
        symbol=np.asarray(table.symbol.map(position), np.int64),
        window=np.asarray(table.window, np.int64),
        p=np.asarray(table.p, np.float64),
    )
