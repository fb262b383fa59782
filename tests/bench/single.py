"""One run: against the floor of the machine, from small to large, and against vectorbt."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from botscalp.backtest import kernel as our_kernel
from tests.bench.cases import ENGINES, LARGE, SMALL, market_of, rules, user_call
from tests.bench.timing import Inside, Line, cpu_s, ms, ns
from tests.bench.vectorbt_peer import vectorbt_identical, vectorbt_plain, vectorbt_report
from tests.oracles.vectorbt_oracle import rows_of


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
        with Inside(our_kernel, "run_nb") as kernel:
            run, call, least, copied = cpu_s(
                partial(settings.run, [market]), partial(user_call, settings, market), floor, copy, runs=runs
            )
        inside = kernel.least_s
        trades = len(settings.run([market]).records)
        yield Line(
            claim=f"one run, {n:,} bars, {trades:,} trades, kernel: reading six columns, writing equity",
            ours=f"{ns(inside, n)}, {n / inside / 1e6:,.0f}M bars/s",
            other=ns(least, n),
            ratio=inside / least,
            gate=2.5 if n == LARGE else None,
            at_most=True,
        )
        yield Line(
            claim="the same: copying the six columns", ours=ns(inside, n), other=ns(copied, n), ratio=inside / copied
        )
        yield Line(claim="the same, a run with its result", ours=f"{ns(run, n)}, {ms(run)}")
        yield Line(claim="the same, with all figures", ours=f"{ns(call, n)}, {ms(call)}")


def against_vectorbt() -> Iterator[Line]:
    """Identical trades inside the kernels, and what a user calls."""
    for engine, gate in zip(ENGINES, (35, 9), strict=True):
        yield from identical(engine, gate)
    for n, gates in ((SMALL, (60, 50)), (LARGE, (30, 20))):
        for engine, gate in zip(ENGINES, gates, strict=True):
            yield called(n, engine, gate)


def identical(engine: str, gate: float) -> Iterator[Line]:
    """Trade for trade, where nothing leaves by time and slippage is 0."""
    import vectorbt.portfolio.base as base

    n, settings = LARGE, rules(slippage_bps=0.0, max_hold=LARGE)
    market = market_of(n)
    rows, records = rows_of(settings, market), settings.run([market]).records
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


def called(n: int, engine: str, gate: float) -> Line:
    """What a user calls, with all figures."""
    market, settings = market_of(n), rules()
    ours, theirs = cpu_s(
        partial(user_call, settings, market),
        lambda: vectorbt_report(vectorbt_plain(market, settings, engine)),
        runs=5,
    )
    return Line(
        claim=f"run and figures, {n:,} bars: vectorbt {engine}",
        ours=ms(ours),
        other=ms(theirs),
        ratio=theirs / ours,
        gate=gate,
    )
