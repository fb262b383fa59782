"""What people and processes do to a sweep on a rented machine, over the whole path: Ctrl-C, kill, attach, down, reap."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import boto3
import pytest
from aws_faults import FakeAws
from rented_bench import QUICK, Bench
from rented_boxes import REGION, interrupt
from runs import wait_for

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import DEADLINE_TAG, OWNER_TAG, SWEEP_TAG

pytestmark = pytest.mark.slow


def begun(bench: Bench, *words: str, **streams: Any) -> "subprocess.Popen[str]":
    """A sweep whose job is at work."""
    client = bench.tiny(*(words or ("steps=60",)), **streams)
    wait_for("a job at work", lambda: "RUNNING" in bench.states() or client.poll() is not None)
    assert client.poll() is None, bench.said("tiny")
    return client


def gone(bench: Bench, aws: FakeAws) -> bool:
    """Whether nothing is rented any more."""
    return not aws.live() and not bench.boxes.live and bench.view["state"] == "settled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_without_a_terminal(bench: Bench, aws: FakeAws, number: int) -> None:
    client = begun(bench)
    client.send_signal(number)
    assert client.wait(timeout=30) == 130
    assert bench.view["state"] == "detached" and len(aws.live()) == 1
    [command] = re.findall(r"python -m botscalp\.gpu attach .*", bench.said("tiny"))
    again = [sys.executable, *shlex.split(command)[1:]]
    assert bench.run("gpu", again).wait(timeout=60) == 0, bench.said("gpu")
    assert bench.outcomes() == {0: "DONE"} and gone(bench, aws) and len(bench.boxes.booted) == 1
    assert (bench.cwd / "multirun/0/last.txt").exists()
    asked = len(aws.calls)
    assert bench.run("gpu", again).wait(timeout=60) == 0, bench.said("gpu")
    assert "settled" in bench.said("gpu") and "DONE" in bench.said("gpu")
    assert not [call for call in aws.calls[asked:] if not call.action.startswith("Describe")], "nothing is done twice"


def test_interrupted_before_a_job_is_at_work(bench: Bench, aws: FakeAws) -> None:
    bench.boxes.fates = ["deaf"]
    client = bench.tiny("steps=1", keys={"needs.wait_s": 60})
    wait_for("a machine that is being checked", lambda: bench.view.get("state") == "checking")
    client.send_signal(signal.SIGINT)
    assert client.wait(timeout=30) == 130
    assert "go on there" not in bench.said("tiny") and gone(bench, aws)


def test_machine_to_look_around(bench: Bench, aws: FakeAws) -> None:
    words = bench.launcher("a10g", {**bench.keys, **QUICK, "needs.wait_s": 60})
    bench.boxes.fates = ["deaf"]
    client = bench.start("gpu", "up", *words)
    wait_for("a machine that is being checked", lambda: bench.view.get("state") == "checking")
    client.send_signal(signal.SIGINT)
    assert client.wait(timeout=30) == 130 and gone(bench, aws)

    assert bench.start("gpu", "up", *words).wait(timeout=60) == 0, bench.said("gpu")
    login = bench.said("gpu").splitlines()[-1]
    there = subprocess.run(f"{login} echo there", shell=True, capture_output=True, text=True, timeout=30, check=False)
    assert there.stdout == "there\n", there.stderr
    assert bench.start("gpu", "down").wait(timeout=60) == 0 and gone(bench, aws)


@contextmanager
def terminal() -> Iterator[tuple[int, int, list[str]]]:
    """A terminal of two ends, and what was written to it."""
    ours, theirs = pty.openpty()
    shown: list[str] = []

    def read() -> None:
        with suppress(OSError):
            while text := os.read(ours, 4096):
                shown.append(text.decode(errors="replace"))

    thread = Thread(target=read, daemon=True)
    thread.start()
    try:
        yield ours, theirs, shown
    finally:
        os.close(theirs)
        thread.join(timeout=10)
        os.close(ours)


@pytest.mark.parametrize(("answer", "ended"), [("y\n", False), ("n\n", True), (None, True)])
def test_interrupted_at_a_terminal(bench: Bench, aws: FakeAws, answer: str | None, ended: bool) -> None:
    with terminal() as (ours, theirs, shown):
        client = begun(bench, stdin=theirs, stdout=theirs, stderr=theirs)
        client.send_signal(signal.SIGINT)
        wait_for("the question", lambda: "Let its jobs go on" in "".join(shown))
        if answer is None:
            client.send_signal(signal.SIGINT)
        else:
            os.write(ours, answer.encode())
        assert client.wait(timeout=60) == 130, "".join(shown)
    assert gone(bench, aws) == ended and ("botscalp.gpu attach" in "".join(shown)) != ended
    assert (bench.view["state"] == "detached") != ended and "Traceback" not in "".join(shown)


def test_one_driver_at_a_time(bench: Bench, aws: FakeAws) -> None:
    client = begun(bench, "steps=500")
    for verb in ("attach", "down"):
        assert bench.start("gpu", verb).wait(timeout=30) == 2
        assert f"kill {client.pid}" in bench.said("gpu") and "Traceback" not in bench.said("gpu")
    wait_for("a running job", lambda: bench.start("gpu", "status").wait(30) == 0 and "RUNNING" in bench.said("gpu"))
    client.send_signal(signal.SIGSTOP)  # it hangs
    interrupt(client)
    assert bench.start("gpu", "down").wait(timeout=60) == 0, bench.said("gpu")
    assert gone(bench, aws) and bench.outcomes() == {}


def test_looking_on_without_a_driver(bench: Bench) -> None:
    interrupt(begun(bench, "steps=500"))
    wait_for("some steps", lambda: list(bench.boxes.root.glob("*/jobs/0/*/store/kept/9")))
    assert bench.start("gpu", "logs", "job=0").wait(timeout=30) == 0 and "step 9\n" in bench.said("gpu")
    assert bench.start("gpu", "fetch").wait(timeout=30) == 0, bench.said("gpu")
    assert list(bench.sweep.glob("jobs/0/*/store/kept/9"))
    bench.boxes.cut(bench.boxes.live[0])
    assert bench.start("gpu", "status").wait(timeout=60) == 0
    assert "does not answer" in bench.said("gpu") and "RUNNING" in bench.said("gpu")
    assert len(bench.boxes.live) == 1, "who only looks ends nothing"


def test_leftovers_are_ended_at_the_next_start(bench: Bench, aws: FakeAws) -> None:
    aws.refuse("TerminateInstances", "UnauthorizedOperation")
    client = bench.tiny("steps=1")
    wait_for("a machine that cannot be ended", lambda: aws.sent("TerminateInstances"))
    interrupt(client)
    aws.faults.clear()
    [left] = bench.boxes.live
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    late, unknown, strange = (
        elsewhere(bench, tags)
        for tags in (
            {OWNER_TAG: "botscalp", SWEEP_TAG: "elsewhere", DEADLINE_TAG: past},
            {OWNER_TAG: "botscalp", SWEEP_TAG: "elsewhere"},
            {OWNER_TAG: "somebody", DEADLINE_TAG: past},
        )
    )
    assert bench.tiny("steps=1").wait(timeout=90) == 0, bench.said("tiny")
    said = bench.said("tiny")
    assert f"{left} its sweep has given it up (terminating); ended" in said
    assert f"{late} its deadline" in said and f"{unknown} left alone" in said and strange not in said
    assert sorted(aws.live()) == sorted([unknown, strange])


def elsewhere(bench: Bench, tags: dict[str, str]) -> str:
    """A machine that another computer has rented; its id."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    client = boto3.client("ec2", region_name=REGION)
    rented = client.run_instances(
        ImageId=bench.boxes.images["good"],
        InstanceType="g5.2xlarge",
        MinCount=1,
        MaxCount=1,
        ClientToken=str(tags),
        TagSpecifications=[{"ResourceType": "instance", "Tags": pairs}],
    )
    return str(rented["Instances"][0]["InstanceId"])
