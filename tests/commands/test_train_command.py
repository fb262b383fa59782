"""python -m botscalp.train: exit codes, sweeps, and what it does not import."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import TINY, Outcome, Run, arguments, quiet_libraries, several

from tests.forked import forked

SHORT = (*TINY, "wfo.windows=1", "trainer.epochs=1", "report=false", "tracking=none")

# What model=linear takes too, with tracking.
SWEEP = [word for word in SHORT if not word.startswith(("tracking", "model"))]

# A column that knows the next bar's close, planted where the honest ones are computed.
LEAK = """
from botscalp.features.feature_set import FeatureSet
honest = FeatureSet.compute
def leaking(self, bars):
    x_TF = honest(self, bars)
    x_TF[:-1, 1] = bars.close[1:] / bars.close[:-1]
    return x_TF
FeatureSet.compute = leaking
"""


@pytest.fixture(scope="module")
def outcomes(once: Callable[[str, Callable[[Path], object]], Path]) -> list[Outcome]:
    """Runs that differ in fail_on alone, in one process."""

    def make(folder: Path) -> None:
        fail_on = ("[]", "[CANDIDATE]", "[REJECTED,INCONCLUSIVE,SUSPICIOUS]")
        made = several([("train", [*SHORT, f"fail_on={outcomes}"]) for outcomes in fail_on], cwd=folder)
        (folder / "outcomes.json").write_text(json.dumps(made))

    return list(json.loads((once("fail_on", make) / "outcomes.json").read_text()))


def test_fail_on_turns_a_listed_verdict_into_exit_code_4(outcomes: list[Outcome]) -> None:
    verdicts = [Run(Path(outcome["stdout"].splitlines()[-1])).summary["verdict"]["outcome"] for outcome in outcomes]
    assert len(set(verdicts)) == 1 and verdicts[0] != "CANDIDATE"
    assert [outcome["code"] for outcome in outcomes] == [0, 0, 4]
    assert f"the verdict is {verdicts[0]}" in outcomes[2]["stderr"] and "fail_on" in outcomes[2]["stderr"]
    assert "Traceback" not in outcomes[2]["stderr"]


def test_a_run_without_tracking_imports_no_mlflow(outcomes: list[Outcome]) -> None:
    assert outcomes[-1]["imported"] == ["torch"]


def test_the_run_folder_is_the_last_line_even_where_the_verdict_fails_the_process(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        folder = Path(outcome["stdout"].splitlines()[-1])
        assert folder.is_absolute() and (folder / "summary.json").is_file()
        assert not (folder.parents[2] / "mlflow.db").exists()


def test_a_leaking_feature_stops_the_run_by_name(tmp_path: Path) -> None:
    (outcome,) = several([("train", [*SHORT])], cwd=tmp_path, before=LEAK)
    assert outcome["code"] == 3
    assert outcome["stderr"].startswith("features=return_3: BTCUSDT at the bar of 2023-")
    assert "remedy" in outcome["stderr"] and "Traceback" not in outcome["stderr"]
    assert outcome["imported"] == [] and not (tmp_path / "mlruns/windows").exists()


@pytest.mark.parametrize("flags", [("--help",), ("--cfg", "job"), ("--cfg", "job", "model=linear", "wfo=weekly")])
def test_help_and_config_are_answered_without_the_heavy_imports(flags: tuple[str, ...], tmp_path: Path) -> None:
    python, *rest = arguments("train", *flags)
    done = subprocess.run([python, "-X", "importtime", *rest], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    heavy = {"torch", "mlflow", "numba", "pytorch_lightning", "sklearn", "scipy", "pandas", "pyarrow"}
    assert "hydra" in imported and not imported & heavy
    assert list(tmp_path.iterdir()) == [], "asking leaves nothing behind"
    if "--help" in flags:
        assert "python -m botscalp.train" in done.stdout and "model: boosting, ensemble, gru" in done.stdout
        assert "Exit codes" in done.stdout
    else:
        assert "trainer:" in done.stdout and "epochs: 5" in done.stdout


def test_one_failing_job_does_not_stop_a_sweep(tmp_path: Path) -> None:
    """Four jobs of which one asks for a label that no window can hold."""
    done = forked("train", ("-m", *SWEEP, "model=gru,linear", "label.horizon=3,1200"), cwd=tmp_path)
    assert done.code == 2, done.stderr
    assert "label=a span of 1200 bars" in done.stderr and "Traceback" not in done.stderr
    with quiet_libraries():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlruns/mlflow.db'}")
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        studies = client.search_runs(ids, "tags.level = 'study'")
    assert sorted(run.info.run_name for run in studies) == ["gru-h3", "linear-h3"]
    assert {run.info.status for run in studies} == {"FINISHED"}
    (sweep,) = {run.data.tags["sweep"] for run in studies}
    assert (tmp_path / "mlruns/runs/botscalp" / sweep).is_dir()
    summaries = sorted(path.parent.name for path in tmp_path.glob("mlruns/runs/botscalp/*/*/summary.json"))
    assert summaries == ["0", "2"], "folders are numbered by job"
    said = done.stdout.splitlines()
    jobs = [line.partition("  ")[::2] for line in said[:-9] if line.startswith("job ")]  # its start, and its end
    assert [place for place, _ in jobs[::2]] == [f"job {number} ({number + 1}/4)" for number in range(4)]
    assert [words.partition("  ETA ")[0] for _, words in jobs[::2]] == [
        f"model={model} label.horizon={horizon}" for model in ("gru", "linear") for horizon in (3, 1200)
    ]
    assert jobs[3][1].startswith("failed: label=a span of 1200 bars: is purged")
    assert said[-10].startswith("4 jobs in ")
    assert [line.split()[1:3] for line in said[-8:-4]] == [
        ["gru-h3", "model=gru"],
        ["-", "model=gru"],
        ["linear-h3", "model=linear"],
        ["-", "model=linear"],
    ]
    assert said[-3] == "compare them: python -m botscalp.compare study=botscalp"
    assert said[-1] == str(tmp_path / "mlruns/runs/botscalp" / sweep), "the folder that holds a folder a job"
    assert "\x1b" not in done.stdout and "Launching" not in done.stdout


@pytest.mark.slow
def test_a_sweep_gives_a_parent_run_for_every_combination(tmp_path: Path) -> None:
    done = forked("train", ("-m", *SWEEP, "model=gru,linear", "label.horizon=3,6"), cwd=tmp_path)
    assert done.code == 0, done.stderr
    with quiet_libraries():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlruns/mlflow.db'}")
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        studies = client.search_runs(ids, "tags.level = 'study'")
        params = sorted((run.data.params["model.name"], run.data.params["label.horizon"]) for run in studies)
    assert params == [("gru", "3"), ("gru", "6"), ("linear", "3"), ("linear", "6")]
    # At each horizon gru, linear, and the baseline beside gru, which has settings of its own.
    assert len([path for path in (tmp_path / "mlruns/windows").iterdir() if path.is_dir()]) == 6
