"""Features against TA-Lib and the memory they fill."""

from collections.abc import Iterator

import numpy as np
import talib
from hydra import compose, initialize_config_dir

from botscalp.config import CONF, plain
from botscalp.data.bars import digest
from botscalp.indicators import atr
from botscalp.options import build
from botscalp.types import Bars, Float32, Float64
from tests.bench.timing import Line, cpu_s, ns


def lines() -> Iterator[Line]:
    """Three simulated years of 5-minute bars."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = plain(compose("train", overrides=["data.start='2021-01-01'", "data.end='2024-01-01'"]))
    data, features = (build(values[group], group) for group in ("data", "features"))
    (bars,) = data.load()
    n = len(bars)
    mine, other = cpu_s(lambda: atr(bars, 14), lambda: talib.ATR(bars.high, bars.low, bars.close, 14))
    yield Line(claim="atr 14: TA-Lib", ours=ns(mine, n), other=ns(other, n), ratio=other / mine)
    count = len(features.columns)
    ours, calls, rows, writing, digesting = cpu_s(
        lambda: features.compute(bars),
        lambda: talib_calls(bars),
        lambda: talib_rows(bars),
        lambda: np.empty((n, count), np.float32).fill(1),
        lambda: digest(bars),
    )
    columns = f"all {count} features"
    yield Line(
        claim=f"{columns}: TA-Lib's calls alone", ours=ns(ours, n), other=ns(calls, n), ratio=calls / ours, gate=1.5
    )
    yield Line(
        claim=f"{columns}: TA-Lib and numpy, in float32 rows",
        ours=ns(ours, n),
        other=ns(rows, n),
        ratio=rows / ours,
        gate=2,
    )
    yield Line(claim=f"{columns}: writing their memory", ours=ns(ours, n), other=ns(writing, n), ratio=ours / writing)
    yield Line(
        claim=f"{columns}: the bars' digest, which a cache needs",
        ours=ns(ours, n),
        other=ns(digesting, n),
        ratio=digesting / ours,
    )


def talib_calls(bars: Bars) -> dict[str, Float64]:
    """What TA-Lib computes of the columns of features=technical, without logarithms, ratios and rows."""
    close, high, low, volume = bars.close, bars.high, bars.low, bars.volume
    assert bars.taker_buy_volume is not None
    flow, value = 2 * bars.taker_buy_volume - volume, (high + low + close) / 3 * volume
    x = {f"return_{span}": talib.ROCR(close, span) for span in (1, 3, 12)}
    x |= {f"rsi_{span}": talib.RSI(close, span) for span in (6, 14)}
    x |= {f"ema_{span}": talib.EMA(close, span) for span in (12, 48)}
    x["macd"], _, x["histogram"] = talib.MACD(close, 12, 26, 9)
    x["atr"] = talib.ATR(high, low, close, 14)
    x["upper"], x["middle"], _ = talib.BBANDS(close, 20)
    x |= {f"volume_{span}": talib.SUM(volume, span) for span in (6, 12, 24, 96, 288)}
    x |= {f"value_{span}": talib.SUM(value, span) for span in (12, 96)}
    x |= {f"flow_{span}": talib.SUM(flow, span) for span in (6, 24)}
    squares = (x["return_1"] - 1) ** 2
    return x | {f"square_{span}": talib.SUM(squares, span) for span in (12, 288)} | {"flow_1": flow}


def talib_rows(bars: Bars) -> Float32:
    """The columns of features=technical as one would write them with TA-Lib and numpy."""
    close, volume, x = bars.close, bars.volume, talib_calls(bars)
    unit, sd = x["atr"], (x["upper"] - x["middle"]) / 2
    columns = [
        *(np.log(x[f"return_{span}"]) for span in (1, 3, 12)),
        *(x[f"rsi_{span}"] / 50 - 1 for span in (6, 14)),
        *((close - x[f"ema_{span}"]) / unit for span in (12, 48)),
        x["macd"] / unit,
        x["histogram"] / unit,
        unit / close,
        (close - x["middle"]) / sd,
        sd / x["middle"],
        *((close - x[f"value_{span}"] / x[f"volume_{span}"]) / unit for span in (12, 96)),
        *(volume / (volume + x[f"volume_{span}"] / span) for span in (24, 288)),
        *(np.sqrt(x[f"square_{span}"] / span) for span in (12, 288)),
        x["flow_1"] / volume,
        *(x[f"flow_{span}"] / x[f"volume_{span}"] for span in (6, 24)),
    ]
    x_TF = np.empty((len(bars), len(columns)), np.float32)
    for f, column in enumerate(columns):
        x_TF[:, f] = column
    return x_TF
