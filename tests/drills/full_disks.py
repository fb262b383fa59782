"""Commands on disks that are full sooner or later: at each write of a train, an ingest, a predict and a re-score."""

import re
import resource
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.disks import PAGE, Disk, mounted
from tests.drills.broken_files import broken_files
from tests.drills.made_up_archive import ArchiveServer, snapshot
from tests.forked import Done, forked
from tests.runs import TINY, Run, bits

ROOM = 64 << 20
SMALL = (*TINY, "data.end=2023-02-06", "wfo.windows=1", "wfo.train=1w", "trainer.epochs=1")
FULL = re.compile(r"no space left on device|file too large|database or disk is full|disk I/O error", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Struck:
    """What a disk with so much room did to a command."""

    room: int
    code: int | None
    at: str
    """the file that there was no room for; empty where the command ended well"""
    unclear: str
    """what it said where that is not one message about a full disk"""
    broken: Sequence[str]
    recovered: bool
    """whether the same command, on a larger disk, came to what an undisturbed one comes to"""


def one_message(done: Done, problem: re.Pattern[str]) -> bool:
    """Whether the command ended well, or with 2 and a single message about the problem."""
    said = done.stdout + done.stderr
    if "Traceback" in said or "Logging error" in said:
        return False
    message = done.stderr.count("\n  remedy: ") == 1 and problem.search(done.stderr) is not None
    return done.code == 0 or (done.code == 2 and message)


def struck(disk: Disk, room: int, command: Callable[[], Done], same: Callable[[], bool]) -> Struck:
    """Run the command on the disk with that much room, look at what it left, and then with enough."""
    with disk.full_but_for(room):
        done = command()
        broken = broken_files(disk.root)
    at = re.search(r"^(?:file|store)=(\S+): ", done.stderr, re.MULTILINE)
    return Struck(
        room=room,
        code=done.code,
        at=_kind(at[1]) if at and done.code == 2 else "",
        unclear="" if one_message(done, FULL) else f"{done.code}: {done.stderr[-2000:]}",
        broken=broken,
        recovered=same(),
    )


def _kind(path: str) -> str:
    """A file's name without what differs from run to run."""
    name = re.sub(r"^\.|\.\d+$|\.pending$|\.part$", "", Path(path).name)
    return re.sub(r"^[0-9a-f]{32}(?=\.jsonl)", "spooled", re.sub(r"^\d{4}-\d\d-\d\d_\S+", "run folder", name))


def rooms(most: int, count: int) -> list[int]:
    """From none to that many bytes, evenly, in whole pages."""
    return sorted({most * number // max(count - 1, 1) // PAGE * PAGE for number in range(count)})


def each(folder: Path, sizes: Sequence[int], work: Callable[[Disk, int], Struck]) -> list[Struck]:
    """A disk a size, two at a time; what is on it is gone afterwards."""

    def one(room: int) -> Struck:
        with mounted(folder / str(room), size=ROOM) as disk:
            found = work(disk, room)
        wrong = found.unclear or found.broken or not found.recovered
        print(
            f"  {room:>9,} bytes of room: {found.code} {found.at}{' WRONG ' + str(found) if wrong else ''}", flush=True
        )
        return found

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, sizes))


def trains(folder: Path, fresh: Path | None, *, count: int, words: Sequence[str] = ("report=false",)) -> list[Struck]:
    """Trains, the store's disk ever larger; on a copy of the store `fresh`, whose tables are made, or on none."""
    folder.mkdir(parents=True)
    typed = (*SMALL, *words)
    with mounted(folder / "undisturbed", size=ROOM) as disk:
        store = _store(disk, fresh)
        before = disk.used
        wanted = forked("train", (*typed, f"store={store}"), cwd=folder)
        assert wanted.code == 0, wanted.stderr
        predictions, most = Run(wanted.folder).predictions, disk.used - before

    def work(disk: Disk, room: int) -> Struck:
        command = partial(forked, "train", (*typed, f"store={_store(disk, fresh)}", "resume=true"), cwd=folder)

        def same() -> bool:
            again = command()
            if again.code != 0:
                print(again.stderr)
                return False
            found = Run(again.folder).predictions
            tracked = "sqlite" in (again.folder / "summary.json").read_text()
            left = list((disk.root / "mlruns" / "spool").glob("*"))
            return bits(found.p) == bits(predictions.p) and list(found) == list(predictions) and tracked and not left

        return struck(disk, room, command, same)

    return each(folder, rooms(most + 2 * PAGE, count), work)


def _store(disk: Disk, fresh: Path | None) -> Path:
    store = disk.root / "mlruns"
    if fresh is not None and not store.exists():
        shutil.copytree(fresh, store)
    return store


def ingests(folder: Path, server: ArchiveServer, *, count: int) -> list[Struck]:
    """Ingests of a month and some days."""
    folder.mkdir(parents=True)
    words = ("symbols=[BTCUSDT]", "start=2024-01", "end=2024-02", f"base_url={server.url}", "recent=false")
    with mounted(folder / "undisturbed", size=ROOM) as disk:
        done = forked("ingest", (*words, f"store={disk.root}/bars"), cwd=folder)
        assert done.code == 0, done.stderr
        wanted, most = snapshot(disk.root / "bars"), disk.used

    def work(disk: Disk, room: int) -> Struck:
        command = partial(forked, "ingest", (*words, f"store={disk.root}/bars"), cwd=folder)
        return struck(disk, room, command, lambda: command().code == 0 and snapshot(disk.root / "bars") == wanted)

    return each(folder, rooms(most + (1 << 20), count), work)


def predicts(folder: Path, run: Path, *, count: int) -> list[Struck]:
    """Scores of new bars, written to the disk."""
    folder.mkdir(parents=True)
    words = (f"run={run}", "data=simulated", "data.start=2023-01-01", "data.end=2023-02-06")
    done = forked("predict", (*words, f"out={folder}/wanted.parquet"), cwd=folder)
    assert done.code == 0, done.stderr
    wanted = (folder / "wanted.parquet").read_bytes()

    def work(disk: Disk, room: int) -> Struck:
        out = disk.root / "scores.parquet"
        command = partial(forked, "predict", (*words, f"out={out}"), cwd=folder)
        return struck(disk, room, command, lambda: command().code == 0 and out.read_bytes() == wanted)

    return each(folder, rooms(len(wanted) + PAGE, count), work)


def rescores(folder: Path, run: Path, fresh: Path, *, count: int, words: Sequence[str]) -> list[Struck]:
    """The run's predictions traded again, once or as a grid, into a store on the disk."""
    folder.mkdir(parents=True)
    typed = (f"run={run}", *words)
    with mounted(folder / "undisturbed", size=ROOM) as disk:
        store = _store(disk, fresh)
        before = disk.used
        done = forked("backtest", (*typed, f"store={store}"), cwd=folder)
        assert done.code == 0, done.stderr
        most, wanted = disk.used - before, _results(done)

    def work(disk: Disk, room: int) -> Struck:
        command = partial(forked, "backtest", (*typed, f"store={_store(disk, fresh)}"), cwd=folder)
        return struck(disk, room, command, lambda: _results(command()) == wanted)

    return each(folder, rooms(most + PAGE, count), work)


def _results(done: Done) -> dict[str, bytes]:
    if done.code != 0:
        return {}
    return {path.name: path.read_bytes() for path in done.folder.glob("*.json")}


def short_files(folder: Path, fresh: Path, *, sizes: Sequence[int]) -> list[Struck]:
    """Trains that may write no file longer than so many bytes: what is short is written, what is long is not."""

    def one(size: int) -> Struck:
        place = folder / str(size)
        shutil.copytree(fresh, place / "mlruns")
        command = ("train", (*SMALL, "report=false", "resume=true"))
        done = forked(*command, cwd=place, before=partial(no_longer_than, size))
        at = re.search(r"^(?:file|store)=(\S+): ", done.stderr, re.MULTILINE)
        print(f"  files of {size:,} bytes at most: {done.code} {at and _kind(at[1])}", flush=True)
        return Struck(
            room=size,
            code=done.code,
            at=_kind(at[1]) if at and done.code == 2 else "",
            unclear="" if one_message(done, FULL) else f"{done.code}: {done.stderr[-2000:]}",
            broken=broken_files(place),
            recovered=forked(*command, cwd=place).code == 0,
        )

    return [one(size) for size in sizes]


def no_longer_than(size: int) -> None:
    """No file of this process's may grow beyond that."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
