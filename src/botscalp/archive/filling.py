"""Fill the store with what a plan names: several files come at once, and each month is written when its files are there."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from botscalp.archive.download import PART, Archive, Fetched
from botscalp.archive.klines import FileRefusedError, parse
from botscalp.archive.plan import Step
from botscalp.archive.writing import Part, write_month
from botscalp.archive.zips import RefusedZipError, csv_of
from botscalp.data.manifest import Series, SourceFile

logger = logging.getLogger(__name__)

INCOMING = "incoming"
"""the folder of a series in which files lie while they come"""


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who is told how it goes."""

    moved: Callable[[int], None]
    """bytes that came; negative where they were thrown away"""
    file_done: Callable[[], None]


@contextmanager
def alone(store: Path, wanted: Collection[Series]) -> Iterator[None]:
    """One ingest at a time works on a series, so that the second one finds the work of the first done."""
    from filelock import FileLock, Timeout

    with ExitStack() as locks:
        for series in sorted(wanted, key=str):
            folder = series.folder(store)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / "ingest.lock")
            try:
                locks.enter_context(lock.acquire(timeout=0))
            except Timeout:
                logger.info("another ingest works on %s: waiting for it", series)
                locks.enter_context(lock.acquire())
        yield


def tidy(store: Path, wanted: Collection[Series], steps: Sequence[Step]) -> None:
    """Remove what earlier runs left of files that the steps do not name; a killed one leaves what it had just read."""
    for series in wanted:
        folder = series.folder(store) / INCOMING
        names = {file.name for step in steps if step.series == series for file in step.files}
        for path in folder.glob("*"):
            if path.name.removesuffix(PART) not in names:
                path.unlink()
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def fill(
    store: Path,
    archive: Archive,
    steps: Sequence[Step],
    *,
    accepted: Collection[str],
    executor: Executor,
    watcher: Watcher,
) -> list[FileRefusedError]:
    """Fetch the files of all steps and write each month once its last file is there; what could not be used.

    A file that is refused is logged and leaves its month incomplete, and the others go on.

    Raises:
        ServerError: the server gives nothing more; downloads that run are the caller's to stop.
    """
    step_of: dict[Future[Fetched], Step] = {}
    came: dict[Step, list[Fetched]] = {step: [] for step in steps}
    left = {step: len(step.files) for step in steps}
    refused: list[FileRefusedError] = []
    for step in steps:
        folder = step.series.folder(store) / INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        for file in step.files:
            future = executor.submit(archive.fetch, file, folder=folder, accepted=accepted, moved=watcher.moved)
            step_of[future] = step
    for future in as_completed(step_of):
        step = step_of[future]
        left[step] -= 1
        with _noted(refused):
            came[step].append(future.result())
        watcher.file_done()
        if left[step] == 0:
            refused += _written(store, step, came.pop(step))
    return refused


def _written(store: Path, step: Step, files: Sequence[Fetched]) -> list[FileRefusedError]:
    """Read the files of a month and write it; the errors of those that cannot be used."""
    parts: list[Part] = []
    refused: list[FileRefusedError] = []
    for fetched in sorted(files, key=lambda one: one.file.period):
        with _noted(refused):
            parts.append(_part(fetched))
    if parts:
        whole = step.complete and len(parts) == len(step.files)
        with _noted(refused):
            month = write_month(store, step.series, step.month, parts, complete=whole)
            logger.info("%s %s: %s rows, %s", step.series, step.month, f"{month.rows:,}", _said(parts))
    for fetched in files:
        fetched.path.unlink(missing_ok=True)
    return refused


@contextmanager
def _noted(refused: list[FileRefusedError]) -> Iterator[None]:
    """A file that is refused inside is logged and noted, and whatever follows goes on."""
    try:
        yield
    except FileRefusedError as error:
        logger.error("%s", error)
        refused.append(error)


def _part(fetched: Fetched) -> Part:
    """The rows of a zip.

    Raises:
        FileRefusedError: it holds something else than it should.
    """
    file = fetched.file
    start_ns, end_ns = file.span_ns
    try:
        data = csv_of(fetched.path, member=file.member, most_bytes=file.most_bytes)
    except RefusedZipError as error:
        remedy = "the archive may replace it: ask again later, or compare it with what the exchange's interface gives"
        raise FileRefusedError("file", file.name, str(error), remedy) from None
    parsed = parse(data, file.series, name=file.name, start_ns=start_ns, end_ns=end_ns)
    source = SourceFile(
        name=file.name,
        url=fetched.url,
        sha256=fetched.sha256,
        published_sha256=fetched.published_sha256,
        size_bytes=fetched.size_bytes,
        rows=parsed.table.num_rows,
        fetched=fetched.fetched,
        overridden=fetched.overridden,
    )
    return Part(source=source, parsed=parsed, start_ns=start_ns, end_ns=end_ns)


def _said(parts: Sequence[Part]) -> str:
    files = f"{len(parts)} file" + ("s" if len(parts) > 1 else "")
    repairs = sum(len(part.parsed.repairs) for part in parts)
    return f"{files}, {repairs} noted" if repairs else files
