"""Small parts of `make drill-parallel`."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from runs import quiet_libraries

from tests.drills.bars_at_once import ingests_at_once, train_beside_ingest
from tests.drills.page import Finding
from tests.drills.parallel import fresh_stores, neighbours
from tests.drills.sweeps_at_once import sweeps_at_once


def check(findings: Sequence[Finding]) -> None:
    assert findings and [one for one in findings if not one.met] == []


def test_processes_that_begin_at_once_on_a_fresh_store_lose_nothing(tmp_path: Path) -> None:
    with quiet_libraries():
        check(fresh_stores(tmp_path, processes=8, repetitions=1))


def test_a_run_whose_process_was_killed_is_closed_among_the_living(tmp_path: Path) -> None:
    with quiet_libraries():
        check(neighbours(tmp_path, processes=4, repetitions=1))


def test_two_ingests_at_once_leave_what_one_leaves(tmp_path: Path) -> None:
    check(ingests_at_once(tmp_path / "ingests", processes=2, repetitions=1))


@pytest.mark.slow
def test_sweeps_at_once_predict_what_each_does_alone(tmp_path: Path) -> None:
    with quiet_libraries():
        check(sweeps_at_once(tmp_path / "sweeps", ["seed=1,2"], ["seed=2,1"], repetitions=1))


@pytest.mark.slow
def test_a_train_reads_what_an_ingest_rewrites(tmp_path: Path) -> None:
    with quiet_libraries():
        check(train_beside_ingest(tmp_path / "beside", trains=1))
