"""The backtest against the floor of the machine, against itself, and against its peers."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars, summarize, sweep
from botscalp.backtest import kernel as our_kernel
from botscalp.backtest.engine import BPS
from botscalp.types import Bars
from tests.bench.peers import installed, vectorbt_identical, vectorbt_plain, vectorbt_report
from tests.bench.timing import Inside, Line, cpu_s, ms, ns, wall_s
from tests.oracles.backtesting_oracle import askable
from tests.oracles.backtesting_oracle import played as backtesting_py
from tests.oracles.oracle_markets import gapped_walk
from tests.oracles.vectorbt_oracle import rows_of

SMALL, LARGE = 26_000, 315_000
ENGINES = ("numba", "rust")


def rules(**changed: Any) -> Backtest:
    """The costs of the default; a threshold that a fifth of the bars pass."""
    settings: dict[str, Any] = {
        **{"threshold": 0.6, "stop_atr": 1.5, "target_atr": 2.5, "max_hold": 20, "atr_span": 14},
        **{"taker_bps": 5.0, "maker_bps": 5.0, "slippage_bps": 1.0, "slippage_ticks": None, "tick": None},
        **{"notional": None, "contract": 0.001, "capital": 10_000.0},
    }
    return Backtest(**settings | changed)


def market_of(n: int) -> PredictedBars:
    """A gapped walk; more than a million bars repeat one, which makes a jump at each seam."""
    unit = gapped_walk(0, min(n, 1_000_000), p_sd=0.08)
    if n == len(unit.bars):
        return unit
    times = -(-n // len(unit.bars))
    columns: dict[str, Any] = {name: np.tile(column, times)[:n] for name, column in unit.bars.columns()}
    first_ns, step_ns = int(unit.bars.open_time_ns[0]), unit.bars.interval_ns
    columns["open_time_ns"] = first_ns + np.arange(n) * step_ns
    bars = Bars(symbol=unit.bars.symbol, interval_ns=step_ns, **columns)
    tiled = {name: np.tile(getattr(unit, name), times)[:n] for name in ("p", "atr", "window")}
    return PredictedBars(bars=bars, **tiled)


def user_call(settings: Backtest, market: PredictedBars) -> object:
    """A run and all its figures."""
    result = settings.run([market])
    return summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)


def grid(configs: int) -> dict[str, Any]:
    """Thresholds, stops and targets, as many of each."""
    side = round(configs ** (1 / 3))
    assert side**3 == configs
    distances = np.linspace(0.5, 3, side)
    return {"threshold": np.linspace(0.55, 0.7, side), "stop_atr": distances, "target_atr": distances}


def floor_and_growth() -> Iterator[Line]:
    """One run from 26 thousand to 10 million bars, against reading its columns and writing its equity."""
    for n in (SMALL, LARGE, 1_000_000, 10_000_000):
        market, settings = market_of(n), rules()
        bars = market.bars
        read = [bars.open, bars.high, bars.low, bars.close, market.p, market.atr]
        written = np.empty(n)
        copies = np.empty(n)

        def floor(read: Any = read, written: Any = written) -> None:
            for column in read:
                column.max()
            written.fill(1.0)

        def copy(read: Any = read, copies: Any = copies) -> None:
            for column in read:
                np.copyto(copies, column)

        runs = 3 if n > LARGE else 9
        run, call, least, copied = cpu_s(
            partial(settings.run, [market]), partial(user_call, settings, market), floor, copy, runs=runs
        )
        trades = len(settings.run([market]).records)
        yield Line(
            claim=f"one run, {n:,} bars, {trades:,} trades: reading six columns, writing equity",
            ours=f"{ns(run, n)}, {n / run / 1e6:,.0f}M bars/s",
            other=ns(least, n),
            ratio=run / least,
            gate=2.5 if n == LARGE else None,
            at_most=True,
        )
        yield Line(claim="the same: copying the six columns", ours=ns(run, n), other=ns(copied, n), ratio=run / copied)
        yield Line(claim="the same with all figures", ours=f"{ns(call, n)}, {ms(call)}")


def against_vectorbt() -> Iterator[Line]:
    """Identical trades inside the kernels, and what a user calls."""
    import vectorbt.portfolio.base as base

    n, settings = LARGE, rules(slippage_bps=0.0, max_hold=LARGE)
    market = market_of(n)
    rows, records = rows_of(settings, market), settings.run([market]).records
    for engine, gate in zip(ENGINES, (35, 9), strict=True):
        with Inside(base.dispatch, "simulate_from_signals") as kernel, Inside(our_kernel, "run_nb") as our:
            ours, whole = cpu_s(
                partial(settings.run, [market]), partial(vectorbt_identical, rows, settings, engine), runs=5
            )
        theirs = vectorbt_identical(rows, settings, engine).exit_trades.records
        assert np.array_equal(theirs["entry_idx"] // 2, records["entry"]), "not the same trades"
        assert np.array_equal(theirs["exit_idx"] // 2, records["exit"]), "not the same trades"
        assert abs(theirs["pnl"].sum() - records["pnl_quote"].sum()) < 1e-9
        yield Line(
            claim=f"identical {len(records):,} trades, {n:,} bars, kernel: vectorbt {engine}",
            ours=ns(our.least_s, n),
            other=ns(kernel.least_s, n),
            ratio=kernel.least_s / our.least_s,
            gate=gate,
        )
        yield Line(claim="the same, run and from_signals", ours=ns(ours, n), other=ns(whole, n), ratio=whole / ours)
    for n, gates in ((SMALL, (60, 50)), (LARGE, (30, 20))):
        market, settings = market_of(n), rules()
        for engine, gate in zip(ENGINES, gates, strict=True):
            ours, theirs = cpu_s(
                partial(user_call, settings, market),
                lambda engine=engine, market=market: vectorbt_report(vectorbt_plain(market, [0.6], rules(), engine)),
                runs=5,
            )
            yield Line(
                claim=f"run and figures, {n:,} bars: vectorbt {engine}",
                ours=ms(ours),
                other=ms(theirs),
                ratio=theirs / ours,
                gate=gate,
            )


def against_backtesting_py() -> Iterator[Line]:
    """Its `run()`, which includes its figures."""
    for n in (SMALL, LARGE):
        settings = rules(contract=1.0, slippage_bps=0.0, capital=1e9)
        market = askable(settings, market_of(n))
        (ours,) = cpu_s(partial(user_call, settings, market))
        (theirs,) = cpu_s(partial(backtesting_py, settings, market), runs=1)
        yield Line(
            claim=f"run and figures, {n:,} bars: backtesting.py",
            ours=ms(ours),
            other=ms(theirs),
            ratio=theirs / ours,
            gate=500,
        )
        if n == SMALL:
            (each,) = wall_s(partial(sweep, [market], settings, grid(1_000)), runs=3)
            yield Line(
                claim=f"a config of 1,000, {n:,} bars: backtesting.py run()",
                ours=ms(each / 1_000),
                other=ms(theirs),
                ratio=theirs / (each / 1_000),
                gate=1_000,
            )


def sweeps() -> Iterator[Line]:
    """1,000 configs against vectorbt's columns, and against a parallel loop over the single run's kernel."""
    for n, columns, gates in ((SMALL, 100, (200, 40)), (LARGE, 100, (200, None))):
        market, settings, count = market_of(n), rules(), 1_000
        table = sweep([market], settings, grid(count))
        call = partial(sweep, [market], settings, grid(count))
        (ours,), (cpu,) = wall_s(call, runs=5), cpu_s(call, runs=3)
        yield Line(
            claim=f"{count:,} configs x {n:,} bars, {table.trades.sum():,} trades: seconds",
            ours=f"{ms(ours)} ({ms(cpu)} CPU), {count * n / ours / 1e6:,.0f}M config-bars/s",
            ratio=ours,
            gate=1.0 if n == LARGE else None,
            at_most=True,
        )
        naive_cpu = naive_s(market, settings, table)
        yield Line(
            claim="the same: a parallel loop over the kernel of one run, CPU",
            ours=ms(cpu),
            other=ms(naive_cpu),
            ratio=naive_cpu / cpu,
            gate=2,
        )
        if not installed("vectorbt"):
            continue
        import vectorbt.portfolio.base as base

        thresholds = np.linspace(0.55, 0.7, columns)
        with Inside(base.dispatch, "simulate_from_signals") as kernel:
            (theirs,) = wall_s(
                lambda market=market, thresholds=thresholds: vectorbt_report(
                    vectorbt_plain(market, thresholds, rules(), "rust")
                ),
                runs=1,
                turns=1,
            )
        each, bare = theirs / columns, kernel.least_s / columns
        note = f"vectorbt rust, by {columns} columns"
        yield Line(
            claim=f"a config of them: {note}",
            ours=ms(ours / count),
            other=ms(each),
            ratio=each * count / ours,
            gate=gates[0],
        )
        yield Line(
            claim=f"a config of them: {note}, its kernel alone",
            ours=ms(ours / count),
            other=ms(bare),
            ratio=bare * count / ours,
            gate=gates[1],
        )


def naive_s(market: PredictedBars, settings: Backtest, table: Any) -> float:
    """CPU seconds of the same statistics, every config walking every bar; asserted equal to the sweep's."""
    from tests.bench.naive import naive_nb

    bars = market.bars
    out = np.empty((len(table), 4))
    configs = [table[name].to_numpy() for name in ("threshold", "stop_atr", "target_atr")]

    def call() -> None:
        naive_nb(
            *(bars.open_time_ns, bars.open, bars.high, bars.low, bars.close, market.p, market.atr),
            *(bars.interval_ns, *configs, settings.max_hold, (settings.slippage_bps or 0.0) * BPS),
            *(settings.taker_bps * BPS, settings.maker_bps * BPS, settings.contract or 0.0, settings.capital, out),
        )

    call()
    for column, name in enumerate(("trades", "net_pnl", "fees", "max_drawdown")):
        assert np.array_equal(out[:, column], table[name].to_numpy(float)), name
    return cpu_s(call, runs=2)[0]


