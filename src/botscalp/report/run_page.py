"""report.html of a run: the verdict, what it rests on, and every picture, in one file that needs nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botscalp.report.answers import answers
from botscalp.report.blocks import provenance, rules
from botscalp.report.drawing import Picture
from botscalp.report.material import Material
from botscalp.report.outcomes import MEANING
from botscalp.report.page import rendered, write_page
from botscalp.report.sections import Section, sections

FILE = "report.html"
_QUESTIONS = {
    "worked": "Did it work?",
    "why": "Why, or why not?",
    "on_what": "On what?",
    "how_sure": "How sure is that?",
    "what_would_change": "What would change the answer?",
}


def write_report(folder: Path, summary: Mapping[str, Any], material: Material) -> None:
    """Write report.html and figures/<name>.png into the run's folder.

    Args:
        folder: of the run.
        summary: what summary.json holds.
        material: what the pictures are drawn from beyond it.
    """
    found = sections(summary, material)
    pictures = [part for section in found for part in section.parts if isinstance(part, Picture)]
    write_page(folder / FILE, _page(summary, found), pictures)


def _page(summary: Mapping[str, Any], found: list[Section]) -> str:
    verdict, told = summary["verdict"], answers(summary)
    return rendered(
        "report.html.j2",
        title=summary["title"],
        market=provenance.market(summary),
        outcome=verdict["outcome"],
        meaning=MEANING[verdict["outcome"]],
        answers=[(question, getattr(told, name)) for name, question in _QUESTIONS.items()],
        deciding=rules.deciding_rules(verdict),
        others=rules.other_rules(verdict),
        facts=provenance.what_was_run(summary),
        command=provenance.command(summary),
        details=[provenance.window_ranges(summary), provenance.settings(summary)],
        sections=found,
    )
