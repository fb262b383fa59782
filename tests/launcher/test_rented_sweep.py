"""A sweep on rented machines, end to end: a rejected image, a killed client, a spot notice, a job that crashes."""

import getpass
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aws_faults import FakeAws
from mlflow import MlflowClient
from mlflow.entities import Run
from rented_boxes import AMIS, REGION, RentedBoxes, interrupt, metadata, wait_for
from runs import quiet_libraries

ROOT = Path(__file__).resolve().parents[2]
JOBS = (
    *("data.start=2023-01-01", "data.end=2023-05-20", "data.edge=0.3"),
    *("wfo=weekly", "wfo.train=4w", "wfo.windows=8"),
    *("features.lags=4", "trainer.epochs=3", "trainer.lr=0.01", "trainer.device=cpu"),
    "backtest.threshold=0.52",
)


class Bench:
    """A folder in which commands are typed, and the machines that they can rent."""

    def __init__(self, cwd: Path, boxes: RentedBoxes, imds: str) -> None:
        self.cwd = cwd
        self.boxes = boxes
        keys: dict[str, Any] = {
            "rent.regions": f"[{REGION}]",
            "rent.amis": f"[{','.join(AMIS.values())}]",
            "rent.caller": "127.0.0.1/32",
            "rent.user": getpass.getuser(),
            "needs.wait_s": 20,
            "needs.disk_gb": 0.1,
            "travel.code": ROOT,
            "travel.python": boxes.python,
            "connection.port": boxes.port,
            "connection.folder": f"'{boxes.root}/{{sweep}}'",
            "limits.grace_s": 30,
            "site.imds": imds,
            "site.host_key": boxes.host_key,
            "site.tick_s": 0.2,
            "site.poll_s": 0.5,
            "site.pull_s": 3,
        }
        self.launcher = ["hydra/launcher=a10g", *(f"hydra.launcher.{key}={value}" for key, value in keys.items())]

    def start(self, module: str, *words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", f"botscalp.{module}", *words]
        with (self.cwd / f"{module}.out").open("w") as out:
            return subprocess.Popen(command, cwd=self.cwd, stdout=out, stderr=subprocess.STDOUT, text=True)

    def said(self, module: str) -> str:
        return (self.cwd / f"{module}.out").read_text()

    @property
    def view(self) -> dict[str, Any]:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return dict(json.loads((self.cwd / ".last_gpu.json").read_text()))
        return {}

    @property
    def agent(self) -> dict[str, Any]:
        """What the agent on the machine says of itself."""
        for path in self.boxes.root.glob("*/state.json"):
            with suppress(FileNotFoundError, json.JSONDecodeError):
                return dict(json.loads(path.read_text()))
        return {}

    @property
    def sweep(self) -> Path:
        return Path(self.view["folder"])

    def summaries(self) -> list[dict[str, Any]]:
        """What the finished jobs' run folders say at home."""
        return [json.loads(path.read_text()) for path in self.cwd.glob("mlruns/runs/*/*/*/summary.json")]

    def states(self) -> Sequence[str]:
        return [job["state"] for job in self.agent.get("jobs", {}).values()]

    def runs(self, level: str) -> list[Run]:
        with quiet_libraries():
            client = MlflowClient(f"sqlite:///{self.cwd}/mlruns/mlflow.db")
            studies = [experiment.experiment_id for experiment in client.search_experiments()]
            return list(client.search_runs(studies, f"tags.level = '{level}'", max_results=1000))


@pytest.fixture
def bench(aws: FakeAws, tmp_path: Path) -> Iterator[Bench]:
    boxes = RentedBoxes(tmp_path / "cloud", aws)
    boxes.folder.mkdir()
    (tmp_path / "home").mkdir()
    with metadata(boxes) as imds:
        yield Bench(tmp_path / "home", boxes, imds)
        for instance_id in boxes.live:
            boxes.end(instance_id)


@pytest.mark.slow
def test_sweep_survives_what_may_happen(bench: Bench, aws: FakeAws) -> None:
    aws.refuse("RunInstances", "MaxSpotInstanceCountExceeded", market="spot", times=1)
    hidden = "model.hidden=4,5,6,7,8,100000000"  # the last one asks for more memory than there is
    client = bench.start("train", "-m", *bench.launcher, "study=rented", *JOBS, hidden)
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

    parents = bench.runs("study")
    assert sorted(run.info.status for run in parents) == ["FAILED"] + ["FINISHED"] * 5
    assert all(run.data.tags["sweep"] == bench.sweep.name for run in parents)
    windows = bench.runs("window")
    assert len(windows) == 5 * 8 and {run.info.status for run in windows} == {"FINISHED"}
    folders = sorted(Path(summary["mlflow"]["run_id"]).name for summary in bench.summaries())
    assert folders == sorted(run.info.run_id for run in parents if run.info.status == "FINISHED")
    [failed] = [run for run in parents if run.info.status == "FAILED"]
    assert "Traceback" in failed.data.tags["mlflow.note.content"]
    assert bench.view["instance_id"] != first and bench.view["state"] == "settled"
    assert aws.live() == [] and bench.boxes.live == [] and bench.boxes.processes() == []
    [whole] = bench.runs("sweep")
    assert 0 < whole.data.metrics["cost/settled_usd"] < whole.data.metrics["cost/planned_worst_usd"]
    shares = sum(run.data.metrics["cost/usd"] for run in parents)
    rest = whole.data.metrics["cost/setup_usd"] + whole.data.metrics["cost/idle_usd"]
    assert shares + rest == pytest.approx(whole.data.metrics["cost/settled_usd"], rel=1e-6)
    assert aws.sent("DeleteSecurityGroup") and aws.sent("DeleteKeyPair")
    trials = (bench.cwd / "mlruns/trials.jsonl").read_text().splitlines()
    assert sum("test_start" in line for line in trials) >= 5
