"""What is to be fetched and what is stored, in lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from botscalp.archive.plan import Step, total
from botscalp.data.manifest import Series, covered_ns
from botscalp.data.store import read_manifest


def to_fetch(steps: Sequence[Step], wanted: Sequence[Series]) -> Iterator[str]:
    """What the steps fetch, a line a series."""
    for series in wanted:
        own = [step for step in steps if step.series == series]
        files, size_bytes = total(own)
        span = f", {own[0].month} .. {own[-1].month}" if own else ": the store has all that the archive has"
        yield f"{series}: {counted(files, 'file')} to fetch, {megabytes(size_bytes)}{span}"
    if len(wanted) > 1:
        files, size_bytes = total(steps)
        yield f"in all: {counted(files, 'file')}, {megabytes(size_bytes)}"


def stored(store: Path, series: Series) -> str:
    """What the store now holds of the series, in a line."""
    manifest = read_manifest(store, series)
    months = manifest.months
    if not months:
        return f"{series}: nothing"
    gaps = [gap for month in months.values() for gap in month.gaps]
    noted = sum(len(month.repairs) for month in months.values())
    recent = sum(month.recent_rows for month in months.values())
    holes = len(covered_ns(manifest)) - 1
    facts = [
        f"{sum(month.rows for month in months.values()):,} rows in {counted(len(months), 'month')}",
        f"{months[min(months)].start} .. {months[max(months)].end}",
        f"{counted(len(gaps), 'gap')} of {sum(gap.bars for gap in gaps):,} bars" if gaps else "no gap",
        *([f"{counted(holes, 'hole')} not fetched"] if holes else []),
        *([f"{recent:,} recent"] if recent else []),
        *([f"{counted(noted, 'note')} of repairs"] if noted else []),
        *([counted(len(manifest.revisions), "revised file")] if manifest.revisions else []),
    ]
    return f"{series}: {', '.join(facts)}"


def counted(number: int, noun: str) -> str:
    """For instance "1 file" or "36 files"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def megabytes(size_bytes: int) -> str:
    """For instance "12.3 MB"."""
    return f"{size_bytes / 1e6:,.1f} MB"
