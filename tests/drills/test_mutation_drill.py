"""The drill's parts: which changes are made of a function, and that a real one is noticed where one that changes nothing is not."""

import os
import subprocess
import sys

from tests.drills.mutants import mutants
from tests.drills.mutated import ROOT
from tests.drills.mutation import AT_MOST, PARTS, drawn, explanations

FUNCTION = '''
def kept(rows: list[int] = None) -> int:
    """Docstring: 1 < 2."""
    assert len(rows) > 0, f"{1 + 1}"
    if rows[0] < 3 and not rows[1:last]:
        return max(rows)
    count += 1
'''
CHANGED = {
    ("return max(rows)", "return None"),
    ("return max(rows)", "return min(rows)"),
    ("count += 1", "pass"),
    ("count += 1", "count -= 1"),
    ("count += 1", "count += 2"),
    ("count += 1", "count += 0"),
} | {
    ("if rows[0] < 3 and not rows[1:last]:", f"if {changed}:")
    for changed in (
        "(not (rows[0] < 3 and not rows[1:last]))",
        "rows[0] < 3 or not rows[1:last]",
        "rows[0] <= 3 and not rows[1:last]",
        "rows[1] < 3 and not rows[1:last]",
        "rows[-1] < 3 and not rows[1:last]",
        "rows[0] < 4 and not rows[1:last]",
        "rows[0] < 2 and not rows[1:last]",
        "rows[0] < 3 and rows[1:last]",
        "rows[0] < 3 and not rows[2:last]",
        "rows[0] < 3 and not rows[0:last]",
        "rows[0] < 3 and not rows[1:last + 1]",
    )
}
RUN = """
from tests.drills.mutants import mutants
from tests.drills.mutated import ROOT, notices
path = "src/botscalp/labels/direction.py"
source = (ROOT / path).read_text()
by_change = {one.after: one.source for one in mutants(path, source)}
for changed in ("if h <= len(bars):", "without_gap = bars.number[h:] - bars.number[:-h] != h"):
    print(notices(path, by_change[changed], ["--noconftest", "tests/labels/test_direction_label.py"], limit_s=60))
"""


def test_the_changes_of_a_function() -> None:
    """What it says, declares and asserts is left alone."""
    made = mutants("x.py", FUNCTION)
    assert {(one.before, one.after) for one in made} == CHANGED and len(made) == len(CHANGED)
    assert {one.number for one in made} == {5, 6, 7}
    for one in made:
        compile(one.source, "x.py", "exec")
    (removed,) = [one for one in made if one.after == "pass"]
    assert removed.source == FUNCTION.replace("count += 1", "pass")


def test_a_swapped_comparison_is_noticed_and_one_that_changes_nothing_is_not() -> None:
    """A label of as many bars ahead as there are bars is a label of none: `<=` there changes nothing."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.split() == ["survived", "killed"], done.stderr


def test_every_part_is_drawn_from_and_every_explanation_is_of_a_change_that_can_be_made() -> None:
    chosen = drawn(AT_MOST)
    assert len(chosen) == AT_MOST and {part.name for part, _ in chosen} == {part.name for part in PARTS}
    assert chosen == drawn(AT_MOST) and chosen[:50] == drawn(50)
    assert set(explanations()) <= {one.key for _, one in drawn(10**6)}
