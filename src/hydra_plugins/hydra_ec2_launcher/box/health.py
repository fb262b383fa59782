"""`python3 health.py '{"gpu": true, "driver": "525", ...}'`: whether the machine is what was wanted, before anything is sent.

Every check ends by itself: what hangs is cut off, what comes late is waited for, `wait_s` seconds at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from command import answer, output

_CALL_S = 10.0
_PAUSE_S = 2.0
_PYTHONS = ("/opt/pytorch/bin/python", "/usr/local/bin/python3", sys.executable)


@dataclass(frozen=True)
class Wanted:
    """What the machine must have; None asks for nothing."""

    gpu: bool = False
    gpu_memory_mib: float | None = None
    driver: str | None = None
    """the oldest that will do"""
    python: str | None = None
    """as in "3.11" """
    disk_gb: float | None = None
    """free where the work is done"""
    now: float | None = None
    """unix time at home when this was asked"""
    skew_s: float = 120.0
    wait_s: float = 120.0
    """for cloud-init and the driver, each"""
    root: str = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True)
class Check:
    """One answer."""

    name: str
    ok: bool
    found: str
    needed: str
    words: str = ""


def main(argv: Sequence[str]) -> dict[str, Any]:
    """All checks."""
    wanted = Wanted(**json.loads(argv[0]))
    checks = [
        cloud_init(wanted),
        *(gpu(wanted) if wanted.gpu else ()),
        *([python(wanted.python)] if wanted.python else ()),
        writable(wanted.root),
        *([disk(wanted.root, wanted.disk_gb)] if wanted.disk_gb else ()),
        *([clock(wanted.now, wanted.skew_s)] if wanted.now else ()),
    ]
    return {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}


def cloud_init(wanted: Wanted) -> Check:
    """Whether the first boot's set-up came to an end; one with warnings ("degraded") is good enough."""
    needed = "done"
    if shutil.which("cloud-init") is None:
        return Check("cloud-init", True, "absent", needed, "skipped")
    status = "silent"
    for left_s in _tries(wanted.wait_s):
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(["cloud-init", "status"], capture_output=True, text=True, timeout=left_s, check=False)
            status = done.stdout.partition("status:")[2].partition("\n")[0].strip() or "silent"
            if status.startswith(("done", "degraded", "disabled")):
                return Check("cloud-init", True, status, needed)
            if status.startswith("error"):
                return Check("cloud-init", False, status, needed, (done.stdout + done.stderr)[-500:])
    return Check("cloud-init", False, status, needed, f"not done within {wanted.wait_s:g} s")


def gpu(wanted: Wanted) -> list[Check]:
    """Whether nvidia-smi answers, late if need be, with enough memory and a driver new enough."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    words, loaded = "", False
    for left_s in _tries(wanted.wait_s):
        try:
            name, memory_mib, driver = (cell.strip() for cell in output(query, left_s).splitlines()[0].split(","))
            return [_gpu_memory(name, float(memory_mib), wanted), *_driver(driver, wanted)]
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
            words = str(error)
        if not loaded:  # once: a module that does not load now will not load later either
            loaded = True
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(["sudo", "-n", "modprobe", "nvidia"], capture_output=True, timeout=left_s, check=False)
    return [Check("gpu", False, "no answer", "nvidia-smi that answers", f"after {wanted.wait_s:g} s: {words}")]


def python(version: str) -> Check:
    """Whether that Python is there, or can be installed."""
    for path in filter(None, (shutil.which(f"python{version}"), *_PYTHONS)):
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            found = output([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], _CALL_S).strip()
            if found == version:
                return Check("python", True, path, version)
    own = "{}.{}".format(*sys.version_info[:2])
    if find_spec("ensurepip") is None:
        return Check("python", False, own, version, "uv cannot be installed either: this Python has no ensurepip")
    return Check("python", True, own, version, "uv will install it")


def writable(folder: str) -> Check:
    """Whether files can be made there."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Check("folder", False, folder, "a folder to write in", str(error))
    return Check("folder", True, folder, "a folder to write in")


def disk(folder: str, needed_gb: float) -> Check:
    """Whether enough is free there."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    return Check("disk", free_gb >= needed_gb, f"{free_gb:.1f} GB", f"{needed_gb:g} GB", f"free in {folder}")


def clock(now: float, skew_s: float) -> Check:
    """Whether the two clocks agree, the way of the question included."""
    skew = time.time() - now
    return Check("clock", abs(skew) <= skew_s, f"{skew:+.1f} s", f"within {skew_s:g} s")


def _gpu_memory(name: str, memory_mib: float, wanted: Wanted) -> Check:
    needed = wanted.gpu_memory_mib or 0.0
    return Check("gpu", memory_mib >= needed, f"{name}, {memory_mib:.0f} MiB", f"{needed:.0f} MiB")


def _driver(driver: str, wanted: Wanted) -> list[Check]:
    if wanted.driver is None:
        return []
    return [Check("driver", _numbers(driver) >= _numbers(wanted.driver), driver, f"{wanted.driver} or later")]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _tries(wait_s: float) -> Iterator[float]:
    """Yield the seconds the next try may take, until `wait_s` are over; at least one try."""
    deadline = time.monotonic() + wait_s
    left_s = max(wait_s, 1.0)
    while left_s > 0:
        yield min(_CALL_S, left_s)
        time.sleep(max(0.0, min(_PAUSE_S, deadline - time.monotonic())))
        left_s = deadline - time.monotonic()


if __name__ == "__main__":
    answer(main)
