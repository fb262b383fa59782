"""`make bench`: measure, print, and write docs/benchmarks.md. `python -m tests.bench backtest` runs a part: backtest, features."""

import os
import platform
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import backtests, features
from tests.bench.peers import installed
from tests.bench.timing import Line, markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench`. Times are the least of several, of process CPU time unless a line says seconds or counts configs of a
sweep (then wall time); contestants take turns. Compare ratios, not times: they were measured in one run on one machine.
A ratio is the other's time over ours, except against the machine's own floor, where it is ours over that. vectorbt's
own rows do less than ours (the entry bar is not watched, nothing leaves by time); the rows with identical trades do the same.
"""


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = next(iter(names), model)
    packages = ("numpy", "numba", "pandas", "torch", "vectorbt", "vectorbt-rust", "backtesting", "TA-Lib")
    modules = {"vectorbt-rust": "vectorbt_rust", "TA-Lib": "talib"}
    versions = ", ".join(f"{name} {version(name)}" for name in packages if installed(modules.get(name, name)))
    return (
        f"{model}, {os.cpu_count()} logical cores, {platform.system()}; Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    """All sections, or the named ones."""
    sections: dict[str, list[tuple[str, Callable[[], Iterable[Line]]]]] = {
        "backtest": [
            ("One run, from small to large", backtests.floor_and_growth),
            *([("One run, vectorbt", backtests.against_vectorbt)] if installed("vectorbt") else []),
            *([("backtesting.py", backtests.against_backtesting_py)] if installed("backtesting") else []),
            ("Sweeps", backtests.sweeps),
            ("Memory", backtests.memory),
            ("Start-up", backtests.start_up),
        ],
        "features": [("Features and training", features.lines)],
    }
    chosen = sys.argv[1:] or list(sections)
    page = [INTRODUCTION, f"Measured {datetime.now(UTC):%Y-%m-%d} on: {machine()}.\n"]
    missed = []
    for title, measure in (section for name in chosen for section in sections[name]):
        lines = list(measure())
        missed += [line.claim for line in lines if not line.met]
        page += [f"## {title}\n", markdown(lines), ""]
        print(f"## {title}\n{markdown(lines)}\n", flush=True)
    page.append(f"Gates missed: {', '.join(missed) or 'none'}.\n")
    print(page[-1])
    if chosen == list(sections):
        PAGE.write_text("\n".join(page))
        print(PAGE)


if __name__ == "__main__":
    main()
