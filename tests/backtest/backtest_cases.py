"""Small markets for the backtest's tests: written by hand, or drawn at random to be nasty."""

from typing import Any

import numpy as np
from omegaconf import OmegaConf

from botscalp.backtest import Backtest, Candidates, PredictedBars
from botscalp.config import CONF
from botscalp.types import Bars

INTERVAL_NS = 300_000_000_000
FIRST = 5_680_224  # bars of 5 minutes since 1970: 2024-01-01 00:00


def backtest(**changed: Any) -> Backtest:
    """The default settings; naming one unit of a pair (size, slippage) drops the other."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(CONF / "backtest" / "default.yaml"))
    del settings["_target_"]
    settings["candidates"] = Candidates(**settings["candidates"])
    if {"contract", "equity_fraction", "volatility_target", "kelly_fraction", "sizing"} & set(changed):
        settings["notional"] = None
    if "slippage_ticks" in changed:
        settings["slippage_bps"] = None
    return Backtest(**settings | changed)


def predicted_bars(
    ohlc: Any,
    p: Any,
    atr: Any,
    numbers: Any = None,
    window: Any = None,
    symbol: str = "BTCUSDT",
    interval_ns: int = INTERVAL_NS,
) -> PredictedBars:
    """Bars from rows of (open, high, low, close); `numbers` count from FIRST and leave out the missing bars."""
    open_, high, low, close = np.array(ohlc, float).T.copy()
    offsets = np.arange(len(open_)) if numbers is None else np.asarray(numbers)
    bars = Bars(
        symbol=symbol,
        interval_ns=interval_ns,
        open_time_ns=(FIRST + offsets) * interval_ns,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=np.ones(len(open_)),
    )
    return PredictedBars(
        bars=bars,
        p=np.asarray(p, float),
        atr=np.broadcast_to(np.asarray(atr, float), len(bars)).copy(),
        window=np.zeros(len(bars), int) if window is None else np.asarray(window),
    )


def random_settings(rng: np.random.Generator) -> Backtest:
    """Default, tight or arbitrary brackets; both slippage units (zero included), both sizes, all fees or none.

    Slippage is such that a level lies either exactly on the grid of `random_market` or clearly off it.
    """
    bracket = [
        {},
        {"threshold": 0.51, "stop_atr": 0.5, "target_atr": 0.5},
        {"threshold": 0.5, "stop_atr": 1.0, "target_atr": 1.0, "max_hold": int(rng.integers(1, 6))},
        {"stop_atr": rng.uniform(0.2, 3), "target_atr": rng.uniform(0.2, 3), "max_hold": int(rng.integers(1, 30))},
    ][rng.integers(4)]
    slippage = [
        {"slippage_bps": 0.0},
        {"slippage_bps": float(rng.choice([1.0, 7.0]))},
        {"slippage_ticks": float(rng.integers(0, 3)), "tick": 0.5},
    ][rng.integers(3)]
    size = [{}, {"contract": 0.25}][rng.integers(2)]
    fees = [{}, {"taker_bps": 0.0, "maker_bps": 0.0}, {"taker_bps": 1.8, "maker_bps": 1.8}][rng.integers(3)]
    return backtest(**bracket | slippage | size | fees)


def random_market(rng: np.random.Generator, missing: bool | None = None, gaps: bool | None = None) -> PredictedBars:
    """20 to 60 bars whose prices and ATRs lie on a grid of 0.5 half of the time, so that levels and prices meet.

    Opens jump in half of the markets and bars are missing in half of them, unless told; p and ATR have NaN, p sometimes
    lies on a threshold, ATR is sometimes 0 or infinite.
    """
    n = int(rng.integers(20, 61))
    missing = rng.random() < 0.5 if missing is None else missing
    gaps = rng.random() < 0.5 if gaps is None else gaps
    jump = np.where(rng.random(n) < 0.3 * gaps, rng.integers(-6, 7, n), 0) * 0.5
    move = rng.integers(-3, 4, n) * 0.5
    above, below = rng.integers(0, 4, (2, n)) * 0.5
    atr = rng.integers(0, 5, n) * 0.5
    if rng.random() < 0.5:
        move, above, below = (x * rng.uniform(0.5, 1.5, n) for x in (move, above, below))
        atr = atr * rng.uniform(0.5, 1.5, n)
    path = 200.0 + np.cumsum(jump + move)
    open_ = path - move
    ohlc = np.stack([open_, np.maximum(open_, path) + above, np.minimum(open_, path) - below, path], axis=1)
    atr[rng.random(n) < 0.08] = np.nan
    atr[rng.random(n) < 0.02] = np.inf
    p = rng.random(n)
    edge = rng.random(n) < 0.2
    p[edge] = rng.choice([0.5, 0.51, 0.54, 1 - 0.51, 1 - 0.54, 0.0, 1.0], edge.sum())
    p[rng.random(n) < 0.1] = np.nan
    step = np.where(rng.random(n) < 0.1 * missing, rng.integers(2, 26, n), 1)
    return predicted_bars(ohlc, p, atr, numbers=np.cumsum(step), window=np.arange(n) // 10)


def noise(seed: int, days: int, p_sd: float = 0.06) -> PredictedBars:
    """A random walk of 5-minute bars (0.15 % a bar) and a p that knows nothing of it."""
    rng = np.random.default_rng(seed)
    n, steps = days * 288, 6
    path = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.0015 / steps**0.5, n * steps))).reshape(n, steps)
    open_ = np.concatenate([[60_000.0], path[:-1, -1]])
    high, low = np.maximum(path.max(axis=1), open_), np.minimum(path.min(axis=1), open_)
    p = 0.5 + p_sd * rng.standard_normal(n)
    return predicted_bars(np.stack([open_, high, low, path[:, -1]], axis=1), p=p, atr=open_ * 0.002)
