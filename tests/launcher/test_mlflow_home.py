"""MLflow runs come home: equal in everything, piece by piece, and each piece once."""

import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow_stores import OURS, STUDY, Box, artifacts_of, at_home, content_of, fill, make_run, require_equal

from botscalp.pipeline.tracking import OWNER, finished_runs, open_store
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import RUN_UID

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_copy_is_equal_in_everything(box: Box, store: Path, sweep: str, tmp_path: Path) -> None:
    fill(box, tmp_path)
    box.pull()
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 2
    parent = next(run for run in at_home(store, sweep) if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.tags["sweep"] == sweep
    assert OWNER not in parent.data.tags


def test_again_nothing_is_written(box: Box, store: Path, sweep: str, tmp_path: Path) -> None:
    fill(box, tmp_path)
    box.pull()
    first = box.bring_home(store, sweep)
    database = (store / "mlflow.db").read_bytes()
    times = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file() and path.suffix != ".lock"}
    box.pull()
    assert box.bring_home(store, sweep) == first
    assert (store / "mlflow.db").read_bytes() == database
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_no_point_is_sent_twice(box: Box, store: Path, sweep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    client, _ = box.client()
    parent = make_run(box)
    sent: list[int] = []
    log_batch = MlflowClient.log_batch

    def noted(self: Any, run_id: str, metrics: Any = (), **others: Any) -> None:
        sent.extend(point.step for point in metrics)
        log_batch(self, run_id, metrics=metrics, **others)

    for step, value in enumerate([0.5, math.nan, math.inf]):
        client.log_metric(parent, "loss", value, step=step)
        box.pull()
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "log_batch", noted)
            box.bring_home(store, sweep)
    assert sent == [0, 1, 2]


def test_a_running_job_comes_home_piece_by_piece(box: Box, store: Path, sweep: str) -> None:
    client, _ = box.client()
    parent = make_run(box)
    for piece in range(3):
        child = make_run(box, name=f"w{piece}", parent=parent)
        client.log_metric(child, "train/loss", 0.5)
        client.log_metric(parent, "window/auc", 0.5 + piece, step=piece)
        client.log_text(parent, "line\n" * (piece + 1), "log.txt")
        box.pull()
        box.bring_home(store, sweep)
        assert require_equal(box, store, sweep) == piece + 2
        assert {run.info.status for run in at_home(store, sweep) if run.info.run_name == "gru-h3"} == {"RUNNING"}
        client.set_terminated(child, "FINISHED")
        client.set_tag(parent, "windows", str(piece + 1))
    client.set_terminated(parent, "FINISHED")
    box.pull()
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 4


def test_artifacts_that_come_after_the_end_are_added(box: Box, store: Path, sweep: str, tmp_path: Path) -> None:
    client, _ = box.client()
    parent = make_run(box)
    box.pull()
    client.log_text(parent, "late", "late.txt")
    client.set_terminated(parent)
    work = tmp_path / "work"
    shutil.copytree(box.kept / "work", work)
    box.pull()
    shutil.rmtree(box.kept / "work")
    shutil.copytree(work, box.kept / "work")  # files are pulled first, so they may be older than the database
    box.bring_home(store, sweep)
    assert artifacts_of(open_store(store, STUDY)[0], at_home(store, sweep)[0].info.run_id) == {}
    box.pull()
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 1


def test_paths_and_ids_read_as_at_home(box: Box, store: Path, sweep: str) -> None:
    client, _ = box.client()
    parent = make_run(box, folder=f"{box.work}/runs/1")
    client.log_param(parent, "data.path", f"{box.work}/bars.parquet")
    location = {"tracking_uri": f"sqlite:///{box.work}/mlruns/mlflow.db", "run_id": parent}
    client.log_text(parent, json.dumps(location), "summary.json")
    box.pull()
    pairs = [(str(box.work), "/project"), (f"{box.work}/mlruns", str(store))]
    translation = box.bring_home(store, sweep, pairs=pairs)
    [run] = at_home(store, sweep)
    assert run.data.params["data.path"] == "/project/bars.parquet"
    assert run.data.tags["folder"] == "/project/runs/1"
    home = {"tracking_uri": f"sqlite:///{store}/mlflow.db", "run_id": run.info.run_id}
    files = artifacts_of(open_store(store, STUDY)[0], run.info.run_id)
    assert json.loads(files["summary.json"]) == home
    assert translation.text(json.dumps(location)) == json.dumps(home)


