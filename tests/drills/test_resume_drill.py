"""The drill of kills, small: a run and an ingest that are killed, and go on; the whole of it is `make drill-resume`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archive.server import served
from tests.drills.killed_jobs import ingest_killed, published_series
from tests.drills.killed_runs import differences, killed_and_resumed, statuses, windows_logged, words_of
from tests.drills.kills import Moment
from tests.drills.resume import rescores, sweep
from tests.runs import Run, walk

WINDOWS = 2
WORDS = words_of(WINDOWS, "report=false")


@pytest.fixture(scope="module")
def resumed(once: Callable[[str, Callable[[Path], object]], Path]) -> Run:
    """Killed while it saved a window, then, with two workers, when MLflow lacked no more than the result."""

    def make(folder: Path) -> None:
        moments = [Moment("window save", windows=1, share=0.0), Moment("upload", windows=WINDOWS, share=0.0)]
        chain = killed_and_resumed(WORDS, folder / "killed", moments, {"window save": 0.0, "upload": 0.0})
        assert [kill.stage for kill in chain.kills][1:] == ["upload"] and not chain.fitted_again
        (folder / "run").write_text(str(chain.run.folder))

    return Run(Path((once("killed-and-resumed", make) / "run").read_text()))


def test_a_run_that_was_killed_is_the_one_that_nobody_disturbed(resumed: Run, tmp_path: Path) -> None:
    """But for what a run in this process, which nothing records, cannot be told."""
    assert resumed.summary["trials"]["count"] == 1
    figures = ("metrics", "metrics_raw", "baselines", "backtest", "costs")
    words = [word for word in WORDS if word.startswith(("data.end", "wfo.windows"))]
    assert differences(resumed, walk(tmp_path / "run", *words), figures=figures) == []


def test_mlflow_has_each_window_of_it_once_and_nothing_is_left_running(resumed: Run) -> None:
    cwd = resumed.folder.parents[3]
    assert windows_logged(resumed, cwd) == list(range(WINDOWS))
    found = statuses(cwd)
    assert found["KILLED"] >= 2 and set(found) == {"KILLED", "FINISHED"}


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_an_ingest_that_was_killed_leaves_the_store_of_one_that_nobody_disturbed(kills: int, tmp_path: Path) -> None:
    with served() as server:
        again = ingest_killed(server, published_series(server, months=2), tmp_path, kills=kills, seed=kills)
    assert again.same and not again.fetched_again and again.kills == kills


@pytest.mark.slow
def test_a_sweep_and_a_re_scoring_that_were_killed(resumed: Run, tmp_path: Path) -> None:
    findings = [*sweep(tmp_path, kills=2, windows=1), rescores(resumed, resumed.folder.parents[3], kills=2)]
    assert [finding for finding in findings if not finding.met] == []
