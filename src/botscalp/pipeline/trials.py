"""The ledger of trials: every setting that was tried on some test bars makes the best of them less telling.

A file of its own beside the tracking store, appended to before a run is scored, so that runs that fail, are killed, or are
deleted from the store stay counted.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from botscalp.data import Source
from botscalp.options import described

LEDGER = "trials.jsonl"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How many settings a run tries, and on what."""

    count: int
    market: str
    """see `market_name`"""
    test_start: str
    test_end: str
    """from the first test's start to the last one's end, UTC text as `Range.iso` gives it"""


def market_name(source: Source, interval: str) -> str:
    """A market's name, the same for every range and every file of it: "file BTCUSDT 5m".

    A simulated market's settings are part of its name: another seed is another history.
    """
    ranged = ("_target_", "path", "start", "end", "symbols", "interval")
    settings = [f"{name}={value}" for name, value in described(source).items() if name not in ranged]
    return " ".join([source.source, ",".join(source.symbols), interval, *settings])


def record_trial(store: Path, trial: Trial, run_id: str) -> int:
    """Append the run's trials; return how many settings have been tried in overlapping tests on that market, these included."""
    from filelock import FileLock

    path = store / LEDGER
    with FileLock(store / f"{LEDGER}.lock"):
        half = path.exists() and not path.read_bytes().endswith(b"\n")  # what a killed process left
        with path.open("a") as ledger:
            ledger.write("\n" * half + json.dumps({**asdict(trial), "run_id": run_id}) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())
        lines = [json.loads(line) for line in path.read_text().splitlines() if _whole(line)]
    return sum(
        line["count"]
        for line in lines
        if line["market"] == trial.market
        and line["test_start"] < trial.test_end
        and trial.test_start < line["test_end"]
    )


def _whole(line: str) -> bool:
    """Whether a process lived to write the line to its end."""
    return line.startswith("{") and line.endswith("}")
