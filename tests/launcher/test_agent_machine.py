"""The machine around the jobs: its GPU by nvidia-smi, its interruption by the metadata service, its room for jobs."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from agent_box import MakeBox, boxes, program
from hypothesis import given
from hypothesis import strategies as st
from notice import ask_notice
from packing import Machine, fitting_slots, share_env

pytestmark = pytest.mark.slow

SMI = """
import json, pathlib, sys
if "--query-compute-apps" in sys.argv[1]:
    for path in pathlib.Path("jobs").glob("*/status.json"):
        print(f"{json.loads(path.read_text())['pid']}, 3000")
else:
    print("37, 6100, 22888, 61")
"""
"""An nvidia-smi of a GPU on which every job holds 3000 MiB."""


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    with boxes(tmp_path) as make:
        yield make


class Metadata(BaseHTTPRequestHandler):
    """EC2's instance metadata, version 2: no answer without a token, no notice before there is one."""

    notice: bytes | None = None

    def do_PUT(self) -> None:
        ttl = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._say(200 if self.path == "/latest/api/token" and ttl else 400, b"token-7")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "token-7":
            self._say(401, b"")
        elif self.path == "/latest/meta-data/spot/instance-action" and self.notice is not None:
            self._say(200, self.notice)
        else:
            self._say(404, b"<html>Not Found</html>")

    def log_message(self, *arguments: object) -> None:
        pass

    def _say(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def metadata() -> Iterator[tuple[str, type[Metadata]]]:
    handler = type("Handler", (Metadata,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


NOTICE = {"action": "terminate", "time": "2026-11-24T18:02:00Z"}


def test_the_metadata_service_is_asked_with_a_token(metadata: tuple[str, type[Metadata]]) -> None:
    url, handler = metadata
    assert ask_notice(url) is None
    handler.notice = json.dumps(NOTICE).encode()
    assert ask_notice(url) == NOTICE


def test_a_notice_lets_jobs_save_and_is_kept_over_a_restart(
    make_box: MakeBox, metadata: tuple[str, type[Metadata]]
) -> None:
    url, handler = metadata
    box = make_box(slots=1, imds=url)
    catch = "signal.signal(signal.SIGTERM, lambda *_: (Path('saved').touch(), sys.exit(0)))"
    store = "import sqlite3; sqlite3.connect('own.db').execute('create table t (x)')"
    box.send(0, f"{catch}; {store}; Path('set').touch(); wait_for('never')", stores=["own.db"])
    box.send(1, "result()")
    box.until(lambda: (box.work(0) / "set").exists())
    handler.notice = json.dumps(NOTICE).encode()
    job = box.until_job(0, "PREEMPTED")
    assert NOTICE["time"] in job["reason"] and (box.work(0) / "saved").exists()
    assert (box.root / "jobs/0/snapshot/own.db").exists()
    handler.notice = None
    box.kill_agent()
    box.agent("start")
    box.until(lambda: box.state["phase"] == "interrupted")
    assert box.state["notice"]["time"] == NOTICE["time"] and box.job(1)["state"] == "QUEUED"
    assert json.loads((box.root / "notice.json").read_text())["action"] == "terminate"


@pytest.mark.parametrize("answer", [b"no json", b"[]"])
def test_a_strange_answer_is_no_notice(make_box: MakeBox, metadata: tuple[str, type[Metadata]], answer: bytes) -> None:
    url, handler = metadata
    handler.notice = answer
    box = make_box(imds=url)
    box.send(0, "time.sleep(1); result()")
    box.until_job(0, "DONE")
    handler.notice = json.dumps(NOTICE).encode()
    box.until(lambda: box.state["phase"] == "interrupted")


def test_the_first_job_is_measured_and_decides_the_slots(make_box: MakeBox, tmp_path: Path) -> None:
    smi = program(tmp_path / "bin", "nvidia-smi", SMI)
    box = make_box(slots=0, gpu=[str(smi)])
    for num in range(3):
        box.send(num, "wait_for('go'); result()")
    box.until(lambda: (box.job(0).get("peak_gpu_mib") or 0) == 3000 and len(box.state["jobs"]) == 3)
    assert (
        box.state["counts"] == {"RUNNING": 1, "QUEUED": 2} and "until a job has been measured" in box.state["packing"]
    )
    (box.work(0) / "go").touch()
    box.until_job(0, "DONE")
    box.until(lambda: "until" not in box.state["packing"])
    assert "GPU 0.9 * 22888 / 3000 MiB = 6" in box.state["packing"]
    assert "memory 0.9 *" in box.state["packing"] and box.job(0)["peak_rss_mib"] > 1
    used = box.state["utilisation"]
    assert (used["gpu_percent"], used["memory_used_mib"], used["temperature_c"]) == (37, 6100, 61)
    header, first, *_ = (box.root / "utilisation.csv").read_text().splitlines()
    assert header == "time_unix_s,gpu_percent,memory_used_mib,memory_total_mib,temperature_c"
    assert first.split(",")[1:] == ["37", "6100", "22888", "61"]


@pytest.mark.parametrize("body", ["import time; time.sleep(1000)", "raise SystemExit(9)", "print('N/A')", None])
def test_an_nvidia_smi_that_fails_never_stops_the_agent(make_box: MakeBox, tmp_path: Path, body: str | None) -> None:
    smi = tmp_path / "bin/nvidia-smi" if body is None else program(tmp_path / "bin", "nvidia-smi", body)
    box = make_box(gpu=[str(smi)])
    box.send(0, "result()")
    box.until_job(0, "DONE")
    assert box.state["utilisation"] is None


mib = st.floats(1, 1e6)


@given(st.integers(1, 128), mib, st.none() | mib, st.none() | mib, st.none() | mib)
def test_the_slots_fit_into_what_there_is(
    cores: int, ram: float, gpu: float | None, rss: float | None, gpu_peak: float | None
) -> None:
    slots, _ = fitting_slots(Machine(cores, ram, gpu), rss, gpu_peak)
    assert slots >= 1
    if slots > 1:
        assert slots * 2 <= cores
        assert rss is None or slots * rss <= 0.9 * ram * (1 + 1e-9)
        assert gpu is None or gpu_peak is None or slots * gpu_peak <= 0.9 * gpu * (1 + 1e-9)


@given(st.integers(1, 128), st.integers(1, 64))
def test_threads_are_shared_out_and_never_none(cores: int, slots: int) -> None:
    threads = int(share_env(cores, slots, {})["OMP_NUM_THREADS"])
    assert threads == 1 or threads * slots <= cores
