"""`make drill-resources`: disks full at every write, tracking lost, read-only folders, little memory, clocks that jump."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.drills.full_disks import SMALL, Struck, ingests, predicts, rescores, short_files, trains
from tests.drills.lost_tracking import TROUBLES, findings_of, troubled
from tests.drills.made_up_archive import published
from tests.drills.page import Finding, conclude
from tests.drills.refusing import DENIED, clocks, little_memory, read_only, refused
from tests.forked import Done, forked

MIB = 1 << 20


def main() -> None:
    """All of it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="resources-") as place:
        folder = Path(place)
        fresh, run = fresh_store(folder), finished_run(folder)
        findings = [
            *disk_findings("train", trains(folder / "trains", fresh, count=20)),
            *disk_findings("train with pictures", trains(folder / "pictures", fresh, count=6, words=("report=true",))),
            *disk_findings("train on a store that is not there yet", trains(folder / "new", None, count=4)),
            *disk_findings("predict", predicts(folder / "predicts", run, count=4)),
            *disk_findings("re-score", rescores(folder / "rescores", run, fresh, count=6, words=())),
            *disk_findings(
                "grid", rescores(folder / "grids", run, fresh, count=5, words=("grid.threshold=[0.51,0.52]",))
            ),
        ]
        with published("2024-01", "2024-02") as server:
            findings += disk_findings("ingest", ingests(folder / "ingests", server, count=8))
        sizes = [4096, 16_384, 65_536, 600_000]
        findings += disk_findings("train, files cut at a length", short_files(folder / "short", fresh, sizes=sizes))
        findings += tracking(folder / "tracking", fresh, killed=2)
        findings.append(
            refused(
                read_only(folder / "read-only", fresh, run),
                "a folder or a database that may not be written: one message with the file or the store, and exit code 2",
                DENIED,
            )
        )
        findings += memory(folder / "memory", fresh, [size * MIB for size in range(64, 448, 16)])
        findings += clocks(folder / "clocks", fresh, jumps_s=[-3600.0, 3600.0, -4e8, 4e8])
    conclude(
        "resources",
        "Nothing left: disk, tracking, memory, permission, time",
        findings,
        seconds=time.monotonic() - began,
    )


def fresh_store(folder: Path) -> Path:
    """A store with its tables, which take MLflow seconds, and no study: that would have its artifacts here, whoever copies it."""
    from botscalp.pipeline.tracking.store import client_of

    (folder / "fresh").mkdir()
    client_of(folder / "fresh").search_experiments()
    return folder / "fresh"


def finished_run(folder: Path) -> Path:
    """A run to predict with, and to trade again."""
    done = forked("train", (*SMALL, "report=false", f"store={folder}/finished", "tracking=none"), cwd=folder)
    assert done.code == 0, done.stderr
    return done.folder


def disk_findings(name: str, found: Sequence[Struck]) -> list[Finding]:
    """What a command made of disks of all sizes."""
    stopped = [one for one in found if one.code]
    places = Counter(one.at for one in stopped)
    unclear = [f"{one.room:,}: {one.unclear}" for one in found if one.unclear]
    broken = [f"{one.room:,}: {path}" for one in found for path in one.broken]
    lost = [f"{one.room:,}" for one in found if not one.recovered]
    said = ", ".join(f"{place or '?'} {count}" for place, count in places.most_common())
    return [
        Finding(
            f"{name}: with {len(found)} sizes of disk it ends well, or with 2 and one message",
            f"{len(stopped)} stopped, for want of room for {said or 'nothing'}{_but(unclear)}",
            not unclear,
        ),
        Finding(
            f"{name}: no half file under a final name; with room, the same command comes to the same figures",
            f"{len(broken)} half files, {len(found) - len(lost)} of {len(found)} the same{_but(broken + lost)}",
            not broken and not lost,
        ),
    ]


def _but(wrong: Sequence[str]) -> str:
    return "; ".join(["", *(" ".join(one.split())[:300] for one in wrong)])


def tracking(folder: Path, fresh: Path, *, killed: int) -> list[Finding]:
    """Every trouble once, and some whose mending is killed again and again."""
    told = [troubled(folder / trouble.__name__, fresh, trouble) for trouble in TROUBLES]
    mended = [troubled(folder / f"killed-{number}", fresh, TROUBLES[number], killing=True) for number in range(killed)]
    return findings_of(told, mended)


def memory(folder: Path, fresh: Path, limits: Sequence[int]) -> list[Finding]:
    """Trains with little memory, to where it is enough: in between, libraries refuse it or end the process from within."""
    found = little_memory(folder, fresh, limits=limits)
    untold = [f"{one.limit // MIB} MiB: {_ended(one.done)}" for one in found if not one.told]
    ended = Counter(one.done.code for one in found if one.told)
    broken = [f"{one.limit // MIB} MiB: {path}" for one in found for path in one.broken]
    lost = [f"{one.limit // MIB} MiB" for one in found if not one.recovered]
    return [
        Finding(
            f"{len(limits)} trains with {limits[0] // MIB} to {limits[-1] // MIB} MiB of address space to spare: they end well, "
            "or with 2 and one message that says what to take less of",
            f"{ended[0]} ended well, {ended[2]} with the message, {len(untold)} otherwise{_but(untold)}",
            not untold and ended[2] > 0 < ended[0],
        ),
        Finding(
            "however they ended: no half file under a final name; with memory, the same command comes to the same predictions",
            f"{len(broken)} half files, {len(found) - len(lost)} of {len(found)} the same{_but(broken + lost)}",
            not broken and not lost,
        ),
    ]


def _ended(done: Done) -> str:
    """How, in the library's words."""
    said = " ".join(done.stderr.split())[-120:]
    return f"waited for ever, killed ({said})" if done.code is None else f"{done.code} ({said})"


if __name__ == "__main__":
    main()
