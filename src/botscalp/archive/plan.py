"""Which files of the archive a request needs: a month's file where there is one, its days where there is none."""

import logging
import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from botscalp.archive.download import Archive
from botscalp.archive.lines import FileRefusedError
from botscalp.archive.names import ArchiveFile, file_of, has_days
from botscalp.data.manifest import Manifest, Series
from botscalp.errors import UserError
from botscalp.times import SECOND_NS

logger = logging.getLogger(__name__)

LATE_DAYS = 14
"""a day that the archive still lacks after so many is not waited for"""
MONTHLY_DAYS = 60
"""after so many a month has its file, if anything was traded in it"""
FIRST_YEAR = 2017
"""in which the exchange opened"""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The days that a user asks for, both ends included."""

    first: date
    last: date

    @classmethod
    def of(cls, start: str, end: str | None, *, today: date) -> "Span":
        """From the start of one year, month or day to the end of another; an `end` of None is today.

        Raises:
            UserError: no such period, none of its days is over, or it begins before the exchange did.
        """
        first = _days(start, key="start")[0]
        if first.year < FIRST_YEAR:
            raise UserError(
                "start", start, f"lies before {FIRST_YEAR}, when the exchange opened", f"start={FIRST_YEAR}"
            )
        last = today if end is None else min(_days(end, key="end")[1], today)
        if first > last:
            problem = f"lies after {'today' if last == today else f'end={end}'}"
            raise UserError("start", start, problem, "start=2022-01 end=2024-12 takes both months in")
        return cls(first=first, last=last)

    @property
    def months(self) -> list[str]:
        """The months that it meets, such as 2024-01."""
        numbers = range(self.first.year * 12 + self.first.month - 1, self.last.year * 12 + self.last.month)
        return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]

    @property
    def start_ns(self) -> int:
        """Where it begins."""
        return int(datetime.combine(self.first, time(), tzinfo=UTC).timestamp()) * SECOND_NS

    def end_ns(self, *, now: datetime) -> int:
        """Where it ends, exclusive, and not later than now."""
        end = datetime.combine(self.last + timedelta(days=1), time(), tzinfo=UTC)
        return int(min(end, now).timestamp()) * SECOND_NS

    def days_of(self, month: str) -> list[date]:
        """Its days within the month."""
        return [day for day in days_of(month) if self.first <= day <= self.last]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What has to be fetched before a month of a series can be written."""

    series: Series
    month: str
    files: tuple[ArchiveFile, ...]
    sizes_bytes: tuple[int, ...]
    """of the files, as the archive announces them"""
    complete: bool
    """whether the archive has nothing more to give for this month"""


def planned(
    archive: Archive, manifest: Manifest, span: Span, *, today: date, revisions: bool, executor: Executor
) -> list[Step]:
    """The steps that bring the series up to what the archive has of the span, the oldest month first.

    Months that are complete cost no request. Others cost one, and one for each day that is not there yet, unless they
    are long over and lie before the first month that has a file.

    Args:
        revisions: ask for the checksums of the files that gave rows, too, and fetch what was republished; also ask again
            for days that were missing when their month was complete.

    Raises:
        UserError: the archive, and the store, have nothing of this series within the span.
    """
    open_months = [month for month in span.months if not _settled(manifest, month, revisions=revisions)]
    sizes = _sizes(archive, [ArchiveFile(manifest.series, month) for month in open_months], executor)
    stored = [month for month in manifest.months if ArchiveFile(manifest.series, month).name in manifest.sources]
    first = min((*stored, *(file.month for file, size in sizes.items() if size is not None)), default="")
    days = [
        ArchiveFile(manifest.series, day.isoformat())
        for month, size in zip(open_months, sizes.values(), strict=True)
        if size is None and has_days(manifest.series)
        if month >= first or days_of(month)[-1] >= today - timedelta(days=MONTHLY_DAYS)
        for day in span.days_of(month)
        if day < today and ArchiveFile(manifest.series, day.isoformat()).name not in manifest.sources
    ]
    sizes |= _sizes(archive, days, executor)
    if revisions:
        sizes |= _sizes(archive, _republished(archive, manifest, span, executor), executor)
    found = {file: size for file, size in sizes.items() if size is not None}
    begun = span.first < today - timedelta(days=LATE_DAYS)  # before that the exchange alone may have it
    if begun and not found and not any(month in manifest.months for month in span.months):
        problem = f"the archive has nothing of {manifest.series} from {span.first} to {span.last}"
        remedy = "check symbol, market and interval, and since when it has been traded"
        raise UserError("symbols", manifest.series.symbol, problem, remedy)
    return [_step(manifest, month, found, span, today) for month in span.months if _has(month, found)]


