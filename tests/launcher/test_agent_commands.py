"""What the client asks of the agent."""

import ast
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_box import SOURCES, Box, CommandFailedError, MakeBox, boxes, program
from files import read_json, write_json
from hypothesis import given
from hypothesis import strategies as st
from logs import read_logs

pytestmark = pytest.mark.slow


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    with boxes(tmp_path) as make:
        yield make


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.py")), ids=lambda path: path.name)
def test_the_box_may_have_an_old_python(source: Path) -> None:
    if source.name != "run_job.py":  # the jobs' own interpreter runs that one
        ast.parse(source.read_text(), feature_version=(3, 8))


def test_accept_refuses_what_did_not_arrive_as_sent(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    folder = box.send(3, "result()", accept=False)
    (folder / "task.py").write_text("other()")
    with pytest.raises(CommandFailedError, match=r"task\.py: the SHA-256 is .* as spec\.json says: send it again"):
        box.agent("accept", 3)
    (folder / "task.py").unlink()
    with pytest.raises(CommandFailedError, match="absent"):
        box.agent("accept", 3)
    assert not (folder / "ready").exists()
    box.send(3, "result()")
    before = (folder / "ready").read_text()
    box.agent("accept", 3)
    assert (folder / "ready").read_text() == before


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", ""])
def test_accept_refuses_names_that_lead_out_of_the_job(tmp_path: Path, name: str) -> None:
    box = Box(tmp_path / "box")
    for spec in ({"files": {name: "0" * 64}}, {"stores": [name]}):
        with pytest.raises(CommandFailedError, match="is no path below"):
            box.send(0, "result()", **spec)


@pytest.mark.parametrize("spec", [{"argv": ["-c", 3]}, {"env": {"SEED": 1}}, {"argv": [None]}])
def test_accept_refuses_what_no_process_could_be_started_with(tmp_path: Path, spec: dict[str, Any]) -> None:
    with pytest.raises(CommandFailedError, match="have to be strings"):
        Box(tmp_path / "box").send(0, "result()", **spec)


def test_accept_refuses_another_jobs_spec(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="no spec of job 0"):
        Box(tmp_path / "box").send(0, "result()", job=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "unknown command 'fly'"),
        (["harvested", "9"], "there is no job 9"),
        (["harvested", "0"], "job 0 is QUEUED: only the files of an ended job are complete"),
        (["retime", '{"idle": 3}'], "unknown idle; known are idle_s"),
        (["retime", '{"idle_s": "long"}'], "idle_s is 'long': give a number"),
        (["retime", '{"idle_s": null}'], "idle_s is None: give a number"),
        (["cancel", "9"], "there is no job 9"),
    ],
)
def test_errors_are_one_line_that_says_what_is_wrong(tmp_path: Path, arguments: list[str], words: str) -> None:
    box = Box(tmp_path / "box")
    box.send(0, "result()")
    with pytest.raises(CommandFailedError, match=words):
        box.agent(*arguments)


def test_settings_nobody_knows_are_refused(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", slot=3)
    with pytest.raises(CommandFailedError, match=r"does not start.*unknown slot; known are sweep"):
        box.agent("start")


@given(st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=50), st.integers(1, 120)), max_size=8))
def test_logs_go_on_exactly_where_the_client_stopped(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[bytes, bytes, int]]
) -> None:
    """Whatever two jobs print between two questions, and however little is asked for at once."""
    jobs = tmp_path_factory.mktemp("jobs")
    written, received = {"1": b"", "2": b""}, {"1": b"", "2": b""}

    def ask(limit: int) -> int:
        logs = read_logs(jobs, {num: len(text) for num, text in received.items()}, limit)
        parts = {num: base64.b64decode(part["text_b64"]) for num, part in logs.items()}
        for num, part in parts.items():
            assert logs[num]["offset"] == len(received[num])
            received[num] += part
        return sum(map(len, parts.values()))

    for first, second, limit in rounds:
        for num, more in (("1", first), ("2", second)):
            (jobs / num).mkdir(exist_ok=True)
            written[num] += more
            with (jobs / num / "log.txt").open("ab") as log:
                log.write(more)
        assert ask(limit) <= max(limit, 2)
    while ask(100):
        pass
    assert received == written


