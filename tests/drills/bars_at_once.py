"""Ingests of the same months at the same time, and trains that read what an ingest rewrites."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from botscalp.data.bars import market_digest
from tests.drills.made_up_archive import ArchiveServer, csv_of, published, snapshot
from tests.drills.page import Finding
from tests.drills.running import Running, failed
from tests.runs import TINY, composed_plainly

MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")
READ = MONTHS[:2]
"""what a train reads while the rest is fetched"""
ON_BARS = (
    *("data=binance", "data.start=2024-01-01", "data.end=2024-02-20"),
    *(word for word in TINY if not word.startswith("data.")),
    *("tracking=none", "report=false"),
)


def ingests_at_once(folder: Path, *, processes: int, repetitions: int) -> list[Finding]:
    """Ingests of the same months into one store."""
    folder.mkdir(parents=True)
    with published(*MONTHS) as server:
        failures = failed(ingest(folder, server, "calm", READ))
        wanted = snapshot(folder / "calm")
        for path in server.files:
            server.faults[path] = ["always slow"]
        same = asked = 0
        for repetition in range(repetitions):
            server.requests.clear()
            store = f"together{repetition}"
            failures += failed(*(ingest(folder, server, store, READ, log=str(number)) for number in range(processes)))
            same += snapshot(folder / store) == wanted
            asked += len(server.gets())
            print(f"ingests {repetition + 1}/{repetitions}", flush=True)
    files = len(READ) * repetitions
    return [
        Finding(
            f"{processes} ingests of the same months at once, {repetitions} times: none fails",
            f"{len(failures)} failures",
            not failures,
        ),
        Finding(
            "the store's files are those of a single ingest, each was fetched once",
            f"{same} of {repetitions} stores the same, {asked} downloads of {files} files",
            same == repetitions and asked == files,
        ),
    ]


def train_beside_ingest(folder: Path, *, trains: int) -> list[Finding]:
    """Trains, and a reader without a pause, read months that an ingest rewrites while it adds others.

    The months are republished with equal bars in other bytes.
    """
    folder.mkdir(parents=True)
    with published(*MONTHS) as server:
        failures = failed(ingest(folder, server, "bars", READ), ingest(folder, server, "calm", MONTHS))
        failures += failed(train(folder, "calm"))
        wanted, digest = predictions_in(folder / "calm-run"), digest_in(folder / "calm")
        same = beside = reads = equal = 0
        for number in range(trains):
            shutil.rmtree(folder / "bars" / "spot")
            server.faults.clear()
            failures += failed(ingest(folder, server, "bars", READ, log="before"))
            for position, path in enumerate(server.files):
                server.files[path] = csv_of(path, header=number % 2 == 0)
                server.faults[path] = ["always slow"] if position else []  # they are done one after another
            server.drip_bytes = 500
            server.requests.clear()
            reading = train(folder, str(number))
            fetching = ingest(folder, server, "bars", MONTHS, "revisions=true")
            while fetching.process.poll() is None:
                equal += digest_in(folder / "bars") == digest
                reads += 1
                beside += reading.says("  data ") and not beside > number
            failures += failed(fetching, reading)
            same += predictions_in(folder / f"{number}-run") == wanted
            print(f"train beside ingest {number + 1}/{trains}, {reads} reads", flush=True)
        rewritten = bars_of(folder / "bars") == bars_of(folder / "calm")
    return [
        Finding(
            f"a train reads months that an ingest rewrites and adds to, {trains} times: neither fails",
            f"{len(failures)} failures, {beside} read while it fetched",
            not failures and beside == trains,
        ),
        Finding("its predictions are those without the ingest, to the last bit", f"{same} of {trains}", same == trains),
        Finding("and so is what a reader without a pause reads", f"{equal} of {reads} times", equal == reads > 0),
        Finding("the store's months are those of an ingest alone", "all" if rewritten else "not all", rewritten),
    ]


def ingest(cwd: Path, server: ArchiveServer, store: str, months: Sequence[str], *more: str, log: str = "") -> "Running":
    span = (f"start={months[0]}", f"end={months[-1]}", f"store={store}")
    return Running.start(cwd, f"{store}{log}", "ingest", *span, f"base_url={server.url}", "recent=false", *more)


def train(cwd: Path, name: str) -> "Running":
    store = "calm" if name == "calm" else "bars"
    words = (*ON_BARS, f"data.store={store}", f"store={name}-store", f"hydra.run.dir={name}-run")
    return Running.start(cwd, f"train-{name}", "train", *words)


def predictions_in(folder: Path) -> bytes | None:
    return (folder / "predictions.parquet").read_bytes() if (folder / "summary.json").exists() else None


def digest_in(store: Path) -> str:
    """Of the months that trains read."""
    words = [word for word in ON_BARS if word.startswith("data")]
    return market_digest(composed_plainly(*words, f"data.store={store}").data.load())


def bars_of(store: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*.parquet"))}
