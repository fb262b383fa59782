"""Features against TA-Lib and the memory they fill, and training through Lightning."""

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
    yield train(values)


def train(values: dict[str, dict[str, object]]) -> Line:
    """Samples a second through Lightning, on noise of the default shape."""
    import torch

    from botscalp.training.fit import fit_head

    model, trainer = build(values["model"], "model"), build({**values["trainer"], "epochs": 1}, "trainer")
    rng = np.random.default_rng(0)
    x_NF, label_N = rng.standard_normal((30_000, 21)).astype(np.float32), rng.integers(0, 2, 30_000).astype(np.float32)
    torch.manual_seed(0)
    report = fit_head(
        model.head(n_features=21, lags=20),
        x_NF=x_NF,
        label_N=label_N,
        train_rows=np.arange(20, 25_000),
        stopping_rows=np.arange(25_000, 29_000),
        lags=20,
        settings=trainer,
        device=trainer.resolved_device(),
        seed=0,
    )
    speed = f"{report.samples / report.seconds:,.0f} samples/s"
    return Line(claim="gru 64, 20 lags, 21 features, one epoch, wall", ours=speed)
