"""A folder in which commands are typed, and the machines that they can rent."""

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aws_faults import FakeAws
from rented_boxes import AMIS, REGION, RentedBoxes, metadata

from hydra_plugins.hydra_ec2_launcher.cloud.journal import read
from hydra_plugins.hydra_ec2_launcher.cloud.lease import Lease

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny_app.py")
QUICK: Mapping[str, Any] = {
    "rent.amis": f"[{AMIS['good']},{AMIS['spare']}]",
    "rent.price_ceiling_usd": 2,
    "slots": 2,
    "needs.wait_s": 3,
    "travel.code": "null",
    "limits.lost_minutes": 1,
    "limits.grace_s": 3,
    "site.tick_s": 0.1,
    "site.poll_s": 0.3,
    "site.pull_s": 1,
}
"""what a tiny sweep is told beside what every sweep is"""


class Bench:
    """What a test types, and what it sees of it."""

    def __init__(self, cwd: Path, boxes: RentedBoxes, imds: str) -> None:
        self.cwd = cwd
        self.boxes = boxes
        self.started: list[subprocess.Popen[str]] = []
        self.keys: dict[str, Any] = {
            "rent.regions": f"[{REGION}]",
            "rent.amis": f"[{AMIS['no-driver']},{AMIS['good']}]",
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
            "site.who_am_i": f"{imds}/caller",
            "site.host_key": boxes.host_key,
            "site.tick_s": 0.2,
            "site.poll_s": 0.5,
            "site.pull_s": 3,
        }

    def launcher(self, name: str, keys: Mapping[str, Any]) -> list[str]:
        """The words that choose the launcher and tell it what to rent."""
        return [f"hydra/launcher={name}", *(f"hydra.launcher.{key}={value}" for key, value in keys.items())]

    def start(self, module: str, *words: str, **streams: Any) -> "subprocess.Popen[str]":
        """A command of botscalp, which writes to <module>.out."""
        return self.run(module, [sys.executable, "-m", f"botscalp.{module}", *words], **streams)

    def tiny(self, *words: str, keys: Mapping[str, Any] | None = None, **streams: Any) -> "subprocess.Popen[str]":
        """A sweep of tiny_app.py, which writes to tiny.out."""
        chosen = self.launcher("ec2", {**self.keys, **QUICK, **(keys or {})})
        return self.run(
            "tiny", [sys.executable, str(TINY), "-m", "hydra.sweep.dir=multirun", *chosen, *words], **streams
        )

    def run(self, name: str, command: Sequence[str], **streams: Any) -> "subprocess.Popen[str]":
        with (self.cwd / f"{name}.out").open("w") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT, **streams}
            process = subprocess.Popen(command, cwd=self.cwd, text=True, env=self.environment, **streams)
        self.started.append(process)
        return process

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1"}

    def said(self, name: str) -> str:
        return (self.cwd / f"{name}.out").read_text()

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

    @property
    def lease(self) -> Lease:
        return read(self.sweep / "journal.jsonl")

    def states(self) -> Sequence[str]:
        """Of the jobs, as the agent has them."""
        return [job["state"] for job in self.agent.get("jobs", {}).values()]

    def outcomes(self) -> dict[int, str]:
        """Of the jobs, as they have it at home."""
        found = {path.parent.name: json.loads(path.read_text()) for path in self.sweep.glob("jobs/*/outcome.json")}
        return {int(num): outcome["state"] for num, outcome in found.items()}

    def log(self, job: int, attempt: int = 1) -> str:
        """What the job has printed, as far as it is home."""
        path = self.sweep / f"jobs/{job}/log.{attempt}.txt"
        return path.read_text() if path.exists() else ""


@pytest.fixture(name="bench")
def bench_fixture(aws: FakeAws, tmp_path: Path) -> Iterator[Bench]:
    """A bench of the test's own; whatever was started on it ends with it."""
    boxes = RentedBoxes(tmp_path / "cloud", aws)
    boxes.folder.mkdir()
    (tmp_path / "home").mkdir()
    with metadata(boxes) as imds:
        bench = Bench(tmp_path / "home", boxes, imds)
        try:
            yield bench
        finally:
            for process in bench.started:
                process.kill()
                process.wait()
            for instance_id in list(boxes.live):
                boxes.end(instance_id)
