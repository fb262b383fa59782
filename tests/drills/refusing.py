"""Commands where the machine refuses something else than room: to write in a folder, to give memory, to keep its clock."""

import ctypes
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.disks import mounted
from tests.drills.broken_files import broken_files
from tests.drills.full_disks import SMALL, one_message
from tests.drills.page import Finding
from tests.forked import Done, forked
from tests.runs import Run, bits

DENIED = re.compile(
    r"read-only file system|permission denied|attempt to write a readonly database|unable to open database file",
    re.IGNORECASE,
)
MEMORY = re.compile(r"^memory=|^trainer\.window_workers=", re.MULTILINE)
CLEAR = ("report=false",)
PATIENCE_S = 60.0
"""for a train that takes five seconds where it has memory"""


def obeying() -> None:
    """Root without root's rights: what the permissions of a file forbid its owner is forbidden."""
    libc, version_3 = ctypes.CDLL(None, use_errno=True), 0x20080522
    header, nothing = (ctypes.c_uint32 * 2)(version_3, 0), (ctypes.c_uint32 * 6)()
    assert libc.capset(header, nothing) == 0, os.strerror(ctypes.get_errno())


def no_more_memory_than(more: int) -> None:
    """So many bytes of address space beyond what the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read_only(folder: Path, fresh: Path, run: Path) -> list[tuple[str, Done]]:
    """Each command once for every folder that it may not write in."""
    folder.mkdir(parents=True)
    train = (*SMALL, *CLEAR)
    tried = []
    with mounted(folder / "disk") as disk:
        shutil.copytree(fresh, disk.root / "mlruns")
        disk.read_only()
        store = f"store={disk.root}/mlruns"
        for name, words in (
            ("train", (*train, store)),
            ("train", (*train, f"store={disk.root}/new")),
            ("train", (*train, f"store={folder}/a", f"hydra.run.dir={disk.root}/run")),
            (
                "predict",
                (
                    f"run={run}",
                    f"out={disk.root}/scores.parquet",
                    "data=simulated",
                    "data.start=2023-01-01",
                    "data.end=2023-02-06",
                ),
            ),
            ("backtest", (f"run={run}", store)),
            (
                "ingest",
                ("symbols=[BTCUSDT]", "start=2024-01", f"store={disk.root}/bars", "base_url=http://127.0.0.1:9"),
            ),
        ):
            tried.append((f"{name} on a read-only disk", forked(name, words, cwd=folder)))
        tried.append(("train in a read-only working directory", forked("train", train, cwd=disk.root)))
        disk.writable()
    for what, forbidden in (
        ("store", {"": 0o555}),
        ("database", {"mlflow.db": 0o444}),
        ("database to read", {"mlflow.db": 0o000}),
        ("ledger of trials", {"trials.jsonl": 0o444}),
        ("folder of windows", {"windows": 0o555}),
    ):
        store = folder / what
        shutil.copytree(fresh, store)
        (store / "windows").mkdir()
        (store / "trials.jsonl").touch()
        for name, mode in forbidden.items():
            (store / name).chmod(mode)
        words = (*train, f"store={store}")
        tried.append((f"train, forbidden the {what}", forked("train", words, cwd=folder, before=obeying)))
    for what, done in tried:
        print(f"  {what}: {done.code} {done.stderr.strip()[:160]}", flush=True)
    return tried


@dataclass(frozen=True)
class Starved:
    """A train with little memory, and the same command again with plenty."""

    limit: int
    """bytes of address space beyond what it began with"""
    done: Done
    broken: list[str]
    recovered: bool
    """the second one gives the predictions of an undisturbed run"""

    @property
    def told(self) -> bool:
        """It ended well, or with one message about memory."""
        return self.done.code == 0 or (self.done.code == 2 and one_message(self.done, MEMORY))


def little_memory(folder: Path, fresh: Path, *, limits: Sequence[int]) -> list[Starved]:
    """Trains with ever more memory, every other one by two workers."""
    larger = ("wfo.windows=2", "data.end=2024-06-01", "features.lags=64", "trainer.batch=4096", "resume=true")
    words = (*SMALL, *CLEAR, *larger)
    folder.mkdir()
    plain = Run(forked("train", (*words, "tracking=none"), cwd=folder).folder).predictions
    found = []
    for limit in limits:
        place = folder / str(limit)
        shutil.copytree(fresh, place / "mlruns")
        more = (*words, f"trainer.window_workers={1 + len(found) % 2}")
        done = forked("train", more, cwd=place, before=partial(no_more_memory_than, limit), longest_s=PATIENCE_S)
        print(f"  {limit >> 20:,} MiB more: {done.code} {done.stderr.strip()[-200:]}", flush=True)
        broken = broken_files(place)
        again = forked("train", more, cwd=place)
        recovered = again.code == 0 and bits(Run(again.folder).predictions.p) == bits(plain.p)
        found.append(Starved(limit, done, broken, recovered))
    return found


def clocks(folder: Path, fresh: Path, *, jumps_s: Sequence[float]) -> list[Finding]:
    """Trains whose clock jumps to and fro, by hours and years, at every twentieth look at it."""
    runs = []
    for number, jump_s in enumerate((0.0, *jumps_s)):
        place = folder / str(number)
        shutil.copytree(fresh, place / "mlruns")
        began = time.monotonic()
        done = forked("train", (*SMALL, *CLEAR), cwd=place, before=partial(jumping, jump_s))
        print(f"  clock jumps by {jump_s:,.0f} s: {done.code} {done.stderr[-300:]}", flush=True)
        runs.append((place, done, time.monotonic() - began))
    ended = [done.code for _, done, _ in runs]
    asked = "trains while the clock jumps to and fro by " + ", ".join(f"{jump_s:+,.0f} s" for jump_s in jumps_s)
    if any(ended):
        return [Finding(f"{asked}: all end well", f"exit codes {ended}", met=False)]
    found = [(Run(place / done.folder), took_s) for place, done, took_s in runs]
    plain = found[0][0].predictions
    same = [bits(run.predictions.p) == bits(plain.p) for run, _ in found[1:]]
    wrong = [f"{name} {value}" for run, took_s in found for name, value in _odd(run.summary["time"], took_s)]
    late = [lasted for place, _, _ in runs for lasted in _lasted_ms(place / "mlruns") if not 0 <= lasted < 600_000]
    return [
        Finding(f"{asked}: all end well, with the same predictions", f"{sum(same)} of {len(same)} the same", all(same)),
        Finding(
            "no duration in summary.json is negative or longer than the command took; no run in MLflow ends before it begins",
            f"{len(wrong)} and {len(late)}{' ' + str(wrong + late) if wrong or late else ''}",
            not wrong and not late,
        ),
    ]


def _odd(times: dict[str, object], took_s: float) -> list[tuple[str, object]]:
    durations = {name: value for name, value in times.items() if name.endswith("_s") and isinstance(value, float | int)}
    return [(name, value) for name, value in durations.items() if "per_s" not in name and not 0 <= value <= took_s + 60]


def _lasted_ms(store: Path) -> list[int]:
    from botscalp.pipeline.tracking.store import client_of

    client = client_of(store)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return [run.info.end_time - run.info.start_time for run in runs if run.info.status == "FINISHED"]


def jumping(jump_s: float) -> None:
    """Set the clock that Python and its libraries ask forward and back, as a machine's clock is set while it runs."""
    looks, at, at_ns = 0, time.time, time.time_ns

    def ahead() -> float:
        nonlocal looks
        looks += 1
        return jump_s if looks // 20 % 2 else 0.0

    time.time = lambda: at() + ahead()
    time.time_ns = lambda: at_ns() + int(ahead() * 1e9)
    _shift_datetime(ahead)


def _shift_datetime(ahead: Callable[[], float]) -> None:
    """`datetime.now` asks the system itself; modules that have imported the class are given the shifted one too."""
    import datetime

    plain = datetime.datetime

    class Shifted(plain):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> plain:  # type: ignore[override]
            return plain.now(tz) + datetime.timedelta(seconds=ahead())

    for module in [
        module for name, module in sys.modules.items() if name.startswith(("botscalp", "hydra", "omegaconf"))
    ]:
        for name, value in list(vars(module).items()):
            if value is plain:
                setattr(module, name, Shifted)


def refused(tried: Sequence[tuple[str, Done]], asked: str, problem: re.Pattern[str]) -> Finding:
    """Whether each of them said one thing, and ended with 2."""
    wrong = [what for what, done in tried if done.code != 2 or not one_message(done, problem)]
    found = f"{len(tried) - len(wrong)} of {len(tried)}" + (f", not: {'; '.join(wrong)}" if wrong else "")
    return Finding(asked, found, not wrong)
