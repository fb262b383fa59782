"""Many configs over the same bars: time against a naive loop and against the searches of peers, and memory."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from botscalp.backtest import Backtest, PredictedBars, sweep
from tests.bench.cases import LARGE, SMALL, THOUSAND, grid, market_of, rules
from tests.bench.environment import fresh, version_of
from tests.bench.naive import naive_call, single_runs_nb, state_machine_nb
from tests.bench.timing import Call, Inside, Line, cpu_s, ms, wall_s

COUNT = 1_000
CHUNK = 100
"""columns that vectorbt gets at a time: 1,000 would take it 3.5 GB at 26,000 bars and 43 GB at 315,000"""
SEARCHED = grid(4, 3)


def lines() -> Iterator[Line]:
    """1,000 configs at two lengths, then the search of backtesting.py."""
    for n in (SMALL, LARGE):
        market, settings = market_of(n), rules()
        call = partial(sweep, [market], settings, THOUSAND)
        table = call()
        yield from against_naive(market, settings, call, table)
        if n == LARGE:
            yield late(market, settings)
        if version_of("vectorbt"):
            yield from against_vectorbt(market, settings, call, table)
    if version_of("backtesting"):
        yield against_optimize()


def against_naive(market: PredictedBars, settings: Backtest, call: Call, table: Any) -> Iterator[Line]:
    """Against parallel loops over configs that share nothing."""
    n = len(market.bars)
    (wall,) = wall_s(call, runs=5)
    loops = [naive_call(loop, market, settings, table) for loop in (state_machine_nb, single_runs_nb)]
    cpu, states, runs = cpu_s(call, *loops, runs=3)
    yield Line(
        claim=f"{COUNT:,} configs x {n:,} bars, {table.trades.sum():,} trades: seconds",
        ours=f"{ms(wall)} ({ms(cpu)} CPU), {COUNT * n / wall / 1e6:,.0f}M config-bars/s",
        ratio=wall,
        gate=1.0 if n == LARGE else None,
        at_most=True,
    )
    yield Line(
        claim="the same: a parallel loop of state machines, CPU",
        ours=ms(cpu),
        other=ms(states),
        ratio=states / cpu,
        gate=2,
    )
    yield Line(
        claim="the same: a parallel loop over the kernel of one run, CPU",
        ours=ms(cpu),
        other=ms(runs),
        ratio=runs / cpu,
    )


def late(market: PredictedBars, settings: Backtest) -> Line:
    """The same grid with orders a bar late: settings that only an account knows, so each config is run on its own."""
    (wall,) = wall_s(partial(sweep, [market], replace(settings, latency_bars=1), THOUSAND), runs=2, turns=1)
    return Line(
        claim=f"{COUNT:,} configs x {len(market.bars):,} bars, each order a bar late: seconds",
        ours=ms(wall),
        ratio=wall,
    )


def against_vectorbt(market: PredictedBars, settings: Backtest, call: Call, table: Any) -> Iterator[Line]:
    """Against its columns; where all of them would take minutes, against two chunks drawn from the grid."""
    small = len(market.bars) == SMALL
    configs = table[list(THOUSAND)]
    if not small:
        configs = configs.sample(2 * CHUNK, random_state=0)
    ours, theirs, kernel = by_chunks(market, settings, call, configs)
    scale = COUNT / len(configs)
    amount = "all of them" if small else f"{len(configs)} of them, drawn, times {scale:g}"
    for name, seconds, gate in (("", theirs, 200), (", its kernel alone", kernel, 40 if small else None)):
        yield Line(
            claim=f"the same: vectorbt rust, {amount}, by {CHUNK} columns{name}",
            ours=ms(ours),
            other=ms(seconds * scale),
            ratio=seconds * scale / ours,
            gate=gate,
        )


def by_chunks(market: PredictedBars, settings: Backtest, call: Call, configs: Any) -> tuple[float, float, float]:
    """Least seconds of our call between the chunks; summed over these, the seconds of vectorbt and of its kernel."""
    import vectorbt.portfolio.base as base

    from tests.bench.vectorbt_peer import vectorbt_plain, vectorbt_report

    def theirs(market: PredictedBars, chunk: Any) -> object:
        columns = {name: chunk[name].to_numpy() for name in chunk}
        return vectorbt_report(vectorbt_plain(market, settings, "rust", **columns))

    theirs(market_of(COUNT), configs[:2])  # compiles
    our_seconds, their_seconds, kernel_seconds = [], 0.0, 0.0
    for first in range(0, len(configs), CHUNK):
        with Inside(base.dispatch, "simulate_from_signals") as kernel:
            chunk = configs[first : first + CHUNK]
            their_seconds += sum(
                wall_s(partial(theirs, market, chunk), runs=1, turns=2 if len(configs) == COUNT else 1)
            )
        kernel_seconds += kernel.least_s
        our_seconds += wall_s(call, runs=1)  # collects garbage before: vectorbt's portfolio holds itself in cycles
    return min(our_seconds), their_seconds, kernel_seconds


def against_optimize() -> Line:
    """A config of our 1,000 against one of the few that `optimize` of backtesting.py searches in its processes."""
    from tests.oracles.backtesting_oracle import askable, engine_of, parameters

    settings = rules(contract=1.0, slippage_bps=0.0, capital=1e9)
    nearest = {name: float(min(SEARCHED[name])) for name in ("stop_atr", "target_atr")}
    market = askable(rules(**nearest), market_of(SMALL))
    engine, searched = engine_of(settings, market), sweep([market], settings, SEARCHED)
    values = parameters(settings) | {name: levels.tolist() for name, levels in SEARCHED.items()}

    def theirs() -> None:
        _, counts = engine.optimize(**values, maximize="# Trades", return_heatmap=True)
        closed = searched.trades - searched.ends
        assert np.array_equal(counts.to_numpy(), closed), "not the same trades"

    ours, all_theirs = wall_s(partial(sweep, [market], settings, THOUSAND), theirs, runs=2, turns=1)
    each, their_each = ours / COUNT, all_theirs / len(searched)
    return Line(
        claim=f"a config of {COUNT:,}, {SMALL:,} bars: one of {len(searched)} in backtesting.py optimize(), "
        f"{os.cpu_count()} processes",
        ours=ms(each),
        other=ms(their_each),
        ratio=their_each / each,
        gate=1_000,
    )


def memory() -> Iterator[Line]:
    """The high-water mark of a fresh process during the sweep, above what it held before (Linux)."""
    script = """
from pathlib import Path
from botscalp.backtest import sweep
from tests.bench.cases import *
market, settings = market_of(LARGE), rules()
sweep([market], settings, {"threshold": [0.6, 0.7]})
held = lambda name: int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # forget the high-water mark of making the market
before = held("VmRSS")
sweep([market], settings, THOUSAND)
print(held("VmHWM") - before)
"""
    used = float(fresh("-c", script))
    yield Line(
        claim=f"memory of {COUNT:,} configs x {LARGE:,} bars, MB above base",
        ours=f"{used:.0f} MB",
        ratio=used,
        gate=50,
        at_most=True,
    )
