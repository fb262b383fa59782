"""A sweep on rented machines, end to end: a rejected image, a killed client, a spot notice, a job that crashes."""

import json
from pathlib import Path
from typing import Any

import pytest
from aws_faults import FakeAws
from mlflow import MlflowClient
from mlflow.entities import Run
from rented_bench import Bench
from rented_boxes import interrupt
from runs import quiet_libraries, wait_for

JOBS = (
    *("data.start=2023-01-01", "data.end=2023-05-20", "data.edge=0.3"),
    *("wfo=weekly", "wfo.train=4w", "wfo.windows=8"),
    *("features.lags=4", "trainer.epochs=3", "trainer.lr=0.01", "trainer.device=cpu"),
    "backtest.threshold=0.52",
)


def summaries(bench: Bench) -> list[dict[str, Any]]:
    """What the finished jobs' run folders say at home."""
    return [json.loads(path.read_text()) for path in bench.cwd.glob("mlruns/runs/*/*/*/summary.json")]


def runs(bench: Bench, level: str) -> list[Run]:
    """The runs at home."""
    with quiet_libraries():
        client = MlflowClient(f"sqlite:///{bench.cwd}/mlruns/mlflow.db")
        studies = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(studies, f"tags.level = '{level}'", max_results=1000))


@pytest.mark.slow
def test_sweep_survives_what_may_happen(bench: Bench, aws: FakeAws) -> None:
    aws.refuse("RunInstances", "MaxSpotInstanceCountExceeded", market="spot", times=1)
    hidden = "model.hidden=4,5,6,7,8,100000000"  # the last one asks for more memory than there is
    client = bench.start("train", "-m", *bench.launcher("a10g", bench.keys), "study=rented", *JOBS, hidden)
    wait_for("three jobs at work", lambda: bench.states().count("RUNNING") == 3 or client.poll() is not None)
    assert client.poll() is None, bench.said("train")
    interrupt(client)

    working = len(bench.boxes.processes())
    attached = bench.start("gpu", "attach")
    wait_for("two jobs done", lambda: bench.states().count("DONE") >= 2)
    assert working > 3, "the jobs outlived the client"
    first = bench.view["instance_id"]
    bench.boxes.notice = {"action": "terminate", "time": "2031-01-01T00:00:00Z"}
    assert attached.wait(timeout=600) == 0, bench.said("gpu")

    parents = runs(bench, "study")
    assert sorted(run.info.status for run in parents) == ["FAILED"] + ["FINISHED"] * 5
    assert all(run.data.tags["sweep"] == bench.sweep.name for run in parents)
    windows = runs(bench, "window")
    assert len(windows) == 5 * 8 and {run.info.status for run in windows} == {"FINISHED"}
    folders = sorted(Path(summary["mlflow"]["run_id"]).name for summary in summaries(bench))
    assert folders == sorted(run.info.run_id for run in parents if run.info.status == "FINISHED")
    [failed] = [run for run in parents if run.info.status == "FAILED"]
    assert "Traceback" in failed.data.tags["mlflow.note.content"]
    assert bench.view["instance_id"] != first and bench.view["state"] == "settled"
    assert aws.live() == [] and bench.boxes.live == [] and bench.boxes.processes() == []
    [whole] = runs(bench, "sweep")
    assert 0 < whole.data.metrics["cost/settled_usd"] < whole.data.metrics["cost/planned_worst_usd"]
    shares = sum(run.data.metrics["cost/usd"] for run in parents)
    rest = whole.data.metrics["cost/setup_usd"] + whole.data.metrics["cost/idle_usd"]
    assert shares + rest == pytest.approx(whole.data.metrics["cost/settled_usd"], rel=1e-6)
    assert aws.sent("DeleteSecurityGroup") and aws.sent("DeleteKeyPair")
    trials = (bench.cwd / "mlruns/trials.jsonl").read_text().splitlines()
    assert sum("test_start" in line for line in trials) >= 5
