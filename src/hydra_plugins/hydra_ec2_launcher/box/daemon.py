"""One agent, alive: who holds agent.lock is it, and the kernel lets go of the lock with the process."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_START_S = 15.0
SYSTEMD = Path("/run/systemd/system")


def alive(root: Path) -> bool:
    """Whether an agent holds the lock."""
    try:
        handle = os.open(root / "agent.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def hold(root: Path) -> None:
    """Take the lock for the life of this process; ValueError where another agent keeps it."""
    handle = os.open(root / "agent.lock", os.O_RDWR | os.O_CREAT, 0o644)
    for _ in range(20):  # one who only looks holds it for an instant
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
    raise ValueError(f"{root}: another agent lives")


def start(root: Path, systemd: Path = SYSTEMD) -> dict[str, Any]:
    """Make sure an agent lives: under systemd where we may, else as a process that outlives the connection."""
    with (root / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if alive(root):
            return {"started": False, "systemd": None}
        supervised = systemd.exists() and _start_unit(root)
        child = None if supervised else _start_child(root)
        deadline = time.monotonic() + _START_S
        while not alive(root):
            if time.monotonic() > deadline or (child is not None and child.poll() is not None):
                raise ValueError(f"the agent does not start; the end of its log: {_log_tail(root)}")
            time.sleep(0.05)
        return {"started": True, "systemd": supervised}


def log_to(path: Path) -> None:
    """Send what this process prints to the end of a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def _argv(root: Path) -> list[str]:
    return [sys.executable, str(root / "agent" / "agent.py"), "run"]


def _start_child(root: Path) -> subprocess.Popen[bytes]:
    with open(os.devnull, "r+b") as null:
        return subprocess.Popen(_argv(root), cwd=root, stdin=null, stdout=null, stderr=null, start_new_session=True)


def _start_unit(root: Path) -> bool:
    """Whether systemd took the agent over."""
    name = "hydra-agent-" + hashlib.sha256(str(root).encode()).hexdigest()[:8]
    properties = (
        "Restart=on-failure",  # not after the end it chose itself
        "RestartSec=3",  # slower than the five starts in 10 s at which systemd gives up
        "KillMode=process",  # the jobs outlive an agent that died
        "OOMPolicy=continue",  # and one of them that the kernel kills takes neither agent nor siblings along
        f"WorkingDirectory={root}",
    )
    options = [f"--property={text}" for text in properties]
    argv = [
        "sudo",
        "-n",
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={name}",
        f"--uid={getpass.getuser()}",
        *options,
    ]
    try:
        return subprocess.run([*argv, "--", *_argv(root)], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _log_tail(root: Path) -> str:
    path = root / "agent.log"
    return path.read_text(errors="replace")[-500:] if path.exists() else "empty"