def _settled(manifest: Manifest, month: str, *, revisions: bool) -> bool:
    """Whether nothing of the month is to be asked for: it is complete, and without a hole where those are of interest."""
    if month not in manifest.months or not manifest.months[month].complete:
        return False
    return not revisions or _whole(manifest.series, month, set(manifest.sources))


def _whole(series: Series, month: str, names: set[str]) -> bool:
    """Whether these are the month's file, or a file of each of its days, or more."""
    whole = ArchiveFile(series, month).name in names
    return whole or all(ArchiveFile(series, day.isoformat()).name in names for day in days_of(month))


def _sizes(archive: Archive, files: Iterable[ArchiveFile], executor: Executor) -> dict[ArchiveFile, int | None]:
    """The length of each file; None where the archive lacks it."""
    asked = list(files)
    return dict(zip(asked, executor.map(archive.size_bytes, asked), strict=True))


def _has(month: str, found: Iterable[ArchiveFile]) -> bool:
    return any(file.month == month for file in found)


def _step(manifest: Manifest, month: str, found: dict[ArchiveFile, int], span: Span, today: date) -> Step:
    files = sorted((file for file in found if file.month == month), key=lambda file: file.period)
    return Step(
        series=manifest.series,
        month=month,
        files=tuple(files),
        sizes_bytes=tuple(found[file] for file in files),
        complete=_complete(manifest, month, {file.name for file in files}, span, today),
    )


def _complete(manifest: Manifest, month: str, names: set[str], span: Span, today: date) -> bool:
    """Whether the month's file is there, or each of its days is, or was asked for in vain long after it was over."""
    series = manifest.series
    there = names | set(manifest.sources)
    if ArchiveFile(series, month).name in there:
        return True
    asked_for = set(span.days_of(month))
    return all(
        ArchiveFile(series, day.isoformat()).name in there
        or (day in asked_for and day < today - timedelta(days=LATE_DAYS))
        for day in days_of(month)
    )


def _republished(archive: Archive, manifest: Manifest, span: Span, executor: Executor) -> list[ArchiveFile]:
    """The files whose published checksum is no longer the one that was noted when they were fetched, if it is one."""
    sources = [source for month in span.months if month in manifest.months for source in manifest.months[month].sources]
    files = [file_of(manifest.series, source.name) for source in sources]

    def ask(file: ArchiveFile) -> str | None:
        try:
            return archive.published_sha256(file)
        except FileRefusedError as error:
            logger.warning("%s: is kept as it is: %s", file.name, error.problem)
            return None

    now = executor.map(ask, files)
    changed = []
    for file, source, published in zip(files, sources, now, strict=True):
        if published not in (None, source.published_sha256, source.sha256):
            logger.warning("%s was republished: it is fetched again", file.name)
            changed.append(file)
    return changed


def days_of(month: str) -> list[date]:
    """The days of a month such as 2024-01."""
    year, number = map(int, month.split("-"))
    return [date(year, number, day + 1) for day in range(monthrange(year, number)[1])]


def total(steps: Sequence[Step]) -> tuple[int, int]:
    """Files and bytes of the steps."""
    return sum(len(step.files) for step in steps), sum(sum(step.sizes_bytes) for step in steps)


def _days(period: str, *, key: str) -> tuple[date, date]:
    """The first and the last day of a year, a month or a day."""
    if match := re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", period):
        year, month, day = match.groups()
        try:
            first = date(int(year), int(month or 1), int(day or 1))
            if day:
                return first, first
            last_month = first if month else date(int(year), 12, 1)
            return first, days_of(f"{last_month:%Y-%m}")[-1]
        except ValueError:
            pass
    raise UserError(key, period, "is no year, month or day", "such as 2022, 2022-01 or 2022-01-31, UTC")
