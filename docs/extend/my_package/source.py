"""A data source of your own: bars in a database of sqlite, one row a bar, its time in seconds since 1970."""

import sqlite3
from dataclasses import dataclass

import numpy as np

from botscalp.data.bars import checked
from botscalp.times import parse_interval
from botscalp.types import Bars


@dataclass(frozen=True, kw_only=True)
class Database:
    path: str
    symbols: tuple[str, ...]
    interval: str
    real: bool = True  # a market made these bars
    source: str = "database"

    def load(self) -> tuple[Bars, ...]:
        return tuple(map(self.bars, self.symbols))

    def bars(self, symbol: str) -> Bars:
        query = "SELECT time_s, open, high, low, close, volume, taker FROM bars WHERE symbol = ? ORDER BY time_s"
        time_s, *columns = np.array(sqlite3.connect(self.path).execute(query, [symbol]).fetchall()).T.copy()
        names = ("open", "high", "low", "close", "volume", "taker_buy_volume")
        values = dict(zip(names, columns, strict=True))
        times = time_s.astype(np.int64) * 10**9
        bars = Bars(symbol=symbol, interval_ns=parse_interval(self.interval), open_time_ns=times, **values)
        return checked(bars, key="data.path", value=self.path)
