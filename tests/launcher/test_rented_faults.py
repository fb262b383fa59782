"""What may go wrong with renting a machine and giving it back, over the whole path; what is kept, and what is said."""

from datetime import UTC, datetime

import pytest
from aws_faults import FakeAws
from rented_bench import Bench
from rented_boxes import REGION
from runs import wait_for

from hydra_plugins.hydra_ec2_launcher.cloud.events import State

pytestmark = pytest.mark.slow


def nothing_left(bench: Bench, aws: FakeAws) -> bool:
    """Whether no machine, process or key is left, and the journal says so."""
    rented = [*aws.live(), *bench.boxes.live, *bench.boxes.processes(), *bench.sweep.glob("keys/*host*")]
    return not rented and bench.view["state"] == "settled" and not bench.lease.prepared


def test_no_rung_gives_a_machine(bench: Bench, aws: FakeAws) -> None:
    aws.refuse("RunInstances", "InsufficientInstanceCapacity", zone=f"{REGION}a")
    aws.refuse("RunInstances", "MaxSpotInstanceCountExceeded", market="spot")
    aws.refuse("RunInstances", "VcpuLimitExceeded", market="on-demand")
    assert bench.tiny("steps=1,2").wait(timeout=60) == 2
    said = bench.said("tiny")
    for word in ("4 rungs were tried", "InsufficientInstanceCapacity", "MaxSpot", "VcpuLimit", "remedy: "):
        assert word in said
    assert "Traceback" not in said and nothing_left(bench, aws)
    assert bench.outcomes() == {} and len(list(bench.sweep.glob("jobs/*/task.pkl"))) == 2, "the queue is intact"


def test_lost_answer_rents_one_machine(bench: Bench, aws: FakeAws) -> None:
    aws.lose("RunInstances")
    assert bench.tiny("steps=1").wait(timeout=60) == 0, bench.said("tiny")
    tokens = {call.parameters["ClientToken"] for call in aws.sent("RunInstances")}
    assert len(aws.sent("RunInstances")) == 2 and len(tokens) == 1 and len(bench.boxes.booted) == 1
    assert bench.outcomes() == {0: "DONE"} and nothing_left(bench, aws)


def test_client_killed_before_the_answer(bench: Bench, aws: FakeAws) -> None:
    bench.boxes.on_boot = lambda: bench.started[0].kill()
    client = bench.tiny("steps=1")
    assert client.wait(timeout=60) < 0 and bench.lease.state is State.REQUESTING
    wait_for("one machine, of which nobody knows", lambda: aws.live() == bench.boxes.booted)
    bench.boxes.on_boot = lambda: None
    assert bench.start("gpu", "attach").wait(timeout=60) == 0, bench.said("gpu")
    assert len(bench.boxes.booted) == 1 and bench.outcomes() == {0: "DONE"} and nothing_left(bench, aws)


def test_ssh_that_never_opens(bench: Bench, aws: FakeAws) -> None:
    bench.boxes.fates = ["deaf"]
    assert bench.tiny("steps=1").wait(timeout=90) == 0, bench.said("tiny")
    first, second = bench.lease.attempts
    assert first.rejected and "Connection refused" in first.why and first.terms.image != second.terms.image
    assert (bench.sweep / "console-1.txt").exists() and nothing_left(bench, aws)


def test_other_host_key(bench: Bench, aws: FakeAws) -> None:
    bench.boxes.fates = ["impostor"]
    assert bench.tiny("steps=1").wait(timeout=60) == 2
    said, [machine] = bench.said("tiny"), bench.boxes.booted
    assert "ALARM" in said and "remedy: " in said and "Traceback" not in said
    assert "Accepted" not in bench.boxes.log(machine).read_text(), "nobody logged in"
    assert nothing_left(bench, aws)


def test_terminate_that_fails(bench: Bench, aws: FakeAws) -> None:
    aws.refuse("TerminateInstances", "UnauthorizedOperation", times=2)
    assert bench.tiny("steps=1").wait(timeout=90) == 0, bench.said("tiny")
    assert len(aws.sent("TerminateInstances")) == 3 and nothing_left(bench, aws)


def test_price_that_rises_beyond_the_budget(bench: Bench, aws: FakeAws) -> None:
    client = bench.tiny("steps=1,1000", keys={"limits.budget_usd": 3, "limits.max_hours": 2})
    wait_for("a job done, and one at work", lambda: "DONE" in bench.outcomes().values() if bench.view else False)
    aws.spot_prices.append((bench.view["zone"], datetime.now(UTC), 20.0))
    assert client.wait(timeout=60) == 1
    assert bench.outcomes() == {0: "DONE", 1: "STOPPED"} and nothing_left(bench, aws)
    assert "budget_usd" in bench.said("tiny") and "Traceback" not in bench.said("tiny")
    assert "step 5" in bench.log(1) and list(bench.sweep.glob("jobs/1/*/store/kept/5")), "what it did is home"
    assert 0 < bench.lease.current.cost_usd < 3
