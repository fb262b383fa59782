"""The page of the drills: a section is replaced, the others stay."""

import re

from tests.drills.page import PAGE, Finding, placed, section

MARKED = "# Title\n\n<!-- drill-a -->\n\nold\n\n<!-- drill-b -->\n\nkept\n"


def test_a_section_says_what_was_asked_found_and_missed() -> None:
    findings = [Finding("no run is lost", "0 of 50", met=True), Finding("no byte differs", "3 differ", met=False)]
    shown = section("a", "Killed anywhere", findings, seconds=130, code="abc", day="2026-01-02")
    assert shown.splitlines()[0] == "## Killed anywhere" and "make drill-a" in shown
    assert "| no run is lost | 0 of 50 | yes |" in shown and "| no byte differs | 3 differ | **no** |" in shown
    assert shown.endswith("Run on 2026-01-02 at abc, in 2 min.")


def test_a_drill_replaces_its_own_section_alone() -> None:
    first = placed(MARKED, "a", "## new")
    assert first == "# Title\n\n<!-- drill-a -->\n\n## new\n\n<!-- drill-b -->\n\nkept\n"
    assert placed(first, "a", "## new") == first
    assert placed(first, "b", "## last").endswith("<!-- drill-b -->\n\n## last\n")


def test_each_drill_of_the_makefile_has_its_place() -> None:
    makefile = (PAGE.parents[1] / "Makefile").read_text()
    assert re.findall(r"^<!-- drill-(\S+) -->", PAGE.read_text(), re.M) == re.findall(r"^drill-(\S+):", makefile, re.M)
