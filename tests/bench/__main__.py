"""`make bench`: measure, print, and write docs/benchmarks.md. `python -m tests.bench backtest` runs a part: backtest, features, training."""

import os
import platform
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import event_engines, features, single, start_up, sweeps, training
from tests.bench.environment import ROOT, version_of
from tests.bench.timing import Line, markdown

PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench`. Times are the least of several, of process CPU time unless a line says seconds or counts configs of a
sweep (then wall time); contestants take turns. Compare ratios, not times: they were measured in one run on one machine.
A ratio is the other's time over ours, except against the machine's own floor, where it is ours over that.

What the others do differently:

- vectorbt's own rows do less than ours (the entry bar is not watched, nothing leaves by time); the rows with identical trades
  do the same. It sweeps the same grid as we do, in chunks of columns between which we take our turns; a chunk of 26,000 bars
  goes twice, one of 315,000 once.
- backtesting.py and backtrader make our trades, bar for bar: the first without slippage and on a market without the signals
  that it would refuse, the second with slippage also at an open beyond the target. Analyzers of trades, drawdown and Sharpe
  ratio are backtrader's figures.
- nautilus-trader fills a market order at the close of the signal bar, without slippage, and a level that an open has passed
  at the level; inside a bar the high comes before the low. A process in an environment of its own times it.
"""
PACKAGES = (
    *("numpy", "numba", "pandas", "torch", "TA-Lib"),
    *("vectorbt", "vectorbt-rust", "backtesting", "backtrader", "nautilus-trader"),
)
Section = tuple[str, str | None, Callable[[], Iterable[Line]]]
"""title, the package without which it is left out, measurement"""
PARTS: dict[str, list[Section]] = {
    "backtest": [
        ("One run, from small to large", None, single.floor_and_growth),
        ("One run, vectorbt", "vectorbt", single.against_vectorbt),
        ("One run, backtesting.py", "backtesting", event_engines.against_backtesting_py),
        ("One run, backtrader", "backtrader", event_engines.against_backtrader),
        ("One run, nautilus-trader", "nautilus-trader", event_engines.against_nautilus),
        ("Sweeps", None, sweeps.lines),
        ("Memory", None, sweeps.memory),
        ("Start-up", None, start_up.start_up),
        ("Commands", None, start_up.commands),
    ],
    "features": [("Features", None, features.lines)],
    "training": [
        ("Training, GRU 64 on BTCUSDT 5m", None, training.lines),
        ("A whole run", None, training.overhead),
    ],
}


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = next(iter(names), model)
    versions = ", ".join(f"{name} {version}" for name in PACKAGES if (version := version_of(name)))
    return (
        f"{model}, {os.cpu_count()} logical cores, {platform.system()}; Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    """All parts, or the named ones."""
    chosen = sys.argv[1:] or list(PARTS)
    page = [INTRODUCTION, f"Measured {datetime.now(UTC):%Y-%m-%d} on: {machine()}.\n"]
    missed = []
    for title, package, measure in (section for name in chosen for section in PARTS[name]):
        if package is None or version_of(package):
            lines = list(measure())
            missed += [line.claim for line in lines if not line.met]
            shown = markdown(lines)
        else:
            shown = f"Left out: {package} is not installed here."
        page += [f"## {title}\n", shown, ""]
        print(f"## {title}\n{shown}\n", flush=True)
    page.append(f"Gates missed: {', '.join(missed) or 'none'}.\n")
    print(page[-1])
    if chosen == list(PARTS):
        PAGE.write_text("\n".join(page))
        print(PAGE)


if __name__ == "__main__":
    main()
