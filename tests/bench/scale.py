"""`make bench-scale`: three years of 1-second bars from the store to trades, a window at a time; docs/benchmarks-scale.md.

The simulator writes them into a store as `python -m botscalp.ingest` writes the exchange's, one Parquet file a month. Each window
reads what it needs, computes features and labels, trains on whole days drawn at random, predicts validation and test in full,
and hands its test bars to one backtest that runs over all windows.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.environment import ROOT

PAGE = ROOT / "docs" / "benchmarks-scale.md"
WORDS = (
    *("data.interval=1s", "data.volatility_bps=1", "data.edge=0.04", "data.start=2022-01-01"),
    *("trainer.days=3", "trainer.epochs=2", "trainer.device=cpu"),
)
"""of `train`: the defaults, but for these"""
INTRODUCTION = """# More bars than memory holds

Written by `make bench-scale`, which simulates the bars, keeps them in a temporary folder of some 2 GB a year, and takes a while:

```text
make bench-scale
```

Bars of one second go from the store through data, features, windows, training, prediction and backtest. Months of six train, one
validates, one tests; each window learns from 3 whole days drawn from its six months (`trainer.days=3`, a GRU of 64, 2 epochs at most)
and predicts every bar of validation and test; one backtest runs over all tests. Nothing of one window is kept for the next but an
open position. Statistics and verdict are not part of it: they want all predictions in memory (`python -m botscalp.train` does).
"""


class Gauge:
    """A stopwatch that also notes the most memory (RSS) that each stage came to; between stages, bars are traded."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_gb: dict[str, float] = {}
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.note("backtest")
        try:
            yield
        finally:
            self.note(name)

    def note(self, name: str) -> None:
        """Count what was since the last note as that stage, and let the peak begin anew."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self.peak_gb[name] = max(self.peak_gb.get(name, 0.0), peak_gb())
        Path("/proc/self/clear_refs").write_text("5")
        self._since = now


def peak_gb() -> float:
    """VmHWM of this process: mapped files count, as they do in `ru_maxrss`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e9


@dataclass(frozen=True)
class Measured:
    """What one run came to."""

    bars: int
    windows: int
    predicted: int
    trades: int
    net_quote: float
    samples: int
    seconds: dict[str, float]
    peak_gb: dict[str, float]
    window_s: list[float]
    """of each window, the backtest included"""


def measure(*words: str) -> Measured:
    """The whole way, of the bars that `train` would make with these words."""
    from hydra import compose, initialize_config_dir

    from botscalp.backtest import PredictedBars
    from botscalp.backtest.stretches import run_stretches
    from botscalp.config import CONF, GROUPS, experiment_of
    from botscalp.data.manifest import Series
    from botscalp.data.store import read_bars
    from botscalp.pipeline.streamed import stream_window
    from botscalp.pipeline.window import window_seed
    from botscalp.times import parse_interval, parse_time_ns
    from botscalp.windows import Window

    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[*WORDS, *words])
    experiment = experiment_of(cfg, names={group: "" for group in GROUPS}, overrides={})
    interval_ns = parse_interval(cfg.data.interval)
    series = Series(market="spot", symbol="BTCUSDT", interval=cfg.data.interval)
    gauge, window_s, fits = Gauge(), [], []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        with gauge.stage("simulate and store"):
            bars = fill(store, series, experiment.data)
        windows = experiment.wfo.between(
            *(parse_time_ns(cfg.data[end], key=end) for end in ("start", "end")),
            interval_ns=interval_ns,
            purge_ns=experiment.label.span_bars * interval_ns,
        )

        def tested(window: Window) -> PredictedBars:
            one = stream_window(
                lambda part: read_bars(store, series, start_ns=part.start_ns, end_ns=part.end_ns),
                window,
                interval_ns=interval_ns,
                features=experiment.features,
                label=experiment.label,
                model=experiment.model,
                trainer=experiment.trainer,
                calibration=experiment.calibration,
                atr_span=experiment.backtest.atr_span,
                device="cpu",
                seed=window_seed(0, ("BTCUSDT",), window),
                watch=gauge,
            )
            fits.append((one.fit.samples, len(one.fit.test.p), one.fit.fit_s, one.fit.predict_s))
            return one.test

        trades, net_quote = 0, 0.0
        gauge.note("planning")
        results = run_stretches(experiment.backtest, map(tested, windows))
        while True:
            started = time.perf_counter()
            result = next(results, None)
            if result is None:
                break
            trades, net_quote = trades + len(result.records), net_quote + float(result.records["pnl_quote"].sum())
            del result
            window_s.append(time.perf_counter() - started)
            if len(window_s) <= len(windows):  # the last result closes what was open at the end
                print(f"window {len(window_s)}/{len(windows)}: {window_s[-1]:.1f} s", file=sys.stderr, flush=True)
    gauge.note("backtest")
    samples, predicted, fit_s, predict_s = np.sum(fits, axis=0)
    gauge.seconds |= {"training": float(fit_s), "prediction": float(predict_s)}
    return Measured(
        bars=bars,
        windows=len(windows),
        predicted=int(predicted),
        trades=trades,
        net_quote=net_quote,
        samples=int(samples),
        seconds=gauge.seconds,
        peak_gb=gauge.peak_gb,
        window_s=window_s[: len(windows)],
    )


