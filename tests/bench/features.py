"""Features against TA-Lib and the memory they fill."""

from collections.abc import Iterator

import numpy as np
import talib
from hydra import compose, initialize_config_dir

from botscalp import indicators
from botscalp.config import CONF, plain
from botscalp.options import build
from tests.bench.timing import Line, cpu_s, ns


def lines() -> Iterator[Line]:
    """Three simulated years of 5-minute bars."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = plain(compose("train", overrides=["data.start='2021-01-01'", "data.end='2024-01-01'"]))
    data, features = (build(values[group], group) for group in ("data", "features"))
    (bars,) = data.load()
    n = len(bars)
    close, high, low = bars.close, bars.high, bars.low
    for name, ours, theirs in (
        ("rsi 14", lambda: indicators.rsi(close, 14), lambda: talib.RSI(close, 14)),
        ("ema 12", lambda: indicators.ema(close, 12), lambda: talib.EMA(close, 12)),
        ("atr 14", lambda: indicators.atr(bars, 14), lambda: talib.ATR(high, low, close, 14)),
        ("bollinger 20", lambda: indicators.bollinger(close, 20), lambda: talib.BBANDS(close, 20)),
        ("macd 12 26 9", lambda: indicators.macd(close, 12, 26, 9), lambda: talib.MACD(close, 12, 26, 9)),
    ):
        mine, other = cpu_s(ours, theirs)
        yield Line(claim=f"{name}: TA-Lib", ours=ns(mine, n), other=ns(other, n), ratio=other / mine)
    count = len(features.columns)
    compute, empty = cpu_s(lambda: features.compute(bars), lambda: np.zeros((n, count), np.float32).fill(1))
    yield Line(
        claim=f"all {count} features: writing their memory",
        ours=ns(compute, n),
        other=ns(empty, n),
        ratio=compute / empty,
    )
