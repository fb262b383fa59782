"""compare.html: whether the best of several runs is more than luck, and all that is to be seen of the runs side by side."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botscalp.report.compare_tables import (
    UNFOLDED,
    cost,
    measures,
    rule_results,
    runs_beside,
    what_differs,
    what_was_compared,
)
from botscalp.report.compared import Found, earning, standings
from botscalp.report.figures.overlay import overlay
from botscalp.report.figures.parallel import parallel
from botscalp.report.figures.ranking import ranking
from botscalp.report.figures.search_luck import search_luck
from botscalp.report.outcomes import MEANING
from botscalp.report.page import rendered, write_page

if TYPE_CHECKING:
    import pandas as pd

FILE = "compare.html"
_HEADLINES = {True: "MORE THAN LUCK", False: "NOT MORE THAN LUCK", None: "CANNOT BE TOLD"}


@dataclass(frozen=True)
class Place:
    """Where a run is to be found."""

    title: str
    verdict: str
    run: str
    folder: str
    report: str | None
    """a link from the page, where the run wrote one"""


def write_compare_page(folder: Path, found: Found, curves: "Mapping[str, pd.DataFrame]") -> None:
    """Write compare.html and figures/<name>.png.

    Args:
        found: what compare.json holds.
        curves: return and pnl_quote of each common UTC day, by run.
    """
    drawn = (ranking(found), parallel(found), overlay(found, curves), search_luck(found))
    pictures = {picture.name: picture for picture in drawn if picture is not None}
    write_page(folder / FILE, _page(folder, found, pictures), pictures.values())


def _page(folder: Path, found: Found, pictures: Mapping[str, Any]) -> str:
    runs, more = found["runs"], found["more_than_luck"]
    return rendered(
        "compare.html.j2",
        title=_title(found),
        headline=_HEADLINES[more],
        colour=colour(more, runs[0]["verdict"]),
        answers=_answers(found),
        facts=what_was_compared(found),
        differs=what_differs(found),
        pictures=pictures,
        beside=runs_beside(found),
        measures=measures(found),
        too_few=found["luck"]["undefined"],
        results=rule_results(found),
        cost=cost(found),
        folded=len(runs) > UNFOLDED,
        places=[_place(folder, run) for run in runs],
    )


def _title(found: Found) -> str:
    runs = f"{len(found['runs']):,} runs"
    return f"{runs} that were named" if found["study"] is None else f"{runs} of study {found['study']}"


def colour(more_than_luck: bool | None, verdict: str) -> str:
    """The verdict whose colour the conclusion has: green only where nothing speaks against the best."""
    if more_than_luck is False or verdict in ("SUSPICIOUS", "REJECTED"):
        return "rejected"
    return "candidate" if more_than_luck and verdict == "CANDIDATE" else "inconclusive"


def _answers(found: Found) -> list[tuple[str, str]]:
    """Questions and answers, the conclusion first."""
    best = found["runs"][0]
    reasons = f" What brought it about: {', '.join(best['reasons']).replace('_', ' ')}." if best["reasons"] else ""
    return [
        ("Is the best more than luck?", found["conclusion"]),
        ("Which may be the best?", standings(found)),
        ("Does any earn?", f"{earning(found)} The best nets {best['daily_pnl']:+,.2f} a day, in the quote currency."),
        ("What of the best itself?", f"{best['verdict']}: {MEANING[best['verdict']]}{reasons}"),
    ]


def _place(folder: Path, run: Mapping[str, Any]) -> Place:
    page = Path(run["folder"]) / "report.html"
    link = quote(os.path.relpath(page, folder)) if page.is_file() else None
    return Place(title=run["title"], verdict=run["verdict"], run=run["run"], folder=run["folder"], report=link)