def memory() -> Iterator[Line]:
    """The high-water mark of a fresh process during the sweep, above what it held before (Linux)."""
    script = """
from pathlib import Path
from tests.bench.backtests import *
market, settings = market_of(LARGE), rules()
sweep([market], settings, {"threshold": [0.6, 0.7]})
held = lambda name: int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # forget the high-water mark of making the market
before = held("VmRSS")
sweep([market], settings, grid(1_000))
print(held("VmHWM") - before)
"""
    used = float(fresh(script))
    yield Line(
        claim=f"memory of 1,000 configs x {LARGE:,} bars, MB above base",
        ours=f"{used:.0f} MB",
        ratio=used,
        gate=50,
        at_most=True,
    )


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
OURS = """
rules = Backtest(threshold=0.6, stop_atr=1.5, target_atr=2.5, max_hold=20, atr_span=14, taker_bps=5.0, maker_bps=2.0,
    slippage_bps=1.0, slippage_ticks=None, tick=None, notional=1000.0, contract=None, capital=1e4)
bars = Bars(symbol="X", interval_ns=300_000_000_000, open_time_ns=np.arange(n) * 300_000_000_000, open=open_, high=high,
    low=low, close=close, volume=close)
market = [PredictedBars(bars=bars, p=p, atr=atr, window=np.zeros(n, int))]
result = rules.run(market)
summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
import sys
assert not {"torch", "mlflow"} & set(sys.modules)
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
from tests.bench.peers import *
import types
market = types.SimpleNamespace(bars=types.SimpleNamespace(open=open_, high=high, low=low, close=close), p=p, atr=atr)
rules = types.SimpleNamespace(taker_bps=5.0, slippage_bps=1.0, stop_atr=1.5, target_atr=2.5, capital=1e4)
vectorbt_report(vectorbt_plain(market, [0.6], rules, "{engine}"))
"""


