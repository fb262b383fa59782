"""What becomes of jobs: real processes under a real agent."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_box import Box, MakeBox, boxes


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    with boxes(tmp_path) as make:
        yield make


@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ("result()", "DONE", ""),
        ("result(); sys.exit(3)", "DONE", ""),
        ("sys.exit(0)", "FAILED", "exit code 0, without a result.json"),
        ("sys.exit(3)", "FAILED", "exit code 3, without a result.json"),
        ("Path('../result.json').write_text('{\"job\": 0, ')", "FAILED", "without a result.json that can be read"),
        ("result(config_hash='of another configuration')", "FAILED", "config_hash is 'of another configuration'"),
        ("result(job=7)", "FAILED", "job is 7, not 0"),
        ("result('fine')", "FAILED", "unknown status 'fine'"),
        ("result('failed')", "FAILED", "None"),
        ("result('failed', error={'type': 'ValueError', 'message': 'no'})", "FAILED", "ValueError: no"),
    ],
)
def test_only_a_valid_result_makes_a_job_done(make_box: MakeBox, body: str, state: str, words: str) -> None:
    box = make_box()
    box.send(0, body)
    box.until(lambda: box.job(0)["state"] not in (None, "QUEUED", "RUNNING"))
    assert box.job(0)["state"] == state
    assert words in box.job(0)["reason"]


def test_a_crash_leaves_the_siblings_alone_and_slots_are_kept_to(make_box: MakeBox) -> None:
    box = make_box(slots=2)
    for num in range(5):
        box.send(num, "os.abort()" if num == 1 else "time.sleep(0.3); result()")
    box.until(lambda: box.state["counts"].get("DONE", 0) == 4)
    assert box.job(1)["state"] == "FAILED" and "exit code -6" in box.job(1)["reason"]
    spans = [(job["started"], job["ended"]) for job in box.state["jobs"].values()]
    assert all(sum(start <= moment < end for start, end in spans) <= 2 for moment, _ in spans)


def test_jobs_get_their_environment_and_share(make_box: MakeBox) -> None:
    box = make_box(slots=2, code="code/abc")
    names = ("MINE", "PYTHONPATH", "PYTORCH_ALLOC_CONF", "OMP_NUM_THREADS")
    box.send(
        0,
        f"result(return_value={{name: os.environ.get(name) for name in {names}}})",
        env={"MINE": "1", "OMP_NUM_THREADS": "7"},
    )
    box.until_job(0, "DONE")
    env = json.loads((box.root / "jobs/0/result.json").read_text())["return_value"]
    share = "per_process_memory_fraction:0.450"
    assert env == {
        **{"MINE": "1", "OMP_NUM_THREADS": "7", "PYTORCH_ALLOC_CONF": share},
        "PYTHONPATH": str(box.root / "code/abc/src"),
    }


def test_a_restarted_agent_adopts_what_runs_and_judges_what_ended(make_box: MakeBox) -> None:
    box = make_box(slots=3)
    for num in range(3):
        box.send(num, "wait_for('go'); result() if Path('go').read_text() == 'well' else sys.exit(0)")
    box.until(lambda: box.state["counts"] == {"RUNNING": 3})
    before = {num: _status(box, num)["pid"] for num in range(3)}
    box.kill_agent()
    _go(box, 0, "well")
    _go(box, 1, "badly")
    box.until(lambda: not Path(f"/proc/{before[1]}").exists() and (box.root / "jobs/0/result.json").exists())
    assert box.agent("start")["started"]
    box.until_job(0, "DONE")
    assert box.until_job(1, "FAILED")["reason"] == "ended unseen, without a result.json that can be read"
    assert box.job(2)["state"] == "RUNNING" and _status(box, 2)["pid"] == before[2]
    _go(box, 2, "well")
    box.until_job(2, "DONE")
    assert [_starts(box, num) for num in range(3)] == [[before[num]] for num in range(3)]


def test_an_agent_that_died_between_start_and_record_starts_no_second_process(make_box: MakeBox) -> None:
    box = make_box()
    folder = box.send(0, "wait_for('go'); result()")
    box.until(lambda: (folder / "work/starts").exists())
    box.until_job(0, "RUNNING")
    box.kill_agent()
    nobody = {"pid": None, "process_start": None, "boot": None}
    (folder / "status.json").write_text(json.dumps({**_status(box, 0), **nobody}))
    box.agent("start")
    box.until(lambda: _status(box, 0)["pid"] is not None)
    _go(box, 0, "well")
    box.until_job(0, "DONE")
    assert _starts(box, 0) == [_status(box, 0)["pid"]]


def test_a_pid_that_belongs_to_another_by_now_is_not_adopted(make_box: MakeBox) -> None:
    box = make_box()
    folder = box.send(0, "wait_for('go')")
    box.until_job(0, "RUNNING")
    box.kill_agent()
    os.killpg(_status(box, 0)["pid"], signal.SIGKILL)
    stranger = {**_status(box, 0), "pid": os.getpid()}  # lives, but did not start when the job did
    (folder / "status.json").write_text(json.dumps(stranger))
    box.agent("start")
    assert box.until_job(0, "FAILED")["reason"].startswith("ended unseen")


def test_jobs_of_an_earlier_boot_are_lost(make_box: MakeBox) -> None:
    box = make_box()
    folder = box.send(0, "wait_for('go')")
    box.until_job(0, "RUNNING")
    box.kill_agent()
    os.killpg(_status(box, 0)["pid"], signal.SIGKILL)
    (folder / "status.json").write_text(json.dumps({**_status(box, 0), "boot": "an earlier one"}))
    box.agent("start")
    assert box.until_job(0, "LOST")["reason"] == "the machine restarted"


def test_a_job_that_was_done_before_the_machine_restarted_is_done(make_box: MakeBox) -> None:
    box = make_box()
    folder = box.send(0, "result(); Path('set').touch(); wait_for('go')")
    box.until(lambda: (folder / "work/set").exists() and box.job(0)["state"] == "RUNNING")
    box.kill_agent()
    os.killpg(_status(box, 0)["pid"], signal.SIGKILL)
    (folder / "status.json").write_text(json.dumps({**_status(box, 0), "boot": "an earlier one"}))
    box.agent("start")
    box.until_job(0, "DONE")


def test_a_job_over_its_time_is_stopped_with_sigterm(make_box: MakeBox) -> None:
    box = make_box(job_timeout_s=3)
    box.send(0, "signal.signal(signal.SIGTERM, lambda *_: (Path('saved').touch(), sys.exit(0))); wait_for('never')")
    assert "longer than 3 s" in box.until_job(0, "TIMEOUT")["reason"]
    assert (box.work(0) / "saved").exists()


def test_what_ignores_sigterm_is_killed_after_the_grace_with_all_it_started(make_box: MakeBox) -> None:
    box = make_box(grace_s=0.5, job_timeout_s=3)
    body = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    Path("child").write_text(str(child))
wait_for("never")
"""
    box.send(0, body)
    assert box.until_job(0, "TIMEOUT")["exit_code"] == -signal.SIGKILL
    box.until(lambda: _gone(int((box.work(0) / "child").read_text())))


