"""A health report for the terminal: a row for each series, then what is odd, with dates."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from botscalp.archive.health import Health, Stretch

MOST_LINES = 10
"""of a kind and series; all of them stand in health.json"""
WIDE = 160
"""columns where no terminal has a width of its own: a table in a log is not to be folded"""
COLUMNS = ("series", "from", "to", "bars", "coverage", "gaps", "no trades", "outliers", "repairs", "revised", "recent")


def tell(found: Sequence[Health], console: Console) -> None:
    """Print the table and the lines."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDE, color_system=None)
    table = Table(*COLUMNS[:1], box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for health in found:
        table.add_row(*row_of(health))
    console.print(table)
    for health in found:
        for line in lines_of(health):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def row_of(health: Health) -> tuple[str, ...]:
    """The series' cells, in the order of COLUMNS."""
    return (
        str(health.series),
        health.start[:10],
        health.end[:10],
        f"{health.bars:,}",
        "" if health.coverage is None else f"{100 * health.coverage:.3f} %",
        counted(health.gaps),
        counted(health.zero_volume),
        f"{len(health.outliers):,}",
        f"{len(health.repairs):,}",
        f"{len(health.revisions):,}",
        f"{health.recent:,}",
    )


def counted(stretches: Sequence[Stretch]) -> str:
    """Stretches, and bars in them."""
    return f"{len(stretches):,} ({sum(one.bars for one in stretches):,} bars)" if stretches else "0"


def lines_of(health: Health) -> Iterator[str]:
    """Everything odd, at most MOST_LINES of a kind: stretches by time, outliers the furthest first."""
    kinds = {
        "missing": [_line(one) for one in health.gaps],
        "not fetched": [_line(one) for one in health.unfetched],
        "no trades": [_line(one) for one in health.zero_volume],
        "outlier": [
            f"{one.time}  {one.true_range_bps:,.0f} bps, {one.medians:,.0f} x the month's median"
            for one in health.outliers
        ],
        "repaired": list(health.repairs),
        "revised": [f"{one.name}  noticed {one.noticed}" for one in health.revisions],
        "checksum overridden": list(health.overridden),
    }
    for kind, lines in kinds.items():
        yield from (f"{health.series}  {kind}  {line}" for line in lines[:MOST_LINES])
        if len(lines) > MOST_LINES:
            yield f"{health.series}  {kind}  and {len(lines) - MOST_LINES:,} more in health.json"


def _line(stretch: Stretch) -> str:
    return f"{stretch.start} .. {stretch.end}  {stretch.bars:,} bars"
