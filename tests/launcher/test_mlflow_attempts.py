"""MLflow at home over machines and failures: attempts that follow each other, jobs that fail, what it all cost."""

import platform
from pathlib import Path

import pytest
from mlflow_stores import STUDY, TRACEBACK, Box, artifacts_of, at_home, make_run, require_equal

from botscalp.pipeline.tracking import OWNER, close_orphans, open_store
from hydra_plugins.hydra_ec2_launcher.home import mlflow_home

pytestmark = pytest.mark.usefixtures("quiet")


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