def test_nothing_a_job_started_outlives_it(make_box: MakeBox) -> None:
    box = make_box()
    box.send(0, "child = os.fork()\nif not child: wait_for('never')\nPath('child').write_text(str(child)); result()")
    box.until_job(0, "DONE")
    box.until(lambda: _gone(int((box.work(0) / "child").read_text())))


def test_a_job_without_progress_is_stopped_and_a_busy_one_is_not(make_box: MakeBox) -> None:
    box = make_box(no_progress_s=1.5)
    box.send(0, "wait_for('never')")
    box.send(1, "for i in range(30): Path('step').write_text(str(i)); time.sleep(0.1)\nresult()")
    assert "no progress" in box.until_job(0, "TIMEOUT")["reason"]
    box.until_job(1, "DONE")


def test_drain_lets_jobs_save_and_starts_no_more(make_box: MakeBox) -> None:
    box = make_box(slots=1)
    handler = "signal.signal(signal.SIGTERM, lambda *_: (Path('saved').touch(), sys.exit(0)))"
    box.send(0, f"{handler}; Path('set').touch(); wait_for('never')")
    box.send(1, "result()")
    box.until(lambda: (box.work(0) / "set").exists())
    box.agent("drain")
    box.until_job(0, "PREEMPTED")
    assert (box.work(0) / "saved").exists()
    time.sleep(0.5)
    assert box.job(1)["state"] == "QUEUED" and box.state["phase"] == "draining"


def test_a_job_that_finished_while_it_was_stopped_is_done(make_box: MakeBox) -> None:
    box = make_box()
    box.send(
        0, "signal.signal(signal.SIGTERM, lambda *_: (result(), sys.exit(0))); Path('set').touch(); wait_for('never')"
    )
    box.until(lambda: (box.work(0) / "set").exists())
    box.agent("drain")
    box.until_job(0, "DONE")


def test_cancel_ends_running_and_queued_jobs(make_box: MakeBox) -> None:
    box = make_box(slots=1)
    box.send(0, "wait_for('never')")
    box.send(1, "result()")
    box.until_job(0, "RUNNING")
    assert box.agent("cancel", "all") == {"cancelled": [0, 1]}
    assert box.until_job(0, "FAILED")["reason"] == box.until_job(1, "FAILED")["reason"] == "cancelled"
    assert not (box.root / "jobs/1/work").exists()


def test_a_higher_attempt_runs_again_and_the_same_one_does_not(make_box: MakeBox) -> None:
    box = make_box()
    box.send(0, "result('failed')")
    box.until_job(0, "FAILED")
    box.agent("harvested", 0)
    box.agent("accept", 0)
    time.sleep(0.5)
    assert box.job(0)["state"] == "FAILED"
    box.send(0, "print('second'); result()", attempt=2)
    assert box.until_job(0, "DONE")["attempt"] == 2
    assert len(_starts(box, 0)) == 2 and not box.job(0)["harvested"]