WRITER = """
import sys, time
from pathlib import Path
from botscalp.pipeline.tracking import open_store
client, experiment_id, _ = open_store(Path(sys.argv[1]), sys.argv[2])
for number in range(3):
    run_id = client.create_run(experiment_id, run_name=f"run {number}").info.run_id
    for step in range(60):
        client.log_metric(run_id, "loss", float("nan") if step % 7 == 0 else 1 / (step + 1), step=step)
    client.log_text(run_id, "the end", "log.txt")
    client.set_terminated(run_id)
"""


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_a_process_goes_on_writing(box: Box, store: Path, sweep: str) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(box.work / "mlruns"), STUDY])
    seen = []
    try:
        while writer.poll() is None:
            box.pull()
            box.bring_home(store, sweep)
            client = open_store(store, STUDY)[0]
            runs = at_home(store, sweep)
            seen.append(sum(len(client.get_metric_history(run.info.run_id, "loss")) for run in runs))
    finally:
        writer.kill()
        writer.wait()
    assert writer.returncode == 0
    box.pull()
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 3
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "the writer was too fast for this test to see it at work"


IMPORTER = """
import sys
from pathlib import Path
from hydra_plugins.hydra_ec2_launcher.home.mlflow_home import import_runs
from hydra_plugins.hydra_ec2_launcher.home.translation import Translation
snapshot, work, pulled, store, job, start = sys.argv[1:]
import mlflow, time
time.sleep(max(0.0, float(start) - time.time()))
import_runs(Path(snapshot), artifacts=(work, Path(pulled)), store=Path(store), sweep="s", job=int(job), attempt=1,
            translation=Translation([]))
"""


@pytest.mark.slow
def test_two_processes_import_into_a_store_that_neither_finds(box: Box, tmp_path: Path) -> None:
    fill(box, tmp_path)
    box.pull()
    store = tmp_path / "new" / "mlruns"
    start = time.time() + 6
    words = [str(box.snapshot), str(box.work), str(box.kept / "work"), str(store)]
    importers = [
        subprocess.Popen([sys.executable, "-c", IMPORTER, *words, str(job), str(start)], stderr=subprocess.PIPE)
        for job in range(2)
    ]
    try:
        for importer in importers:
            _, errors = importer.communicate(timeout=120)
            assert importer.returncode == 0, errors.decode()
    finally:
        for importer in importers:
            importer.kill()
            importer.wait()
    assert len(at_home(store, "s")) == 4
    home, there = open_store(store, STUDY)[0], box.client()[0]
    for run in at_home(store, "s"):
        uid = run.data.tags[RUN_UID]
        assert content_of(home, run.info.run_id, OURS) == content_of(there, uid.rsplit("/")[-1], OURS)


@pytest.mark.slow
def test_a_real_run_is_one_of_the_runs_at_home(workplace: Path, tmp_path: Path, store: Path, sweep: str) -> None:
    box = Box(workplace, tmp_path / "kept")
    box.pull()
    pairs = [(str(workplace), "/project"), (f"{workplace}/mlruns", str(store))]
    translation = box.bring_home(store, sweep, pairs=pairs)
    [study] = [folder.name for folder in (workplace / "mlruns" / "artifacts").iterdir()]
    there, experiment_id, _ = open_store(workplace / "mlruns", study)
    home, _, _ = open_store(store, STUDY)
    copies = {run.data.tags[RUN_UID].rsplit("/")[-1]: run for run in at_home(store, sweep)}
    runs = there.search_runs([experiment_id])
    assert sorted(run.data.tags["level"] for run in runs) == ["study", "window", "window"]
    for run in runs:
        copy = copies[run.info.run_id]
        ours = json.dumps(content_of(home, copy.info.run_id, OURS), sort_keys=True)
        theirs = json.dumps(content_of(there, run.info.run_id, OURS), sort_keys=True)
        assert ours == translation.text(theirs)
        files = artifacts_of(there, run.info.run_id)
        assert sorted(artifacts_of(home, copy.info.run_id)) == sorted(files)
        for name, content in artifacts_of(home, copy.info.run_id).items():
            is_text = Path(name).suffix in (".json", ".yaml", ".txt", ".csv", ".md", ".html")
            assert content == (translation.text(files[name].decode()).encode() if is_text else files[name])
    [folder] = finished_runs(store, study)
    summary = json.loads((folder / "summary.json").read_text())
    assert home.get_run(summary["mlflow"]["run_id"]).info.status == "FINISHED"
    assert summary["mlflow"]["tracking_uri"] == f"sqlite:///{store}/mlflow.db"
    assert str(workplace) not in (folder / "summary.json").read_text()
