"""`make drill-parallel`: many processes on one fresh store, sweeps on one cache, ingests and a train on the same bars."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.drills.bars_at_once import ingests_at_once, train_beside_ingest
from tests.drills.page import Finding, conclude
from tests.drills.recorders import WINDOWS, Recorded, recording
from tests.drills.sweeps_at_once import sweeps_at_once


def main() -> None:
    """All of it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parallel-") as place:
        folder = Path(place)
        findings = [
            *fresh_stores(folder / "fresh", processes=12, repetitions=20),
            *neighbours(folder / "neighbours", processes=12, repetitions=5),
            *sweeps_at_once(folder / "sweeps", ["model=gru,mlp"], ["model=mlp,gru"], repetitions=3),
            *ingests_at_once(folder / "ingests", processes=3, repetitions=5),
            *train_beside_ingest(folder / "beside", trains=3),
        ]
    conclude("parallel", "Many at once", findings, seconds=time.monotonic() - began)


def fresh_stores(folder: Path, *, processes: int, repetitions: int) -> list[Finding]:
    """Processes that begin at once where there is no store yet."""
    found = []
    for repetition in range(repetitions):
        with recording(folder / str(repetition), processes) as recorded:
            pass
        found += recorded
        tell(f"fresh store {repetition + 1}/{repetitions}", recorded[0])
        shutil.rmtree(folder / str(repetition))
    asked = f"{processes} processes begin to record on a fresh store at the same moment, {repetitions} times: "
    total = processes * repetitions
    finished = sum(one.statuses.count("FINISHED") for one in found)
    windows, lost = sum(one.windows for one in found), sum(one.lost_metrics for one in found)
    lines, torn = sum(one.ledger_lines for one in found), sum(one.torn_lines for one in found)
    warned = sum(len(one.warnings) for one in found)
    return [
        counted(f"{asked}no process fails", found, "failures"),
        Finding(
            "every run is FINISHED, none RUNNING",
            f"{finished} of {total}, {running(found)} RUNNING",
            finished == total and not running(found),
        ),
        Finding("no window is lost", f"{windows} of {total * WINDOWS}", windows == total * WINDOWS),
        Finding("no metric is lost, of a run, a window or an epoch", f"{lost} lost", lost == 0),
        Finding(
            "the ledger of trials has two whole lines a run",
            f"{lines} of {2 * total}, {torn} torn",
            lines == 2 * total and not torn,
        ),
        Finding(
            "no run takes a colour while another is rarer; nothing warns",
            f"{max(one.crowded for one in found)} too many, {warned} warnings",
            max(one.crowded for one in found) <= 1 and not warned,
        ),
    ]


def neighbours(folder: Path, *, processes: int, repetitions: int) -> list[Finding]:
    """One of the processes is killed; another begins then, and closes the dead one's run and no other."""
    found = []
    for repetition in range(repetitions):
        with recording(folder / str(repetition), processes, victims=1) as recorded:
            pass
        found += recorded
        tell(f"killed neighbour {repetition + 1}/{repetitions}", recorded[0])
        shutil.rmtree(folder / str(repetition))
    killed = sum(one.statuses.count("KILLED") for one in found)
    closed = sum(one.closed_alive for one in found)
    alive = processes * repetitions
    return [
        Finding(
            f"one of {processes} is killed with kill -9, {repetitions} times: the next to begin closes its run",
            f"{killed} of {repetitions} KILLED, {running(found)} RUNNING",
            killed == repetitions and not running(found),
        ),
        Finding("and no run of a process that lives", f"{closed} of {alive}", closed == 0),
        counted("and none of the living fails", found, "failures"),
    ]


def counted(asked: str, found: Sequence[Recorded], name: str) -> Finding:
    """None of them has any of these."""
    every = [item for one in found for item in getattr(one, name)]
    for item in every:
        print(item, flush=True)
    return Finding(asked, f"{len(every)} {name}", not every)


def running(found: Sequence[Recorded]) -> int:
    return sum(one.running for one in found)


def tell(what: str, recorded: Recorded) -> None:
    print(f"{what}: {', '.join(recorded.statuses)}; {recorded.windows} windows", flush=True)


if __name__ == "__main__":
    main()