@pytest.mark.parametrize(
    "end",
    [
        "result('failed', error={'type': 'OutOfMemoryError', 'message': 'CUDA out of memory. Tried to allocate 2 GiB'})",
        "print('torch.OutOfMemoryError: CUDA out of memory.'); sys.exit(1)",
        "os.kill(os.getpid(), signal.SIGKILL)",
    ],
)
def test_out_of_memory_is_tried_once_more_with_fewer_beside(make_box: MakeBox, end: str) -> None:
    box = make_box(slots=3)
    box.send(0, end)
    job = box.until_job(0, "FAILED")
    assert len(_starts(box, 0)) == 2 and job["oom_slots"] == job["slots"] == 2
    assert "ran out of memory" in box.state["packing"]


def test_no_job_starts_on_a_full_disk(make_box: MakeBox) -> None:
    box = make_box(disk_low_gb=1e9)
    box.send(0, "result()")
    box.until(lambda: box.job(0)["state"] == "QUEUED" and box.state["alarms"])
    assert "GB are free: no job starts" in box.state["alarms"][0]


def test_snapshots_are_consistent_while_the_job_writes(make_box: MakeBox) -> None:
    """Every transaction gives all rows one new value, in place and slowly; two values in a copy would be a torn one."""
    box = make_box(snapshot_s=0.1)
    body = """
import sqlite3
os.mkdir("mlruns")
store = sqlite3.connect("mlruns/mlflow.db", timeout=20)
store.execute("pragma cache_size = 2")  # pages of an open transaction reach the file
with store:
    store.execute("create table steps (value integer, filling blob)")
    store.executemany("insert into steps values (?, randomblob(3000))", [(0,)] * 100)
step = 0
while not Path("go").exists():
    step += 1
    with store:
        store.execute("update steps set value = ? where rowid < 50", (step,))
        time.sleep(0.05)
        store.execute("update steps set value = ? where rowid >= 50", (step,))
    time.sleep(0.05)
result()
"""
    folder = box.send(0, body, stores=["mlruns/mlflow.db", "other/absent.db"])
    copy = folder / "snapshot/mlruns/mlflow.db"
    seen: set[int] = set()
    box.until(copy.exists)
    while len(seen) < 8:
        with contextlib.closing(sqlite3.connect(copy.as_uri() + "?immutable=1", uri=True)) as store:
            assert store.execute("pragma integrity_check").fetchall() == [("ok",)]
            values = store.execute("select distinct value from steps").fetchall()
        assert len(values) == 1
        seen.add(values[0][0])
        time.sleep(0.03)
    _go(box, 0, "well")
    assert box.until_job(0, "DONE")["snapshot_at"] is not None
    last = []
    for path in (copy, folder / "work/mlruns/mlflow.db"):
        with contextlib.closing(sqlite3.connect(path)) as store:
            last.append(store.execute("select max(value) from steps").fetchone())
    assert last[0] == last[1], "the last copy is taken after the end"


def test_one_job_that_trips_the_agent_leaves_the_others_alone(make_box: MakeBox) -> None:
    """Job 0 makes its own status unwritable; the alarm goes when that ends."""
    box = make_box(slots=2)
    folder = box.send(0, "wait_for('go'); result()")
    box.until_job(0, "RUNNING")
    box.until(lambda: _blocked(folder / "status.json"))
    _go(box, 0, "well")
    box.until(lambda: any("status.json" in alarm for alarm in box.state["alarms"]))
    box.send(1, "result()")
    box.until_job(1, "DONE")
    (folder / "status.json/x").rmdir()
    (folder / "status.json").rmdir()
    box.until(lambda: box.state["alarms"] == [] and (folder / "status.json").is_file())
    box.until(lambda: _status(box, 0)["state"] == "DONE")


def test_a_program_that_is_not_there_is_a_failure(make_box: MakeBox) -> None:
    box = make_box(python="env/bin/python")
    box.send(0, "result()")
    assert "cannot be started" in box.until_job(0, "FAILED")["reason"]


def test_a_store_that_cannot_be_copied_is_an_alarm_and_no_failure(make_box: MakeBox) -> None:
    box = make_box(slots=1)
    box.send(0, "Path('broken.db').write_text('no database ' * 100); result()", stores=["broken.db"])
    box.until_job(0, "DONE")
    assert "copy of job 0's stores: DatabaseError" in box.state["alarms"][0]


def _go(box: Box, num: int, how: str) -> None:
    aside = box.work(num) / "going"
    aside.write_text(how)
    aside.rename(aside.with_name("go"))


def _status(box: Box, num: int) -> Any:
    return json.loads((box.root / f"jobs/{num}/status.json").read_text())


def _starts(box: Box, num: int) -> list[int]:
    return [int(pid) for pid in (box.work(num) / "starts").read_text().split()]


def _blocked(path: Path) -> bool:
    """Put a folder that holds something in the file's place, unless the agent writes just now."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(FileExistsError):
        (path / "x").mkdir(parents=True)
        return True
    return False


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