def fill(store: Path, series: Any, market: Any) -> int:
    """Write the market's bars into the store, a file a month; how many there are."""
    import pyarrow as pa

    from botscalp.archive.klines import VALUES, Parsed
    from botscalp.archive.writing import Part, write_month
    from botscalp.data.bars import clipped, joined
    from botscalp.data.manifest import SourceFile, month_of, month_span_ns
    from botscalp.times import utc_text

    def write(month: str, bars: Any) -> None:
        columns = {"open_time": pa.array(bars.open_time_ns // 1_000_000, pa.timestamp("ms", tz="UTC"))}
        for name in VALUES:
            values = getattr(bars, name, None)
            columns[name] = pa.array(bars.taker_buy_volume * bars.close if values is None else values)
        start_ns, end_ns = month_span_ns(month)
        name = f"{series.symbol}-{series.interval}-{month}.zip"
        made = SourceFile(
            name=name,
            url="simulated",
            sha256="",
            published_sha256=None,
            size_bytes=0,
            rows=len(bars),
            fetched=utc_text(0),
            overridden=False,
        )
        part = Part(source=made, parsed=Parsed(table=pa.table(columns), repairs=()), start_ns=start_ns, end_ns=end_ns)
        write_month(store, series, month, [part], complete=True)

    held, count = [], 0
    for stretch in market.stretches(series.symbol):
        count += len(stretch)
        held.append(stretch)
        while month_of(int(held[-1].open_time_ns[-1])) != (month := month_of(int(held[0].open_time_ns[0]))):
            whole, (_, end_ns) = joined(held), month_span_ns(month)
            write(month, clipped(whole, None, end_ns))
            held = [clipped(whole, end_ns, None)]
    write(month_of(int(held[0].open_time_ns[0])), joined(held))
    return count


def table(one: Measured) -> str:
    """Seconds and memory of each stage, as Markdown."""
    peaks = one.peak_gb | {"training": one.peak_gb["windows"], "prediction": one.peak_gb["windows"]}
    rows = [
        ("simulate and store", "simulate and store"),
        ("data", "data: reading"),
        ("features", "features and labels"),
        ("training", f"training, {one.samples:,} samples"),
        ("prediction", f"prediction, {one.predicted:,} test bars"),
        ("backtest", f"backtest, {one.trades:,} trades"),
    ]
    lines = ["| stage | seconds | us a bar of all | peak RSS, GB |", "|---|---|---|---|"]
    for key, name in rows:
        seconds = one.seconds[key]
        lines.append(f"| {name} | {seconds:,.1f} | {seconds / one.bars * 1e6:.2f} | {peaks[key]:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """One year, three years, and what a bar costs in each."""
    if len(sys.argv) > 1:
        print(json.dumps(asdict(measure(*sys.argv[1:]))))
        return
    found = []
    for end in ("2023-01-01", "2025-01-01"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.bench.scale", f"data.end={end}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=True,
        )
        found.append(Measured(**json.loads(done.stdout.splitlines()[-1])))
        print(table(found[-1]), flush=True)
    page = [INTRODUCTION, f"Measured {datetime.now(UTC):%Y-%m-%d}, one core.\n"]
    for one in found:
        page += [f"## {one.bars:,} bars, {one.windows} windows\n", table(one)]
    small, large = (np.mean(one.window_s) for one in found)
    first, last = (np.mean(part) for part in np.array_split(found[-1].window_s, 2))
    page.append(
        f"A window costs {small:.1f} s of one year's bars and {large:.1f} s of three years' (ratio {large / small:.2f}); within the three years "
        f"the later half of the windows costs {last / first:.2f} times the earlier one. Peak RSS {max(found[0].peak_gb.values()):.2f} GB "
        f"and {max(found[-1].peak_gb.values()):.2f} GB; the gate is 6 GB.\n"
    )
    PAGE.write_text("\n".join(page))
    print(page[-1], PAGE)


if __name__ == "__main__":
    main()
