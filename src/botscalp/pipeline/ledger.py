"""The ledger of trials: every setting that was tried on some test bars makes the best of them less telling.

A file of its own beside the tracking store, appended to before a run is scored, so that runs that fail, are killed, or are
deleted from the store stay counted. The same setting again, such as a killed run that goes on, is no other trial.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import botscalp
from botscalp.data import Source
from botscalp.options import described
from botscalp.pipeline.sources import digest_of, trusted_digests

LEDGER = "trials.jsonl"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How many settings a run tries, and on what."""

    count: int
    markets: tuple[str, ...]
    """see `market_names`"""
    test_start: str
    test_end: str
    """from the first test's start to the last one's end, UTC text as `Range.iso` gives it"""
    setting: str | None = None
    """see `setting_digest`; None counts as tried by this run alone"""


def setting_digest(values: Mapping[str, Any]) -> str:
    """Names a setting by all that decides its figures: these JSON values, and the sources that compute with them."""
    text = json.dumps({**values, "sources": _own_digest(), **trusted_digests()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _own_digest() -> str:
    root = Path(botscalp.__file__).parent
    return digest_of(root, sorted(root.rglob("*.py")))


def market_names(source: Source, interval: str) -> tuple[str, ...]:
    """The names of a source's markets, one a symbol: "real BTCUSDT 5m", whatever range or source it comes from.

    A simulated market's settings are part of its name: another seed is another history.
    """
    if source.real:
        return tuple(f"real {symbol} {interval}" for symbol in source.symbols)
    ranged = ("_target_", "start", "end", "symbols", "interval")
    settings = [f"{name}={value}" for name, value in described(source).items() if name not in ranged]
    return tuple(" ".join([source.source, symbol, interval, *settings]) for symbol in source.symbols)


@dataclass(frozen=True, kw_only=True)
class Search:
    """All that was tried on some test bars, as far as the ledger knows."""

    count: int
    sharpe_variance: float | None
    """of the annualised Sharpe ratios of the trials that came to one; None with fewer than two"""


def record_trial(store: Path, trial: Trial, run_id: str) -> None:
    """Append the run's trials; before they are scored, so that what fails is counted too."""
    _append(store, {**asdict(trial), "run_id": run_id})


def record_sharpes(store: Path, sharpes: Sequence[float | None], run_id: str) -> None:
    """Append what the run's trials came to: their annualised Sharpe ratios, summed up; None where there is none."""
    known = np.array([sharpe for sharpe in sharpes if sharpe is not None], float)
    sums = {"scored": len(known), "sharpe_sum": float(known.sum()), "sharpe_squares": float((known**2).sum())}
    _append(store, {"run_id": run_id, **sums})


def search_so_far(store: Path, trial: Trial) -> Search:
    """What has been tried in overlapping tests on one of those markets, in any study of the store; each setting once."""
    lines = [json.loads(line) for line in (store / LEDGER).read_text().splitlines() if _whole(line)]
    tried = [
        line
        for line in lines
        if not set(trial.markets).isdisjoint(line.get("markets", ()))
        and line["test_start"] < trial.test_end
        and trial.test_start < line["test_end"]
    ]
    settings = {line["run_id"]: line.get("setting") or line["run_id"] for line in tried}
    counts = {settings[line["run_id"]]: line["count"] for line in tried}
    came_to = {settings[line["run_id"]]: line for line in lines if "scored" in line and line["run_id"] in settings}
    n, total, squares = (
        sum(line[name] for line in came_to.values()) for name in ("scored", "sharpe_sum", "sharpe_squares")
    )
    variance = max(squares - total**2 / n, 0.0) / (n - 1) if n > 1 else None
    return Search(count=sum(counts.values()), sharpe_variance=variance)


def _append(store: Path, line: Mapping[str, Any]) -> None:
    from filelock import FileLock

    path = store / LEDGER
    with FileLock(store / f"{LEDGER}.lock"):
        half = path.exists() and not path.read_bytes().endswith(b"\n")  # what a killed process left
        with path.open("a") as ledger:
            ledger.write("\n" * half + json.dumps(line) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())


def _whole(line: str) -> bool:
    """Whether a process lived to write the line to its end."""
    return line.startswith("{") and line.endswith("}")
