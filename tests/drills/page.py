"""What a drill found: printed, and written as the drill's own section of docs/reliability.md; the other sections stay."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True)
class Finding:
    """One property that was put to the test."""

    asked: str
    """what has to hold, in words"""
    found: str
    """the figure, in words"""
    met: bool


def conclude(drill: str, title: str, findings: Sequence[Finding], *, seconds: float) -> None:
    """Print the findings, write them under `title` in docs/reliability.md, and exit with 1 where one is not met.

    Args:
        drill: of `make drill-<drill>`; the page has a section for each, in its order.
        seconds: how long the drill took.
    """
    shown = section(drill, title, findings, seconds=seconds, code=_commit(), day=f"{datetime.now(UTC):%Y-%m-%d}")
    print(shown)
    PAGE.write_text(placed(PAGE.read_text(), drill, shown))
    sys.exit(0 if all(finding.met for finding in findings) else 1)


def section(drill: str, title: str, findings: Sequence[Finding], *, seconds: float, code: str, day: str) -> str:
    """The Markdown of one drill's section."""
    rows = [f"| {one.asked} | {one.found} | {'yes' if one.met else '**no**'} |" for one in findings]
    return "\n".join(
        [
            f"## {title}",
            "",
            "```text",
            f"make drill-{drill}",
            "```",
            "",
            "| Asked | Found | Met |",
            "|---|---|---|",
            *rows,
            "",
            f"Run on {day} at {code}, in {seconds / 60:.0f} min.",
        ]
    )


def placed(page: str, drill: str, shown: str) -> str:
    """The page with that section in the place that it keeps for the drill: `<!-- drill-<drill> -->` to the next such mark."""
    before, mark, rest = page.partition(f"<!-- drill-{drill} -->\n")
    assert mark, f"docs/reliability.md keeps no place for drill-{drill}"
    after = re.search(r"^<!-- ", rest, re.MULTILINE)
    return f"{before}{mark}\n{shown}\n\n{rest[after.start() :] if after else ''}".rstrip() + "\n"


def _commit() -> str:
    """The code that was drilled; drills write to docs/ themselves."""
    commit = _git("rev-parse", "--short", "HEAD")
    return commit + (", changed since" if _git("status", "--porcelain", "--", "src", "conf", "tests") else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()
