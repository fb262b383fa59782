"""MLflow's pages on a store, served by the command as a user would start it."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runs import arguments

START_S, END_S = 180, 60


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    process: subprocess.Popen[str]
    lines: dict[str, str]
    """the link to each study, by its name, in the order in which they were printed"""


def free_port() -> int:
    """One that nobody listens on at the moment, at any of this machine's addresses."""
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(store: Path, studies: int = 1, port: int | None = None) -> Iterator[Served]:
    """The pages on that store while the block lasts, once as many studies have been named."""
    process = subprocess.Popen(
        arguments("ui", f"store={store}"),
        env={**os.environ, "PORT": str(port or free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    late = threading.Timer(START_S, process.kill)
    late.start()
    try:
        printed = [process.stdout.readline().split() for _ in range(studies)]
        late.cancel()
        assert all(printed), process.stderr and process.stderr.read()
        yield Served(process, {name: link for name, link in printed})
    finally:
        late.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=END_S)
