"""Runs of a job's own store come home whole, once, and again and again while the job works."""

import json
import math
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from runs import quiet_libraries

from botscalp.pipeline.tracking import OWNER, close_orphans, finished_runs, open_store
from hydra_plugins.hydra_ec2_launcher.home import mlflow_home
from hydra_plugins.hydra_ec2_launcher.home.mlflow_store import RUN_UID, SnapshotError
from hydra_plugins.hydra_ec2_launcher.home.translation import Translation

STUDY = "scalping"
TRACEBACK = "Traceback (most recent call last):\n  File job.py\nValueError: no bars"
sweeps = (f"sweep-{number}" for number in count())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_libraries():
        yield


@dataclass(frozen=True)
class Box:
    """A job's working folder on the machine, and what was pulled of it."""

    work: Path
    kept: Path

    @property
    def snapshot(self) -> Path:
        return self.kept / "snapshot" / "mlruns" / "mlflow.db"

    def client(self) -> tuple[Any, str]:
        client, experiment_id, _ = open_store(self.work / "mlruns", STUDY)
        return client, experiment_id

    def pull(self) -> None:
        """Everything that the job has written so far, as the agent and the transport bring it."""
        shutil.copytree(self.work, self.kept / "work", dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow.*"))
        self.snapshot.parent.mkdir(parents=True, exist_ok=True)
        aside = self.snapshot.with_name("aside")
        with closing(sqlite3.connect(self.work / "mlruns" / "mlflow.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(aside),))
        aside.replace(self.snapshot)

    def bring_home(self, store: Path, sweep: str, job: int = 0, attempt: int = 1, pairs: Any = ()) -> Translation:
        return mlflow_home.import_runs(
            self.snapshot,
            artifacts=(str(self.work), self.kept / "work"),
            store=store,
            sweep=sweep,
            job=job,
            attempt=attempt,
            translation=Translation(list(pairs)),
        )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Box, Path]:
    """A store on a machine, and one at home; making one takes seconds, so tests share them and use other runs."""
    folder = tmp_path_factory.mktemp("stores")
    box = Box(folder / "box" / "jobs" / "0" / "work", folder / "home" / "jobs" / "0")
    with quiet_libraries():
        box.client()
        open_store(folder / "project" / "mlruns", STUDY)
    return box, folder / "project" / "mlruns"


@pytest.fixture
def box(stores: tuple[Box, Path]) -> Iterator[Box]:
    """The machine's store, without a run."""
    box, _ = stores
    yield box
    client, experiment_id = box.client()
    for run in client.search_runs([experiment_id]):
        client.delete_run(run.info.run_id)
    shutil.rmtree(box.kept, ignore_errors=True)


@pytest.fixture
def store(stores: tuple[Box, Path]) -> Path:
    return stores[1]


@pytest.fixture
def sweep() -> str:
    """A name that no other test uses."""
    return next(sweeps)


def make_run(box: Box, *, name: str = "gru-h3", parent: str | None = None, **tags: str) -> str:
    client, experiment_id = box.client()
    all_tags = {"level": "study", **tags, **({} if parent is None else {"mlflow.parentRunId": parent})}
    return str(client.create_run(experiment_id, run_name=name, tags=all_tags).info.run_id)


def at_home(store: Path, sweep: str, view: int = 1) -> list[Any]:
    """The sweep's runs at home, oldest first; view 2 are those in the trash."""
    client, _, _ = open_store(store, STUDY)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.`{RUN_UID}` LIKE '{sweep}/%'"
    return list(
        client.search_runs(ids, query, view, order_by=["attributes.start_time ASC", "tags.`mlflow.runName` ASC"])
    )


def content_of(client: Any, run_id: str, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """All that a store tells of a run but its id, histories with NaN as text."""
    run = client.get_run(run_id)
    histories = {
        name: sorted(
            (point.step, point.timestamp, repr(point.value)) for point in client.get_metric_history(run_id, name)
        )
        for name in run.data.metrics
    }
    return {
        "info": [run.info.run_name, run.info.status, run.info.start_time, run.info.end_time, run.info.lifecycle_stage],
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "params": run.data.params,
        "tags": {key: value for key, value in run.data.tags.items() if key not in leave},
        "metrics": {name: repr(value) for name, value in run.data.metrics.items()},
        "histories": histories,
        "datasets": [
            (used.dataset.to_dictionary(), [dict(tag) for tag in used.tags]) for used in run.inputs.dataset_inputs
        ],
    }


OURS = (RUN_UID, mlflow_home.ATTEMPT, mlflow_home.COMPLETE, "sweep", "mlflow.parentRunId", OWNER)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifacts_of(client: Any, run_id: str) -> dict[str, bytes]:
    folder = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    return files_of(folder) if folder.exists() else {}


def require_equal(box: Box, store: Path, sweep: str, job: int = 0) -> int:
    """Every run of the machine is at home with all it has; how many there are."""
    there, experiment_id = box.client()
    home, _, _ = open_store(store, STUDY)
    copies = {run.data.tags[RUN_UID]: run for run in at_home(store, sweep)}
    runs = there.search_runs([experiment_id])
    assert len(copies) == len(runs)
    for run in runs:
        copy = copies[f"{sweep}/{job}/{run.info.run_id}"]
        assert content_of(home, copy.info.run_id, OURS) == content_of(there, run.info.run_id, OURS)
        assert artifacts_of(home, copy.info.run_id) == artifacts_of(there, run.info.run_id)
        parent = run.data.tags.get("mlflow.parentRunId")
        home_parent = None if parent is None else copies[f"{sweep}/{job}/{parent}"].info.run_id
        assert copy.data.tags.get("mlflow.parentRunId") == home_parent
        assert (mlflow_home.COMPLETE in copy.data.tags) == (run.info.status != "RUNNING")
    return len(runs)


def fill(box: Box, folder: Path) -> str:
    """A parent run with all that a run can have, and a child; the parent's id."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    client, _ = box.client()
    parent = make_run(box, **{OWNER: f"{platform.node()}/1/0.00"})
    child = make_run(box, name="gru-h3 w00 2024-01-01", parent=parent)
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1]
    points = [Metric("val/auc", values[step % 6], 1_700_000_000_000 + step, step // 2) for step in range(1_200)]
    for start in range(0, len(points), 1_000):
        client.log_batch(parent, metrics=points[start : start + 1_000])
    client.log_batch(parent, metrics=[Metric("backtest/mean_net_bps", math.nan, 1_700_000_000_000, 0)])
    for start in range(0, 150, 75):
        client.log_batch(parent, params=[Param(f"p{n}", f"value {n}") for n in range(start, start + 75)])
        client.log_batch(parent, tags=[RunTag(f"t{n}", f"tag {n}") for n in range(start, start + 75)])
    bars = Dataset(name="bars", digest="abc", source_type="local", source="{}", schema="{}", profile="{}")
    client.log_inputs(parent, [DatasetInput(bars, [InputTag("mlflow.data.context", "training")])])
    run_folder = folder / "run"
    (run_folder / "models" / "00").mkdir(parents=True)
    (run_folder / "summary.json").write_text(json.dumps({"auc": 0.53, "run_id": "none"}))
    (run_folder / "models" / "00" / "weights.bin").write_bytes(bytes(range(256)) * 10)
    client.log_artifacts(parent, str(run_folder))
    client.log_batch(child, metrics=[Metric("train/loss", 0.7, 1_700_000_000_000, 0)])
    client.set_terminated(child, "FINISHED", 1_700_000_900_000)
    client.set_terminated(parent, "FAILED", 1_700_001_000_000)
    return parent


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


def test_a_new_attempt_supersedes_the_earlier_one(box: Box, store: Path, sweep: str) -> None:
    old = make_run(box, name="first")
    make_run(box, name="first w00", parent=old)
    box.pull()
    box.bring_home(store, sweep)
    stale = box.snapshot.read_bytes()
    box.bring_home(store, sweep, attempt=2)  # the copy that the first attempt left
    assert [run.info.run_name for run in at_home(store, sweep)] == ["first", "first w00"]
    make_run(box, name="second")
    box.pull()
    for _ in range(2):
        box.bring_home(store, sweep, attempt=2)
        assert [run.info.run_name for run in at_home(store, sweep)] == ["second"]
        assert [run.info.run_name for run in at_home(store, sweep, view=2)] == ["first", "first w00"]
    box.snapshot.write_bytes(stale)
    box.bring_home(store, sweep, attempt=1)
    assert [run.info.run_name for run in at_home(store, sweep)] == ["second"]


def test_jobs_do_not_supersede_each_other(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    for job, attempt in ((11, 1), (1, 2), (2, 1)):
        box.bring_home(store, sweep, job=job, attempt=attempt)
    box.bring_home(store, f"{sweep}x")
    assert len(at_home(store, sweep)) == 3


def test_what_a_person_deleted_stays_deleted(box: Box, store: Path, sweep: str) -> None:
    client, _ = box.client()
    parent = make_run(box)
    box.pull()
    box.bring_home(store, sweep)
    open_store(store, STUDY)[0].delete_run(at_home(store, sweep)[0].info.run_id)
    client.log_metric(parent, "loss", 1.0)
    box.pull()
    box.bring_home(store, sweep)
    assert (len(at_home(store, sweep)), len(at_home(store, sweep, view=2))) == (0, 1)


def test_no_process_at_home_ends_a_run_that_goes_on_elsewhere(box: Box, store: Path, sweep: str) -> None:
    parent = make_run(box, **{OWNER: f"{platform.node()}/999999/1.00"})  # the machine may bear this one's name
    make_run(box, name="w00", parent=parent)
    box.pull()
    box.bring_home(store, sweep)
    close_orphans(open_store(store, STUDY)[0])
    assert [run.info.status for run in at_home(store, sweep)] == ["RUNNING", "RUNNING"]


def test_a_killed_jobs_runs_are_ended_and_its_last_word_still_counts(box: Box, store: Path, sweep: str) -> None:
    client, _ = box.client()
    parent = make_run(box)
    child = make_run(box, name="w00", parent=parent)
    client.set_terminated(child, "FINISHED")
    box.pull()
    box.bring_home(store, sweep)
    mlflow_home.close(store, sweep=sweep, job=0, status="KILLED")
    box.bring_home(store, sweep)
    assert [run.info.status for run in at_home(store, sweep)] == ["KILLED", "FINISHED"]
    client.set_terminated(parent, "FAILED")
    box.pull()
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 2


def test_a_failed_job_says_why(box: Box, store: Path, sweep: str) -> None:
    parent = make_run(box)
    make_run(box, name="w00", parent=parent)
    box.pull()
    box.bring_home(store, sweep)
    for _ in range(2):
        mlflow_home.record_failure(store, sweep=sweep, job=0, title="seed=1", status="FAILED", text=TRACEBACK)
    run, child = at_home(store, sweep)
    assert (run.info.status, child.info.status) == ("FAILED", "FAILED")
    assert TRACEBACK in run.data.tags["mlflow.note.content"]
    assert "mlflow.note.content" not in child.data.tags
    assert artifacts_of(open_store(store, STUDY)[0], run.info.run_id) == {"traceback.txt": TRACEBACK.encode()}


def test_a_job_that_failed_before_it_made_a_run_gets_one(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    box.bring_home(store, sweep, job=1)
    long = "x" * 50_000 + TRACEBACK
    for _ in range(2):
        mlflow_home.record_failure(store, sweep=sweep, job=2, title="seed=2", status="FAILED", text=long)
    _, run = at_home(store, sweep)
    client, experiment_id, _ = open_store(store, STUDY)
    assert (run.info.run_name, run.info.status, run.info.experiment_id) == ("seed=2", "FAILED", experiment_id)
    assert {key: run.data.tags[key] for key in ("sweep", "level", "job")} == {
        "sweep": sweep,
        "level": "study",
        "job": "2",
    }
    assert TRACEBACK in run.data.tags["mlflow.note.content"]
    assert artifacts_of(client, run.info.run_id) == {"traceback.txt": long.encode()}
    box.bring_home(store, sweep, job=2)  # what the machine tells after all
    assert "seed=2" not in [run.info.run_name for run in at_home(store, sweep)]


def test_a_sweep_has_one_summary_and_every_job_its_cost(box: Box, store: Path, sweep: str) -> None:
    parent = make_run(box)
    make_run(box, name="w00", parent=parent)
    box.pull()
    box.bring_home(store, sweep)
    params = {"prices.source": "list prices", "prices.date": "2026-11-01"}

    def tell(running_usd: float, jobs: dict[str, int], ended: bool) -> str:
        costs = {"planned_worst_usd": 5.0, "running_usd": running_usd}
        mlflow_home.log_cost(store, sweep=sweep, job=0, metrics={"usd": running_usd})
        return mlflow_home.sweep_summary(store, sweep=sweep, costs=costs, jobs=jobs, params=params, ended=ended)

    first = tell(0.5, {"RUNNING": 1}, False)
    database = (store / "mlflow.db").read_bytes()
    assert tell(0.5, {"RUNNING": 1}, False) == first
    assert (store / "mlflow.db").read_bytes() == database
    params["prices.date"] = "2026-11-02"  # the first word stands
    assert tell(0.75, {"DONE": 1}, True) == first
    client, experiment_id, _ = open_store(store, STUDY)
    summary = client.get_run(first)
    assert summary.info.experiment_id == experiment_id
    assert (summary.data.tags["level"], summary.data.tags["sweep"], summary.info.status) == ("sweep", sweep, "FINISHED")
    assert summary.data.params == {"prices.source": "list prices", "prices.date": "2026-11-01"}
    assert summary.data.metrics == {
        "cost/planned_worst_usd": 5.0,
        "cost/running_usd": 0.75,
        "jobs/RUNNING": 0,
        "jobs/DONE": 1,
    }
    costs = {run.info.run_name: run.data.metrics for run in at_home(store, sweep)}
    assert (costs["gru-h3"], costs["w00"]) == ({"cost/usd": 0.75}, {})
    assert box.bring_home(store, sweep)
    assert client.get_run(first).info.status == "FINISHED"


def test_artifacts_elsewhere_on_the_machine_are_left_there(
    box: Box, store: Path, sweep: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    make_run(box)
    box.pull()
    for uri in (f"file://{tmp_path}", f"file://{box.work}/../../../../../{tmp_path}"):
        with closing(sqlite3.connect(box.snapshot)) as connection:
            connection.execute("UPDATE runs SET artifact_uri = ?", (uri,))
            connection.commit()
        box.bring_home(store, sweep)
    [run] = at_home(store, sweep)
    assert artifacts_of(open_store(store, STUDY)[0], run.info.run_id) == {}
    assert caplog.text.count("outside of what came home") == 2


def test_an_experiment_cannot_put_artifacts_outside_of_the_store(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    with closing(sqlite3.connect(box.snapshot)) as connection:
        connection.execute("UPDATE experiments SET name = '../../elsewhere' WHERE name = ?", (STUDY,))
        connection.commit()
    with pytest.raises(ValueError, match="elsewhere"):
        box.bring_home(store, sweep)
    assert at_home(store, sweep) == []


def test_another_version_of_mlflow_is_refused(box: Box, store: Path, sweep: str) -> None:
    make_run(box)
    box.pull()
    with closing(sqlite3.connect(box.snapshot)) as connection:
        [[ours]] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
        connection.commit()
    with pytest.raises(SnapshotError, match=f"deadbeef.*{ours}"):
        box.bring_home(store, sweep)
    assert at_home(store, sweep) == []


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_damaged_copy_is_refused_and_a_good_one_taken_later(
    box: Box, store: Path, sweep: str, content: bytes | None
) -> None:
    make_run(box)
    box.pull()
    good = box.snapshot.read_bytes()
    box.snapshot.unlink() if content is None else box.snapshot.write_bytes(content)
    with pytest.raises(SnapshotError):
        box.bring_home(store, sweep)
    box.snapshot.write_bytes(good)
    box.bring_home(store, sweep)
    assert require_equal(box, store, sweep) == 1


def test_an_experiment_deleted_at_home_is_named(stores: tuple[Box, Path], store: Path, sweep: str) -> None:
    home, experiment_id, _ = open_store(store, STUDY)
    box, _ = stores
    make_run(box)
    box.pull()
    home.delete_experiment(experiment_id)
    try:
        with pytest.raises(ValueError, match=STUDY):
            box.bring_home(store, sweep)
    finally:
        home.restore_experiment(experiment_id)
    client, there_id = box.client()
    for run in client.search_runs([there_id]):
        client.delete_run(run.info.run_id)


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
