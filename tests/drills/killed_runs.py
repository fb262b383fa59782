"""Runs of `train` that are killed again and again, and what has to hold of the store and of the run that comes to its end."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.drills.kills import STAGES, Kill, Moment, Watched, asked, finished
from tests.runs import TINY, Run

TABLES = ("predictions", "validation", "trades", "equity")
FIGURES = ("metrics", "metrics_raw", "baselines", "intervals", "backtest", "costs", "settings", "trials", "verdict")
"""keys of summary.json that hold what a run found"""

Windows = dict[str, tuple[int, int]]
"""inode and time of the folder of each finished fit, by its key"""


def words_of(windows: int, *more: str) -> tuple[str, ...]:
    """A run of that many windows of two fits each, on a market that is longer than they need."""
    return (*TINY, "data.end=2023-04-30", f"wfo.windows={windows}", *more)


@dataclass
class Chain:
    """One run, killed and resumed until it came to its end."""

    run: Run
    kills: list[Kill] = field(default_factory=list)
    several: int = 0
    """kills of a run with two workers"""
    fitted_again: set[str] = field(default_factory=set)
    """finished fits that somebody made anew"""


def killed_and_resumed(words: Sequence[str], cwd: Path, moments: Sequence[Moment], lasts_s: dict[str, float]) -> Chain:
    """Kill the run at each moment in turn, every second time with two workers, then let it come to its end."""
    windows = _windows(words)
    cwd.mkdir()
    chain = Chain(run=Run(cwd))
    before: Windows = {}
    for number, moment in enumerate(moments):
        kill = None
        while kill is None:
            workers = 1 + number % 2
            resume = ["resume=true"] * bool(chain.kills)
            watched = Watched([*words, *resume, f"trainer.window_workers={workers}"], cwd, windows=windows)
            kill = watched.killed(moment, lasts_s)
            chain.fitted_again |= made_anew(before, before := fits_in(cwd))
            moment = replace(moment, share=moment.share / 2)  # where it came to its end before, it is caught sooner
        chain.kills.append(kill)
        chain.several += workers > 1
        print(
            f"{cwd.name} kill {len(chain.kills)}: {kill.stage}, {len(before)} of {2 * windows} fits there", flush=True
        )
    chain.run = Run(finished("train", [*words, "resume=true"], cwd))
    chain.fitted_again |= made_anew(before, fits_in(cwd))
    return chain


def moments_of(windows: int, kills: int, seed: int) -> list[Moment]:
    """As many moments, of all stages; those that need a window to be fitted come first, at ever later windows."""
    rng = random.Random(seed)
    early, late = list(STAGES[:6]), list(STAGES[6:])
    stages = [stage for number in range(kills) for stage in [rng.choice(late if number % 5 > 2 else early)]]
    if kills >= len(STAGES):
        stages[: len(STAGES)] = STAGES
    inner = [stage for stage in stages if stage not in late]
    rng.shuffle(inner)
    inner.sort(key=lambda stage: stage != "tracking")  # the first finds no store, and begins to make one
    outer = rng.sample([stage for stage in stages if stage in late], len(stages) - len(inner))
    at = sorted(rng.randrange(windows) for _ in inner)
    return [
        *(Moment(stage, windows=window, share=rng.random()) for stage, window in zip(inner, at, strict=True)),
        *(Moment(stage, windows=windows, share=rng.random()) for stage in outer),
    ]


def fits_in(cwd: Path) -> Windows:
    """The finished fits of the store."""
    folders = (cwd / "mlruns").glob("windows/[!.]*")
    return {folder.name: (folder.stat().st_ino, folder.stat().st_mtime_ns) for folder in folders}


def made_anew(before: Windows, after: Windows) -> set[str]:
    """Fits that were there and were not left as they were."""
    return {key for key, made in before.items() if after.get(key) != made}


def differences(one: Run, other: Run, *, figures: Sequence[str] = FIGURES) -> list[str]:
    """Tables that differ in a byte, figures that differ at all."""
    tables = [
        name
        for name in TABLES
        if (one.folder / f"{name}.parquet").read_bytes() != (other.folder / f"{name}.parquet").read_bytes()
    ]
    return tables + [key for key in figures if one.summary[key] != other.summary[key]]


def windows_logged(run: Run, cwd: Path) -> list[int]:
    """The numbers of the windows that MLflow has of a finished run, as often as it has them."""
    query = f"""
        select number.value from runs child
        join tags parent on parent.run_uuid = child.run_uuid and parent.key = 'mlflow.parentRunId'
        join tags number on number.run_uuid = child.run_uuid and number.key = 'window'
        where child.status = 'FINISHED' and parent.value = '{run.summary["mlflow"]["run_id"]}'"""
    return sorted(int(str(value)) for (value,) in asked(cwd / "mlruns", query))


def statuses(cwd: Path) -> dict[str, int]:
    """How many runs of each status MLflow has, windows' runs too."""
    found = asked(cwd / "mlruns", "select status, count(*) from runs group by status")
    return {str(status): int(str(count)) for status, count in found}


def undisturbed(words: Sequence[str], cwd: Path) -> tuple[Run, dict[str, float]]:
    """The same run in another store, and how long its stages took."""
    cwd.mkdir()
    watched = Watched(words, cwd, windows=_windows(words))
    lasts_s = watched.measured()
    assert watched.folder is not None
    return Run(watched.folder), lasts_s


def _windows(words: Sequence[str]) -> int:
    return int(next(word for word in reversed(words) if word.startswith("wfo.windows=")).partition("=")[2])
