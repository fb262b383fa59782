"""`make drill-hostile`: broken files, malformed configs, configs and models that want to run something, odd markets.

Each case is a test; the drill runs all of them, the slow ones too, and counts.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.drills.page import ROOT, Finding, conclude

CASES: tuple[tuple[str, tuple[str, ...], int], ...] = (
    (
        "mutated archive files: refused, or repaired by name, or missed in a gap; none taken as if nothing were",
        ("tests/archive/test_mutations.py",),
        200,
    ),
    (
        "malformed overrides and files: exit code 2, file, key and suggestion named, no traceback",
        ("tests/commands/test_mistakes.py", "tests/commands/test_malformed_files.py"),
        150,
    ),
    (
        "zips that name other files, bombs, truncated and corrupt ones: refused before anything is unpacked",
        ("tests/archive/test_zips.py",),
        10,
    ),
    (
        "models and stored configs that were tampered with, trust that was not given: refused, nothing imported or unpickled",
        ("tests/commands/test_hostile.py",),
        20,
    ),
    (
        "odd markets (gaps, no volume, flat hours, wicks of half the price, prices of 1e-8 and 1e8): no NaN reaches a model, "
        "no trade leaves the bars",
        ("tests/pipeline/test_odd_markets.py",),
        16,
    ),
)


def ran(files: Sequence[str]) -> tuple[int, int]:
    """How many tests of these files passed, and how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = ["-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", f"--junitxml={report}", *files]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=False)
        suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None, "pytest writes one"
    total, *bad = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    return total - sum(bad), total


def payloads_opened() -> Finding:
    """All payloads at once, in one process."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "commands")]
    from hostile import payloads
    from runs import several

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = payloads(folder)
        outcomes = several([(one.command, one.words) for one in made.values()], cwd=folder)
        opened = len(list(folder.rglob("OPENED*")))
    refused = sum(outcome["code"] == 2 for outcome in outcomes)
    return Finding(
        "configs that name calls, classes, commands, imports or pickles: refused, and none run",
        f"{len(made)} payloads, {refused} refused, {opened} run",
        met=len(made) >= 40 and refused == len(made) and not opened,
    )


def main() -> None:
    """All cases."""
    began = time.monotonic()
    findings = [payloads_opened()]
    for asked, files, least in CASES:
        passed, total = ran(files)
        findings.append(Finding(asked, f"{passed} of {total}", met=passed == total >= least))
    conclude("hostile", "Hostile and broken input", findings, seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
