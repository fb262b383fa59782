"""`make bench`: what the kernel, the features and the training cost on this machine.

Times are the least process CPU time of several runs, taken in turn with what they are compared to: absolute figures
of a shared machine mean little, ratios within one run mean something.
"""

import platform
import time
from collections.abc import Callable

import numpy as np
import talib
from hydra import compose, initialize_config_dir

from botscalp import indicators
from botscalp.backtest import PredictedBars
from botscalp.config import CONF, plain
from botscalp.options import build

RUNS = 7


def cpu_s(*contestants: Callable[[], object]) -> list[float]:
    """Least CPU seconds of each, in turns, after a first call that compiles."""
    least = [float("inf")] * len(contestants)
    for turn in range(RUNS + 1):
        for position, contestant in enumerate(contestants):
            started = time.process_time()
            contestant()
            if turn:
                least[position] = min(least[position], time.process_time() - started)
    return least


def main() -> None:
    """Print the table."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = plain(compose("train", overrides=["data.start='2021-01-01'", "data.end='2024-01-01'"]))
    data, features, backtest = (build(values[group], group) for group in ("data", "features", "backtest"))
    (bars,) = data.load()
    n = len(bars)
    print(f"{platform.machine()}, Python {platform.python_version()}, {n:,} bars\n")
    print(f"{'':<44}{'ns/bar':>9}  ratio")

    p = 0.5 + 0.03 * np.random.default_rng(0).standard_normal(n)
    market = [PredictedBars(bars=bars, p=p, atr=indicators.atr(bars, 14), window=np.zeros(n, np.int64))]
    columns = [bars.open, bars.high, bars.low, bars.close, p, market[0].atr]
    copies = [np.empty(n) for _ in columns]

    def copy() -> None:
        for source, target in zip(columns, copies, strict=True):
            np.copyto(target, source)

    run, floor = cpu_s(lambda: backtest.run(market), copy)
    row("backtest, trades and equity", run / n, f"{run / floor:.2f} x copying its six columns ({floor / n * 1e9:.2f})")

    close, high, low = bars.close, bars.high, bars.low
    for name, ours, theirs in (
        ("rsi 14", lambda: indicators.rsi(close, 14), lambda: talib.RSI(close, 14)),
        ("ema 12", lambda: indicators.ema(close, 12), lambda: talib.EMA(close, 12)),
        ("atr 14", lambda: indicators.atr(bars, 14), lambda: talib.ATR(high, low, close, 14)),
        ("bollinger 20", lambda: indicators.bollinger(close, 20), lambda: talib.BBANDS(close, 20)),
        ("macd 12 26 9", lambda: indicators.macd(close, 12, 26, 9), lambda: talib.MACD(close, 12, 26, 9)),
    ):
        mine, other = cpu_s(ours, theirs)
        row(name, mine / n, f"{mine / other:.2f} x TA-Lib")
    compute, empty = cpu_s(
        lambda: features.compute(bars), lambda: np.zeros((n, len(features.columns)), np.float32).fill(1)
    )
    row(f"all {len(features.columns)} features", compute / n, f"{compute / empty:.1f} x writing their memory")
    train(values)


def train(values: dict[str, dict[str, object]]) -> None:
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
    print(f"{'gru 64, 20 lags, 21 features, one epoch':<44}{report.samples / report.seconds:>9,.0f}  samples/s, wall")


def row(name: str, seconds_a_bar: float, ratio: str) -> None:
    """One line of the table."""
    print(f"{name:<44}{seconds_a_bar * 1e9:>9.2f}  {ratio}")


if __name__ == "__main__":
    main()
