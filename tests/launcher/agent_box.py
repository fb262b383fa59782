"""A box of the agent's: its folder, its commands run as the client runs them, and jobs of a few lines."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runs import wait_for

SOURCES = Path(__file__).resolve().parents[2] / "src/hydra_plugins/hydra_ec2_launcher/box"
if str(SOURCES) not in sys.path:
    sys.path.append(str(SOURCES))  # on the box the folder is a script's own, and its modules import each other so

PRELUDE = """
import json, os, signal, sys, time
from pathlib import Path

def result(status="completed", **other):
    spec = json.loads(Path("../spec.json").read_text())
    content = {"schema": 1, "job": spec["job"], "config_hash": spec["config_hash"], "status": status, "error": None}
    Path("../result.new").write_text(json.dumps({**content, **other}))
    os.replace("../result.new", "../result.json")

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.02)

with open("starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
"""
"""What every job's script begins with; it runs in work/."""


class CommandFailedError(Exception):
    """A command of the agent's ended with exit code 1; the text is its stderr."""


class Box:
    """One root folder with the agent's sources in it."""

    def __init__(self, root: Path, path: Sequence[Path] = (), **settings: Any) -> None:
        self.root = root.resolve()
        shutil.copytree(SOURCES, self.root / "agent", ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {**os.environ, "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])}
        quick = {
            "tick_s": 0.05,
            "sample_s": 0.1,
            "snapshot_s": 0.3,
            "grace_s": 20,
            "slots": 2,
            "python": sys.executable,
        }
        content = {"schema": 1, "sweep": "test", **quick, **settings}
        (self.root / "agent.json").write_text(json.dumps(content))

    def script(self, name: str, *arguments: str, stdin: str = "") -> Any:
        done = subprocess.run(
            [sys.executable, str(self.root / "agent" / name), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=120,
            check=False,
        )
        if done.returncode:
            assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
            raise CommandFailedError(done.stderr)
        return json.loads(done.stdout)

    def agent(self, *arguments: str | int, stdin: str = "") -> Any:
        return self.script("agent.py", *map(str, arguments), stdin=stdin)

    def send(self, num: int, body: str, *, accept: bool = True, **spec: Any) -> Path:
        """Put a job there as the client does; returns its folder."""
        folder = self.root / "jobs" / str(num)
        folder.mkdir(parents=True, exist_ok=True)
        script = PRELUDE + body
        (folder / "task.py").write_text(script)
        content: Mapping[str, Any] = {
            **{"schema": 1, "job": num, "sweep": "test", "config_hash": f"hash of {num}", "attempt": 1},
            **{"argv": ["../task.py"], "env": {}, "stores": []},
            "files": {"task.py": hashlib.sha256(script.encode()).hexdigest()},
            **spec,
        }
        (folder / "spec.json").write_text(json.dumps(content))
        if accept:
            self.agent("accept", num)
        return folder

    @property
    def state(self) -> Any:
        path = self.root / "state.json"
        return json.loads(path.read_text()) if path.exists() else {"jobs": {}, "ending": None}

    def job(self, num: int) -> Any:
        return self.state["jobs"].get(str(num), {"state": None})

    def alive(self) -> bool:
        return bool(self.agent("poll")["agent_alive"])

    def work(self, num: int) -> Path:
        """Where the job's process works."""
        return self.root / "jobs" / str(num) / "work"

    def until(self, condition: Callable[[], object]) -> None:
        log = self.root / "agent.log"
        wait_for("it", condition, said=lambda: f"{self.state}\n{log.read_text() if log.exists() else 'no log'}")

    def until_job(self, num: int, state: str) -> Any:
        self.until(lambda: self.job(num)["state"] == state)
        return self.job(num)

    def kill_agent(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.state["agent_pid"], signal.SIGKILL)
        self.until(lambda: not self.alive())

    def close(self) -> None:
        """End the agent and whatever works in a job's folder, by their own numbers."""
        with contextlib.suppress(KeyError, ProcessLookupError):
            if self.alive():
                os.kill(self.state["agent_pid"], signal.SIGKILL)
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(entry / "cwd").startswith(f"{self.root}/jobs/"):
                    os.kill(int(entry.name), signal.SIGKILL)


MakeBox = Callable[..., Box]


@contextlib.contextmanager
def boxes(folder: Path) -> Iterator[MakeBox]:
    """make(**settings): a box with an agent that lives; all end with the context."""
    made: list[Box] = []

    def make(**settings: Any) -> Box:
        made.append(Box(folder / f"box{len(made)}", **settings))
        made[-1].agent("start")
        return made[-1]

    try:
        yield make
    finally:
        for box in made:
            box.close()


def program(folder: Path, name: str, body: str) -> Path:
    """A program for PATH: Python with these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path
