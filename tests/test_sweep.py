"""What a sweep on this machine says of its jobs, and that it keeps quiet where somebody else runs them.

tests/commands/test_train_command.py reads what a real one says.
"""

import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf
from summaries import a_summary, undefined

from botscalp.config import CONF
from botscalp.errors import UserError
from botscalp.sweep import BASIC, EndedJob, SweepProgress, table

BASIC_SWEEPER = f"{BASIC[1]}.BasicSweeper"
REASON = "label=a span of 1200 bars: is purged from the end of validation, which has only 1008 bars"


def job(number: int, **changes: Any) -> EndedJob:
    given: dict[str, Any] = {
        "number": number,
        "differs": f"model=gru label.horizon={3 * number}",
        "folder": Path(f"/runs/{number}"),
        "study": "drill",
        "store": "mlruns",
        "summary": a_summary(),
        "failure": None,
    }
    return EndedJob(**(given | changes))


def test_the_table_has_a_line_for_every_job_and_the_command_to_compare_them() -> None:
    lines = list(table([job(0), job(1, summary=None, failure=REASON), job(12)], took_s=150.0))
    assert lines == [
        "",
        "3 jobs in 2 min, each in the folder of its number",
        "job  run     what differs                verdict   net bps a trade         AUC",
        "0    gru-h3  model=gru label.horizon=0   REJECTED  -10.43 [-12.29, -8.53]  0.5348 [0.5260, 0.5428]",
        f"1    -       model=gru label.horizon=3   FAILED    {REASON}",
        "12   gru-h3  model=gru label.horizon=36  REJECTED  -10.43 [-12.29, -8.53]  0.5348 [0.5260, 0.5428]",
        "",
        "compare them: python -m botscalp.compare study=drill",
    ]


def test_figures_that_are_absent_and_jobs_without_any() -> None:
    rows = list(table([job(0, summary=undefined(a_summary())), job(1, summary=None)], took_s=1.0))[3:]
    assert rows == [
        "0    gru-h3  model=gru label.horizon=0  REJECTED  n/a              n/a",
        "1    -       model=gru label.horizon=3  done",
    ], "one with figures is compared to nothing"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "study=drill"),
        ({"study": "two words", "store": "/data/runs"}, "'study=two words' store=/data/runs"),
        ({"summary": a_summary(mlflow=None)}, "'runs=[/runs/0,/runs/1]'"),  # the store knows nothing of them
    ],
)
def test_the_command_names_the_runs(changes: dict[str, Any], words: str) -> None:
    *_, last = table([job(0, **changes), job(1, **changes)], took_s=1.0)
    assert last == f"compare them: python -m botscalp.compare {words}"


def test_runs_of_several_studies_are_named_one_by_one() -> None:
    *_, last = table([job(0, study="one"), job(1, study="two")], took_s=1.0)
    assert last.endswith("'runs=[/runs/0,/runs/1]'")


# The callbacks, as Hydra calls them


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    """The parser of overrides needs one, and what it says of launchers is kept."""
    logger = logging.getLogger(BASIC[0])
    level = logger.level
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
    logger.setLevel(level)


def config(*words: str, num: int = 0, folder: str = "sweep", launcher: str = f"{BASIC[0]}.BasicLauncher") -> DictConfig:
    return OmegaConf.create(
        {
            "study": "drill",
            "store": "mlruns",
            "hydra": {
                "launcher": {"_target_": launcher},
                "sweeper": {"_target_": BASIC_SWEEPER, "params": None},
                "overrides": {"task": list(words)},
                "job": {"num": num},
                "runtime": {"output_dir": f"{folder}/{num}"},
                "sweep": {"dir": folder},
            },
        }
    )


def done(error: Exception | None = None) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED if error is None else JobStatus.FAILED, _return_value=error)


def swept(progress: SweepProgress, folder: Path, *results: Exception | None) -> None:
    """Jobs of a sweep over two horizons, of which those that succeed leave a summary."""
    progress.on_multirun_start(config("seed=1", "model=gru,linear", "label.horizon=range(1,3)", "model=gru"))
    for num, error in enumerate(results):
        one = config("seed=1", "model=gru", f"label.horizon={num + 1}", num=num, folder=str(folder))
        progress.on_job_start(one)
        if error is None:
            (folder / str(num)).mkdir(parents=True)
            (folder / str(num) / "summary.json").write_text(json.dumps(a_summary()))
        progress.on_job_end(one, done(error))


def test_each_job_is_said_as_it_starts_and_ends_and_all_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sweep is over what differs alone: of a key that is typed twice the last word counts."""
    progress = SweepProgress()
    swept(progress, tmp_path, None, UserError("label", "it", "is too long", "shorten it"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["", "job 0 (1/2)  label.horizon=1"]
    assert lines[2] == "job 0 (1/2)  REJECTED, net -10.43 [-12.29, -8.53] bps a trade, AUC 0.5348 [0.5260, 0.5428]"
    assert lines[3:5] == ["", "job 1 (2/2)  label.horizon=2  ETA 0 s"]
    assert lines[5] == "job 1 (2/2)  failed: label=it: is too long"
    assert lines[6:8] == ["", "2 jobs in 0 s, each in the folder of its number"]
    assert lines[10].split()[:4] == ["1", "-", "label.horizon=2", "FAILED"]
    assert lines[-1] == str(tmp_path), "the sweep's folder is the last line"


def test_time_left_is_that_of_the_jobs_to_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("botscalp.sweep.time.monotonic", lambda: now[0])
    progress = SweepProgress()
    progress.on_multirun_start(config("label.horizon=1,2,3,4"))
    for num in range(4):
        progress.on_job_start(config(f"label.horizon={num + 1}", num=num, folder=str(tmp_path)))
        now[0] += 100.0
        progress.on_job_end(config(f"label.horizon={num + 1}", num=num, folder=str(tmp_path)), done())
    said = capsys.readouterr().out
    starts = [line for line in said.splitlines() if "label.horizon" in line and line.startswith("job ") and "(" in line]
    assert [line.partition("ETA ")[2] for line in starts] == ["", "5 min", "3 min", "2 min"]
    assert "4 jobs in 7 min" in said


def test_a_fault_is_named_by_its_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swept(SweepProgress(), tmp_path, RuntimeError("boom\nmore"))
    assert "job 0 (1/2)  failed: RuntimeError: boom\n" in capsys.readouterr().out


@pytest.mark.parametrize("launcher", ["hydra_plugins.ray_cluster_launcher.RayClusterLauncher", "other.Launcher"])
def test_where_somebody_else_runs_the_jobs_it_says_nothing(
    launcher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = SweepProgress()
    progress.on_multirun_start(config("label.horizon=1,2", launcher=launcher))
    there: SweepProgress = pickle.loads(pickle.dumps(progress))  # as a job elsewhere sees it
    for one in (progress, there, SweepProgress()):  # the last as a single run does
        one.on_job_start(config("label.horizon=1", folder=str(tmp_path)))
        one.on_job_end(config("label.horizon=1", folder=str(tmp_path)), done())
    assert capsys.readouterr().out == ""


def test_hydra_calls_it_back_and_its_own_launcher_is_the_one_that_is_watched() -> None:
    composed = compose("train", return_hydra_config=True)
    assert composed.hydra.callbacks.sweep._target_ == f"{SweepProgress.__module__}.{SweepProgress.__name__}"
    assert composed.hydra.launcher._target_.startswith(f"{BASIC[0]}.")
    assert composed.hydra.sweeper._target_ == BASIC_SWEEPER
