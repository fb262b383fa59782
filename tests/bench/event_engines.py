"""One run against engines that call a strategy at every bar."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from botscalp.backtest import Backtest, PredictedBars
from botscalp.backtest.records import END
from botscalp.backtest.settings import BPS
from tests.bench.cases import LARGE, SMALL, market_of, rules, user_call
from tests.bench.environment import NAUTILUS, fresh
from tests.bench.timing import Line, cpu_s, ms


def against_backtesting_py() -> Iterator[Line]:
    """Its `run()`, which includes its figures."""
    from tests.oracles.backtesting_oracle import askable, engine_of, parameters

    for n, runs in ((SMALL, 3), (LARGE, 2)):
        settings = rules(contract=1.0, slippage_bps=0.0, capital=1e9)
        market = askable(settings, market_of(n))
        engine = engine_of(settings, market)
        ours, theirs = cpu_s(
            partial(user_call, settings, market), partial(engine.run, **parameters(settings)), runs=runs
        )
        yield _line(f"run and figures, {n:,} bars: backtesting.py", ours, theirs, 500)


def against_backtrader() -> Iterator[Line]:
    """Its `run()` with analyzers; its trades stand on the same bars as ours."""
    from tests.bench.backtrader_peer import backtrader_call

    market, settings = market_of(SMALL), rules()
    records = settings.run([market]).records
    closed = records[records["reason"] != END]  # it leaves a position open at the end
    mine = list(zip(closed["entry"].tolist(), closed["exit"].tolist(), strict=True))

    def played() -> None:
        assert backtrader_call(settings, market) == mine, "not the same trades"

    ours, theirs = cpu_s(partial(user_call, settings, market), played, runs=2)
    yield _line(f"run and figures, {SMALL:,} bars, the same {len(mine):,} trades: backtrader", ours, theirs, 10_000)


def against_nautilus() -> Iterator[Line]:
    """Its `engine.run()`, timed by a process in its own environment; ours takes its turns between these."""
    market, settings = market_of(SMALL), rules()
    count = len(settings.run([market]).records)
    ours = theirs = float("inf")
    for _ in range(2):
        (our_s,) = cpu_s(partial(user_call, settings, market), runs=3)
        their_s, their_count = nautilus(settings, market)
        assert abs(their_count - count) < count / 10, f"{their_count} trades for our {count}"
        ours, theirs = min(ours, our_s), min(theirs, their_s)
    claim = f"run and figures, {SMALL:,} bars, {their_count:,} trades for our {count:,}: nautilus-trader"
    yield _line(claim, ours, theirs, 10_000)


def nautilus(settings: Backtest, market: PredictedBars) -> tuple[float, int]:
    """CPU seconds and count of trades of a run of it."""
    bars = market.bars
    names = ("open", "high", "low", "close", "close_time_ns")
    scalars = ("threshold", "stop_atr", "target_atr", "max_hold", "contract", "capital")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "market.npz"
        np.savez(
            path,
            **{name: getattr(bars, name) for name in names},
            **{name: getattr(settings, name) for name in scalars},
            **{"p": market.p, "atr": market.atr, "fee": settings.taker_bps * BPS},
        )
        script = Path(__file__).with_name("nautilus_run.py")
        seconds, count = fresh(str(script), str(path), python=str(NAUTILUS / "bin" / "python")).split()
    return float(seconds), int(count)


def _line(claim: str, ours: float, theirs: float, gate: float) -> Line:
    return Line(claim=claim, ours=ms(ours), other=ms(theirs), ratio=theirs / ours, gate=gate)
