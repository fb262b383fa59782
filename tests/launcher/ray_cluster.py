"""A Ray cluster of several nodes on this machine's loopback addresses, each node in a session of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runs import wait_for
from served import free_port

HEAD, OTHER = "127.0.0.2", "127.0.0.3"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node, by the process of its `ray start --block`, which leads the session of all the node's processes."""

    starter: subprocess.Popen[bytes]

    def processes(self) -> list[int]:
        """The ids of all that runs on the node."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(pid) == self.starter.pid]

    def kill(self) -> None:
        """Take it away as a power cut would."""
        deadline = time.monotonic() + 20
        while pids := self.processes():
            assert time.monotonic() < deadline, f"still there: {pids}"
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self.starter.wait(0.1)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Nodes that share a token, and the disk; only the head claims a GPU."""

    folder: Path
    port: int
    environment: dict[str, str]
    nodes: dict[str, Node] = field(default_factory=dict)

    def start(self, address: str) -> None:
        """Start the node at that address, unless it runs; return when it has joined."""
        if address in self.nodes and self.nodes[address].processes():
            return
        home = Path(tempfile.mkdtemp(prefix=f"{address}-", dir=self.folder))
        heads = ["--head", f"--port={self.port}", "--num-gpus=1", "--include-dashboard=false"]
        joins = [f"--address={HEAD}:{self.port}", "--num-gpus=0"]
        words = ["--num-cpus=4", f"--node-ip-address={address}", f"--temp-dir={home}"]
        program = Path(sys.executable).with_name("ray")
        with (home / "out").open("wb") as out:
            starter = subprocess.Popen(
                [program, "start", "--block", *words, *(heads if address == HEAD else joins)],
                cwd=home,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes[address] = Node(starter=starter)
        printed = (home / "out").read_text
        wait_for("the node", lambda: "Ray runtime started" in printed(), process=starter, said=printed)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster without nodes; those that are started are taken away at the end, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a socket's path has at most 107 characters
    port = free_port()
    home = folder / "home"  # ~/.ray of this user is left alone
    home.mkdir()
    ours = {
        "HOME": str(home),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_ADDRESS": f"{HEAD}:{port}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    made = Cluster(folder=folder, port=port, environment={**os.environ, **ours})
    try:
        yield made
    finally:
        for node in made.nodes.values():
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _session(pid: int) -> int | None:
    with suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return None
