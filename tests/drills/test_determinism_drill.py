"""The drill of determinism, small; the whole of it is `make drill-determinism`."""

from pathlib import Path

import pytest

from tests.drills.determinism import a_month_more, everywhere


@pytest.mark.slow
@pytest.mark.parametrize("what", ["another day", "hash", "two"])
def test_the_same_bits_in_other_circumstances(what: str, tmp_path: Path) -> None:
    """Another day, another seed of hashes, two threads and two workers."""
    hashes, *findings = everywhere(tmp_path, ["gru", "boosting"], lambda one: what in one.what.lower())
    assert findings and [finding for finding in findings if not finding.met] == [], hashes


@pytest.mark.slow
def test_a_month_more_changes_no_earlier_window(tmp_path: Path) -> None:
    findings = a_month_more(tmp_path, walks=("expanding",), models=("linear",))
    assert len(findings) == 3 and all(finding.met for finding in findings)
