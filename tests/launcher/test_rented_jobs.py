"""What may happen to jobs and connections while a rented machine works, over the whole path; what is kept of them."""

import os
from pathlib import Path

import psutil
import pytest
from aws_faults import FakeAws
from rented_bench import Bench
from rented_boxes import REGION
from runs import wait_for

pytestmark = pytest.mark.slow


def steps(count: int, *, kept: int = 0) -> str:
    """What a job prints that takes so many steps, and finds some of them taken."""
    return "".join(f"step {step}{' was kept' * (step < kept)}\n" for step in range(count))


def at_work(bench: Bench, job: int = 0, text: str = "step 2") -> None:
    wait_for(f"{text} of job {job} at home", lambda: bench.view and text in bench.log(job))


def test_connection_that_breaks(bench: Bench, aws: FakeAws) -> None:
    client = bench.tiny("steps=60", keys={"rent.caller": "null"})
    at_work(bench)
    [machine] = bench.boxes.booted
    bench.boxes.caller = "198.51.100.9"
    aws.refuse("DescribeInstances", "ExpiredToken", times=2)
    bench.boxes.cut(machine)
    wait_for("a rule for the new address", lambda: len(aws.sent("AuthorizeSecurityGroupIngress")) == 2)
    bench.boxes.listen(machine)
    assert client.wait(timeout=90) == 0, bench.said("tiny")
    assert "does not answer" in bench.said("tiny") and "answers again" in bench.said("tiny")
    assert bench.boxes.booted == [machine] and bench.log(0) == steps(60)
    rules = [call.parameters["IpPermissions.1.IpRanges.1.CidrIp"] for call in aws.sent("AuthorizeSecurityGroupIngress")]
    assert rules == ["203.0.113.7/32", "198.51.100.9/32"] and len(aws.sent("RevokeSecurityGroupIngress")) == 1


def test_machine_that_is_out_of_order_for_a_while(bench: Bench) -> None:
    client = bench.tiny("steps=40")
    at_work(bench)
    [agent] = bench.boxes.root.glob("*/agent/agent.py")
    agent.rename(agent.with_suffix(".gone"))
    wait_for("a question without an answer", lambda: "does not answer" in bench.said("tiny"))
    agent.with_suffix(".gone").rename(agent)
    assert client.wait(timeout=60) == 0, bench.said("tiny")
    assert len(bench.boxes.booted) == 1 and bench.log(0) == steps(40)


def test_machine_gone_without_notice(bench: Bench, aws: FakeAws) -> None:
    client = bench.tiny("steps=40,41", keys={"travel.carry": "[kept]"})
    third = "jobs/*/*/store/kept/3"
    wait_for("steps of both at home", lambda: bench.view and len(list(bench.sweep.glob(third))) == 2)
    aws.end(REGION, bench.boxes.live[0])
    assert client.wait(timeout=90) == 0, bench.said("tiny")
    assert len(bench.boxes.booted) == 2 and bench.outcomes() == {0: "DONE", 1: "DONE"}
    for job, count in ((0, 40), (1, 41)):
        carried = bench.log(job, attempt=2).count("was kept")
        assert carried >= 4 and bench.log(job, attempt=2) == steps(count, kept=carried)
    assert aws.live() == [] and bench.view["state"] == "settled"
    assert [path.read_text() for path in sorted(bench.cwd.glob("multirun/*/last.txt"))] == ["all steps\n"] * 2


@pytest.mark.parametrize(("error", "code"), [("RuntimeError", 1), ("UserError", 2)])
def test_job_that_crashes(bench: Bench, error: str, code: int) -> None:
    assert bench.tiny(f"error={error},null").wait(timeout=60) == code
    assert bench.outcomes() == {0: "FAILED", 1: "DONE"}
    said = bench.said("tiny")
    assert ("Traceback" in said) == (error == "RuntimeError") and "fault of botscalp" not in said
    assert ("planted: RuntimeError" if code == 1 else "remedy: take fewer") in said
    assert "Traceback" in (bench.sweep / "jobs/0/result.json").read_text()


def test_jobs_that_do_not_end(bench: Bench) -> None:
    keys = {"limits.job_hours": 0.003, "limits.no_progress_minutes": 0.1, "slots": 4}
    client = bench.tiny("hangs=true,false", "steps=1,1000", keys=keys)
    assert client.wait(timeout=90) == 1
    assert bench.outcomes() == {0: "TIMEOUT", 1: "TIMEOUT", 2: "DONE", 3: "TIMEOUT"}
    reasons = [(bench.sweep / f"jobs/{job}/outcome.json").read_text() for job in (0, 3)]
    assert "no progress" in reasons[0] and "ran longer than" in reasons[1]
    assert "TIMEOUT: no progress" in bench.said("tiny") and "Traceback" not in bench.said("tiny")


def test_agent_that_is_killed(bench: Bench) -> None:
    client = bench.tiny("steps=60")
    at_work(bench)
    before = agents(bench)
    for agent in before:
        agent.kill()
    assert client.wait(timeout=60) == 0, bench.said("tiny")
    assert len(before) == 1 and "had died, and is started again" in bench.said("tiny")
    assert bench.outcomes() == {0: "DONE"} and bench.log(0) == steps(60)
    assert (bench.sweep / "jobs/0/attempt").read_text() == "1", "the job was taken over"


def test_file_that_differs_at_home(bench: Bench) -> None:
    client = bench.tiny("steps=50")
    name = "multirun/0/first.txt"
    wait_for("the first file at home", lambda: bench.view and (bench.sweep / "jobs/0/work" / name).exists())
    pulled = bench.sweep / "jobs/0/work" / name
    known = pulled.stat()
    pulled.write_text("as it was broken \n"[: known.st_size])
    os.utime(pulled, ns=(known.st_atime_ns, known.st_mtime_ns))  # alike for rsync
    assert client.wait(timeout=60) == 0, bench.said("tiny")
    assert pulled.read_text() == (bench.cwd / name).read_text() == "as it was written\n"


def test_mlflow_that_fails_at_home(bench: Bench, aws: FakeAws) -> None:
    store = bench.cwd / "store"
    store.mkdir()
    (store / "mlflow.db").write_text("no database at all, although a text of some length")
    assert bench.tiny("foreign=true", keys={"travel.store_key": "store"}).wait(timeout=60) == 0, bench.said("tiny")
    assert bench.outcomes() == {0: "DONE"} and aws.live() == [] and bench.view["state"] == "settled"
    assert "MLflow" in bench.said("tiny") and "Traceback" not in bench.said("tiny")
    assert (bench.sweep / "jobs/0/snapshot/store/mlflow.db").exists(), "what could not be imported is kept"


def agents(bench: Bench) -> list[psutil.Process]:
    """The agent's processes on the machine."""
    return [process for process in bench.boxes.processes() if Path(process.cmdline()[1]).name == "agent.py"]
