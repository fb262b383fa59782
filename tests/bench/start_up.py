"""Whole processes: from their start to the figures of a first backtest, and the commands that only tell."""

import resource
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.backtest.backtest_cases import backtest
from tests.bench.cases import ENGINES
from tests.bench.environment import fresh, version_of
from tests.bench.timing import Line, ms, wall_s

START = """
import numpy as np
from botscalp.backtest import Backtest, PredictedBars, summarize, sweep
from botscalp.types import Bars
n = 26_000
close = 60_000 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.0015, n)))
open_ = np.concatenate([[60_000.0], close[:-1]])
atr, p = close * 0.002, np.random.default_rng(1).normal(0.5, 0.08, n)
high, low = np.maximum(open_, close) * 1.0003, np.minimum(open_, close) * 0.9997
"""
OURS = f"""
rules = Backtest(**{asdict(backtest(threshold=0.6))})
bars = Bars(symbol="X", interval_ns=300_000_000_000, open_time_ns=np.arange(n) * 300_000_000_000, open=open_, high=high,
    low=low, close=close, volume=close)
market = [PredictedBars(bars=bars, p=p, atr=atr, window=np.zeros(n, int))]
result = rules.run(market)
summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
import sys
assert not {{"torch", "mlflow"}} & set(sys.modules)
"""
SWEPT = """
sweep(market, rules, {"threshold": [0.6, 0.7]})
"""
FEATURES = """
from hydra import compose, initialize_config_dir
from botscalp.config import CONF, plain
from botscalp.options import build
with initialize_config_dir(str(CONF), version_base="1.3"):
    build(plain(compose("train"))["features"], "features").compute(__import__("dataclasses").replace(
        bars, taker_buy_volume=close / 2, quote_volume=close, trades=close))
"""
THEIRS = """
from tests.bench.vectorbt_peer import *
import types
market = types.SimpleNamespace(bars=types.SimpleNamespace(open=open_, high=high, low=low, close=close), p=p, atr=atr)
rules = types.SimpleNamespace(taker_bps=5.0, slippage_bps=1.0, threshold=0.6, stop_atr=1.5, target_atr=2.5,
    capital=1e4)
vectorbt_report(vectorbt_plain(market, rules, "{engine}"))
"""


BARE = """
import hydra
from omegaconf import DictConfig
@hydra.main(config_path={conf!r}, config_name="{name}", version_base="1.3")
def main(cfg: DictConfig) -> None: ...
main()
"""


def commands() -> Iterator[Line]:
    """`--help` and `--cfg job` of train, beside a Hydra application of one group that does nothing."""
    with tempfile.TemporaryDirectory() as conf:
        (Path(conf) / "bare.yaml").write_text("x: 1\nhydra: {output_subdir: null, run: {dir: .}}\n")
        script = Path(conf) / "bare.py"
        script.write_text(BARE.format(conf=conf, name="bare"))
        for words in (("--help",), ("--cfg", "job")):
            bare, ours = (
                min(_children_cpu_s(*arguments, *words) for _ in range(5))
                for arguments in ((str(script),), ("-m", "botscalp.train"))
            )
            yield Line(
                claim=f"`train {' '.join(words)}`, CPU seconds beyond those of a bare Hydra application",
                ours=ms(ours),
                other=ms(bare),
                ratio=ours - bare,
                gate=0.7,
                at_most=True,
            )


def _children_cpu_s(*arguments: str) -> float:
    """CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fresh(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_up() -> Iterator[Line]:
    """Caches warm, in turn with vectorbt; then cold."""
    engines = ENGINES if version_of("vectorbt") else ()
    scripts = [START + OURS, *(START + THEIRS.format(engine=engine) for engine in engines)]
    for script in scripts:
        fresh("-c", script)  # fills its caches
    warm, *others = wall_s(*(partial(fresh, "-c", script) for script in scripts), runs=3, turns=1)
    yield Line(
        claim="a process to its first backtest, compiled before: seconds",
        ours=ms(warm),
        ratio=warm,
        gate=0.7,
        at_most=True,
    )
    for engine, theirs, gate in zip(engines, others, (7, 3), strict=False):
        yield Line(
            claim=f"the same: vectorbt {engine}", ours=ms(warm), other=ms(theirs), ratio=theirs / warm, gate=gate
        )
    for name, script, gate in (
        ("one run", START + OURS, 2.5),
        ("run, sweep and features", START + OURS + SWEPT + FEATURES, 12),
    ):
        with tempfile.TemporaryDirectory() as empty:
            (cold,) = wall_s(partial(fresh, "-c", script, NUMBA_CACHE_DIR=empty), runs=1, turns=1)
        yield Line(
            claim=f"nothing compiled before, {name}: seconds", ours=ms(cold), ratio=cold, gate=gate, at_most=True
        )
