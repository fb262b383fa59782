"""Small parts of `make drill-secrets`, and that its search finds what is there."""

from pathlib import Path

import pytest

from tests.drills.canaries import Planted, plant
from tests.drills.leaks import found_by, proven
from tests.drills.page import ROOT
from tests.drills.planted_commands import Bench, ingest
from tests.runs import TINY


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return plant(tmp_path, ROOT)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_refused_and_what_is_done_write_no_secret(planted: Planted, whole: bool) -> None:
    bench = Bench(planted)
    secret = planted["hydra.job.env_set as typed"]
    bench.run("sweep", "train", "-m", "seed=1,2", f"+hydra.job.env_set.X={secret}", code=2)
    bench.run("variable", "train", "-m", "store=${oc.env:MY_TOKEN},b", code=2)
    bench.run("mistake", "train", *TINY, "model.hidden=abc", code=2)
    if whole:
        bench.run("train", "train", *TINY, "report=false")
        ingest(bench)
    findings = found_by(bench)
    assert len(findings) == 1 + len(planted.by_place) and [one for one in findings if not one.met] == []


def test_the_search_finds_what_is_there(planted: Planted) -> None:
    assert [one for one in proven(planted) if not one.met] == []
    found = found_by(Bench(planted))
    assert [one.asked for one in found if not one.met] == [
        "a secret in MY_TOKEN is in nothing that was written or said"
    ]
