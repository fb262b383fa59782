"""docs/licences.md tells what is pinned and installed, and nothing that botscalp imports is under a copyleft licence."""

import re

import pytest

from tests.licences import PAGE, PARTS, rows

COPYLEFT = re.compile(r"\bA?GPL|(?<!Lesser )General Public License")


def listed(title: str) -> list[tuple[str, str, str]]:
    part = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [(name, version, licence) for name, version, licence in cells[1:]]


@pytest.mark.parametrize("title", PARTS)
def test_the_page_is_current(title: str) -> None:
    """Of what is not installed here, as the peers are not for the quick tests, name and version are compared."""
    told = listed(title)
    assert told == [
        (name, version, licence or shown)
        for (name, version, licence), (*_, shown) in zip(rows(*PARTS[title]), told, strict=True)
    ], "make licences"


def test_nothing_that_is_imported_is_copyleft_or_unknown() -> None:
    runtime = listed("To run")
    assert len(runtime) > 100
    assert not [row for row in runtime if COPYLEFT.search(row[2]) or row[2] in ("unknown", "None")]


def test_copyleft_is_recognised_where_it_is() -> None:
    """Of the peers two are, and are known by it."""
    peers = listed(list(PARTS)[-1])
    assert {name for name, _, licence in peers if COPYLEFT.search(licence)} == {"backtesting", "backtrader"}
