"""A run draws its page when asked to, keeps its results when drawing fails, and needs nothing of it when not asked."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import Run, walk

from botscalp.report import run_page

DRAWN = {"report.html", "figures"}


def test_the_page_is_drawn_from_the_summary_and_its_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def write_report(folder: Path, summary: dict[str, Any], material: object) -> None:
        assert not (folder / "summary.json").exists(), "that the run is whole is said last"
        seen.append(json.loads(json.dumps(summary)))
        time.sleep(0.2)

    monkeypatch.setattr(run_page, "write_report", write_report)
    run = walk(tmp_path / "run", "report=true")
    (before,) = seen
    for name in ("report_s", "total_s"):
        assert run.summary["time"][name] >= before["time"][name] + 0.2
    assert {**before, "time": None} == {**run.summary, "time": None}


@pytest.mark.parametrize(
    ("error", "level"),
    [(OSError(28, "No space left on device"), "WARNING"), (ZeroDivisionError("of ours"), "ERROR")],
    ids=["refused", "a fault"],
)
def test_a_run_whose_page_cannot_be_drawn_is_whole_and_says_why(
    error: Exception, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With where it happened if it is a fault of ours, and without if the machine refused."""

    def write_report(folder: Path, summary: object, material: object) -> None:
        raise error

    monkeypatch.setattr(run_page, "write_report", write_report)
    with caplog.at_level("INFO", "botscalp"):
        run = walk(tmp_path / "run", "report=true")
    (said,) = (record for record in caplog.records if "report.html could not be drawn" in record.getMessage())
    assert said.levelname == level and bool(said.exc_info) == (level == "ERROR")
    _, _, after = caplog.text.rpartition("report.html could not be drawn")
    assert run.summary["verdict"]["outcome"] in after, "the verdict is told all the same"


def test_a_run_without_the_page_leaves_nothing_of_it(tmp_path: Path, finished: Run) -> None:
    bare = walk(tmp_path / "run")
    files, others = ({path.name for path in run.folder.iterdir()} for run in (bare, finished))
    assert not DRAWN & files and others >= DRAWN
    assert files == others - DRAWN - {"log.txt"}


def test_what_walks_imports_nothing_that_draws() -> None:
    """torch's companions import matplotlib on their own, when the first window is trained; nothing of ours does."""
    heavy = (
        "import sys, botscalp.pipeline.walkforward; print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
