"""Accounts drawn at random to be nasty: one to three symbols, every realism setting on or off."""

from dataclasses import replace
from typing import Any

import numpy as np
from backtest_cases import backtest, random_market

from botscalp.backtest import Backtest, Bracket, Funding, PredictedBars
from botscalp.types import Bars

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FINER = 5
"""finer bars in a bar"""


def random_rules(rng: np.random.Generator) -> Backtest:
    """Each setting that an account adds is on in a third to a half of the cases."""

    def sometimes(name: str, *values: Any, share: float = 0.4) -> dict[str, Any]:
        return {name: values[rng.integers(len(values))]} if rng.random() < share else {}

    bracket = [
        {"threshold": 0.51},
        {"threshold": 0.5, "stop_atr": 0.5, "target_atr": 0.5},
        {"threshold": 0.55, "stop_atr": 1.0, "target_atr": 1.0, "max_hold": int(rng.integers(1, 8))},
    ][rng.integers(3)]
    size: dict[str, Any] = [
        {},
        {"contract": 0.37},
        {"equity_fraction": 0.4},
        {"volatility_target": 0.003},
        {"kelly_fraction": 0.9, "max_exposure": 0.5},
    ][rng.integers(5)]
    prices: dict[str, Any] = [
        {},
        {"slippage_ticks": 1.0, "tick": 0.25, "round_prices": bool(rng.random() < 0.7)},
        {"slippage_bps": 3.0, "tick": 0.1, "round_prices": True},
    ][rng.integers(3)]
    if prices:
        prices |= sometimes("through_ticks", 1.0, 3.0)
    return backtest(
        **bracket,
        **size,
        **prices,
        **sometimes("spread_bps", 2.0, 30.0),
        **sometimes("latency_bars", 1, 2, 5),
        **sometimes("step", 0.01, 0.7),
        **sometimes("min_notional", 300.0, 900.0),
        **({} if "max_exposure" in size else sometimes("max_exposure", 0.05, 0.12, 1.0)),
        **sometimes("cooldown_bars", 1, 3, 10),
        **sometimes("daily_loss_stop", 0.0005, 0.002),
        capital=3_000.0,
    )


def random_account(rng: np.random.Generator) -> list[PredictedBars]:
    """One to three symbols whose bars begin apart, with funding and finer bars or without, round a midnight."""
    market = []
    for symbol in SYMBOLS[: rng.integers(1, 4)]:
        predicted = random_market(rng)
        before_midnight = int(rng.integers(0, 40))
        open_time_ns = predicted.bars.open_time_ns - before_midnight * predicted.bars.interval_ns
        bars = replace(predicted.bars, symbol=symbol, open_time_ns=open_time_ns)
        window = np.minimum((bars.number - bars.number[0]) // 17, 2)
        finer = _finer(rng, bars) if rng.random() < 0.5 else None
        funding = _funding(rng, bars) if rng.random() < 0.5 else None
        market.append(replace(predicted, bars=bars, window=window, finer=finer, funding=funding))
    return market


def random_brackets(rng: np.random.Generator, rules: Backtest) -> list[Bracket] | None:
    """Of three windows, in half of the cases."""
    if rng.random() < 0.5:
        return None
    return [
        Bracket(
            threshold=float(rng.choice([0.5, 0.55, 0.7])),
            stop_atr=rules.stop_atr * float(rng.choice([0.5, 1.0])),
            target_atr=rules.target_atr * float(rng.choice([0.5, 1.0])),
            max_hold=int(rng.integers(1, 12)),
        )
        for _ in range(3)
    ]


def _finer(rng: np.random.Generator, bars: Bars) -> Bars:
    """FINER bars in each bar, within its range, a few of them missing."""
    step_ns = bars.interval_ns // FINER
    times_ns = (bars.open_time_ns[:, None] + step_ns * np.arange(FINER)).ravel()
    low, high = np.repeat(bars.low, FINER), np.repeat(bars.high, FINER)
    a, b = np.sort(np.round(rng.random((2, len(times_ns))) * 4) / 4, axis=0)
    low, high = low + a * (high - low), low + b * (high - low)
    keep = rng.random(len(times_ns)) < 0.9
    columns = {"open": low, "high": high, "low": low, "close": high, "volume": np.ones(len(low))}
    kept: dict[str, Any] = {name: values[keep] for name, values in columns.items()}
    return Bars(symbol=bars.symbol, interval_ns=step_ns, open_time_ns=times_ns[keep], **kept)


def _funding(rng: np.random.Generator, bars: Bars) -> Funding:
    """Every eight bars, from before the first to after the last."""
    number = np.arange(bars.number[0] - 3, bars.number[-1] + 9, 8)
    return Funding(number * bars.interval_ns, np.round(rng.normal(0, 0.01, len(number)), 4))