def start_up() -> Iterator[Line]:
    """A whole process, from its start to the figures of a first backtest; caches warm, then cold."""
    warm = least_wall(START + OURS)
    yield Line(
        claim="a process to its first backtest, compiled before: seconds",
        ours=ms(warm),
        ratio=warm,
        gate=0.7,
        at_most=True,
    )
    if installed("vectorbt"):
        for engine, gate in zip(ENGINES, (7, 3), strict=True):
            theirs = least_wall(START + THEIRS.format(engine=engine), runs=2)
            yield Line(
                claim=f"the same: vectorbt {engine}", ours=ms(warm), other=ms(theirs), ratio=theirs / warm, gate=gate
            )
    for name, script, gate in (
        ("one run", START + OURS, 2.5),
        ("run, sweep and features", START + OURS + SWEPT + FEATURES, 12),
    ):
        with tempfile.TemporaryDirectory() as empty:
            cold = wall_of(script, NUMBA_CACHE_DIR=empty)
        yield Line(
            claim=f"nothing compiled before, {name}: seconds", ours=ms(cold), ratio=cold, gate=gate, at_most=True
        )


def least_wall(script: str, runs: int = 3) -> float:
    """Least seconds of a process, after one that fills its caches."""
    wall_of(script)
    return min(wall_of(script) for _ in range(runs))


def wall_of(script: str, **environment: str) -> float:
    started = time.perf_counter()
    fresh(script, **environment)
    return time.perf_counter() - started


def fresh(script: str, **environment: str) -> str:
    """What a new process prints."""
    import os

    root = Path(__file__).resolve().parents[2]
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | environment,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout
