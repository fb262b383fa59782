"""A little of `make drill-resources`: a few sizes of disk, one database lost, one folder that may not be written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tracked import fresh_store

from tests.drills.full_disks import SMALL, trains
from tests.drills.lost_tracking import moved, troubled
from tests.drills.refusing import CLEAR, DENIED, obeying, one_message
from tests.drills.resources import disk_findings
from tests.forked import forked

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def fresh(once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    return fresh_store(once, folder)


def test_a_train_on_a_full_disk_stops_with_one_message_and_goes_on_with_room(fresh: Path, tmp_path: Path) -> None:
    found = trains(tmp_path / "trains", fresh, count=3)
    assert [finding.found for finding in disk_findings("train", found) if not finding.met] == []
    assert any(one.code == 2 and one.at for one in found)


def test_a_train_whose_database_goes_away_is_recorded_by_the_next_command(fresh: Path, tmp_path: Path) -> None:
    told = troubled(tmp_path / "moved", fresh, moved)
    assert told.finished and told.recorded


def test_a_store_that_may_not_be_written_is_one_message(fresh: Path, tmp_path: Path) -> None:
    fresh.chmod(0o555)
    done = forked("train", (*SMALL, *CLEAR, f"store={fresh}"), cwd=tmp_path, before=obeying)
    fresh.chmod(0o755)
    assert done.code == 2 and one_message(done, DENIED) and str(fresh) in done.stderr
