"""Bars that oracles and kernel are compared on: a walk whose opens gap, and the exchange's own."""

from pathlib import Path

import numpy as np
import pandas as pd

from botscalp import indicators
from botscalp.backtest import PredictedBars
from botscalp.types import Bars

INTERVAL_NS = 300_000_000_000
FIRST_NS = 1_704_067_200_000_000_000  # 2024-01-01


def gapped_walk(seed: int, n: int, *, gaps: bool = True, p_sd: float = 0.12) -> PredictedBars:
    """5-minute bars of 0.15 % each, of which 2 % open 0.3 % away from the last close; p knows nothing of them."""
    rng = np.random.default_rng(seed)
    jump = np.where(rng.random(n) < 0.02 * gaps, rng.normal(0, 0.003, n), 0.0)
    steps = rng.normal(0, 0.0015 / 10**0.5, (n, 10))
    steps[:, 0] += jump
    path = 60_000 * np.exp(np.cumsum(steps).reshape(n, 10))
    close = np.ascontiguousarray(path[:, -1])
    open_ = np.concatenate([[60_000.0], close[:-1]]) * np.exp(jump)
    high, low = np.maximum(path.max(axis=1), open_), np.minimum(path.min(axis=1), open_)
    bars = Bars(
        symbol="BTCUSDT",
        interval_ns=INTERVAL_NS,
        open_time_ns=FIRST_NS + np.arange(n) * INTERVAL_NS,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=np.ones(n),
    )
    return predicted(bars, seed, p_sd)


def predicted(bars: Bars, seed: int, p_sd: float = 0.12) -> PredictedBars:
    """The bars with noise for a p, some of it missing, and Wilder's ATR, which starts with NaN."""
    rng = np.random.default_rng([seed, 1])
    p = np.clip(0.5 + p_sd * rng.standard_normal(len(bars)), 0, 1)
    p[rng.random(len(bars)) < 0.01] = np.nan
    return PredictedBars(bars=bars, p=p, atr=indicators.atr(bars, 14), window=np.zeros(len(bars), np.int64))


def real_bars(folder: Path, symbol: str, start: str, end: str) -> Bars:
    """The exchange's bars of 5 minutes in [start, end), missing ones missing."""
    columns = ["open_time", "open", "high", "low", "close", "volume"]
    table = pd.read_parquet(folder / f"binance-spot-{symbol}-5m.parquet", columns=columns)
    table = table[(table.open_time >= pd.Timestamp(start, tz="UTC")) & (table.open_time < pd.Timestamp(end, tz="UTC"))]
    return Bars(
        symbol=symbol,
        interval_ns=INTERVAL_NS,
        open_time_ns=table.open_time.astype("datetime64[ns, UTC]").astype("int64").to_numpy(),
        **{name: np.ascontiguousarray(table[name], np.float64) for name in columns[1:]},
    )