def test_many_starts_make_one_agent(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    argv = [sys.executable, str(box.root / "agent/agent.py"), "start"]
    starts = [subprocess.Popen(argv, stdout=subprocess.PIPE) for _ in range(4)]
    try:
        answers = [json.loads(start.communicate(timeout=60)[0]) for start in starts]
        assert sorted(answer["started"] for answer in answers) == [False, False, False, True]
        box.until(lambda: box.state.get("agent_pid"))
        assert subprocess.run([*argv[:-1], "run"], check=False, timeout=60).returncode == 1
        assert "another agent lives" in (box.root / "agent.log").read_text()
    finally:
        box.close()


def test_the_agent_outlives_the_session_that_started_it(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    argv = [sys.executable, str(box.root / "agent/agent.py"), "start"]
    try:
        subprocess.run(["setsid", "--wait", "sh", "-c", '"$@"; kill -HUP 0', "sh", *argv], check=False, timeout=60)
        box.until(lambda: box.state.get("agent_pid"))
        assert box.alive()
        assert os.getsid(box.state["agent_pid"]) == box.state["agent_pid"]
    finally:
        box.close()


@pytest.mark.parametrize("allowed", [True, False])
def test_systemd_starts_the_agent_where_sudo_may_and_else_we_do(tmp_path: Path, allowed: bool) -> None:
    """Here a sudo that plays systemd-run: it starts what stands behind `--`, or asks for a password."""
    unit = """
import pathlib, subprocess, sys
pathlib.Path(__file__).with_name("asked").write_text(" ".join(sys.argv))
null = subprocess.DEVNULL
subprocess.Popen(sys.argv[sys.argv.index("--") + 1:], start_new_session=True, stdout=null, stderr=null)
"""
    sudo = program(tmp_path / "bin", "sudo", unit if allowed else "raise SystemExit('sudo: a password is required')")
    box = Box(tmp_path / "box", path=[sudo.parent])
    here = "import daemon, json, pathlib, sys; print(json.dumps(daemon.start(*map(pathlib.Path, sys.argv[1:]))))"
    argv = [sys.executable, "-c", here, str(box.root), str(tmp_path)]
    try:
        env = {**box.environment, "PYTHONPATH": str(SOURCES)}
        answer = subprocess.run(argv, env=env, capture_output=True, check=True, timeout=60).stdout
        assert json.loads(answer) == {"started": True, "systemd": allowed}
        assert box.alive()
        if allowed:  # without it, systemd ends the jobs together with an agent that died
            assert "--property=KillMode=process" in (sudo.parent / "asked").read_text()
        box.until(lambda: box.state.get("agent_pid"))
    finally:
        box.close()


def test_settings_that_break_leave_the_last_good_ones_in_force(make_box: MakeBox) -> None:
    box = make_box()
    box.until(lambda: box.state.get("agent_pid"))
    settings = (box.root / "agent.json").read_text()
    (box.root / "agent.json").write_text("{")
    box.send(0, "result()")
    box.until_job(0, "DONE")
    assert any("agent.json: no settings of schema 1" in alarm for alarm in box.state["alarms"])
    (box.root / "agent.json").write_text(settings)
    box.until(lambda: box.state["alarms"] == [])
    box.agent("retime", '{"idle_s": 0.5}')
    read_since = time.time()
    box.until(lambda: box.state["now"] > read_since)
    (box.root / "agent.json").write_text("{")
    box.agent("harvested", 0)
    box.until(lambda: not box.alive())
    assert box.state["ending"]["clock"] == "idle"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "state.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "state.json", {"a": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert read_json(tmp_path / "state.json") == {"a": 1}
