"""A job as its folder tells it: what was sent, what the agent knows of it, and how it is judged."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from files import inside, read_json, sha256_of, write_json

QUEUED, RUNNING = "QUEUED", "RUNNING"
DONE, FAILED, PREEMPTED, TIMEOUT, LOST = "DONE", "FAILED", "PREEMPTED", "TIMEOUT", "LOST"
_TAIL_BYTES = 16384
_TOLD = ("state", "reason", "attempt", "slots", "started", "ended", "exit_code", "oom_slots")
_MEASURED = ("peak_rss_mib", "peak_gpu_mib", "snapshot_at")
_OUT_OF_MEMORY = ("CUDA out of memory", "CUDA error: out of memory", "torch.OutOfMemoryError")


@dataclass(frozen=True)
class Stop:
    """Why a job was told to end, and what it becomes by that."""

    state: str
    reason: str
    at: float


@dataclass(frozen=True)
class Status:
    """The content of status.json; times are unix times in seconds."""

    state: str = QUEUED
    reason: str = ""
    attempt: int = 1
    accepted: float = 0.0
    pid: int | None = None
    process_start: int | None = None
    """clock ticks after boot"""
    boot: str | None = None
    slots: int = 0
    """jobs at once when it started"""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    """minus the signal for a killed one; None where nobody saw it end"""
    stop: Stop | None = None
    oom_slots: int | None = None
    """jobs at once since it ran out of memory and was queued once more; None as long as it did not"""
    peak_rss_mib: float | None = None
    peak_gpu_mib: float | None = None
    snapshot_at: float | None = None

    @property
    def over(self) -> bool:
        return self.state not in (QUEUED, RUNNING)

    @classmethod
    def of(cls, content: dict[str, Any]) -> Status:
        """The status of JSON content; keys of a later version are left out."""
        known = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        stop = known.get("stop")
        return cls(**{**known, "stop": Stop(**stop) if stop else None})


class Job:
    """One folder of jobs/; only the agent's loop changes its status."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.num = int(folder.name)
        self.spec: dict[str, Any] = read_json(folder / "spec.json") or {}
        self.status = Status.of(read_json(folder / "status.json") or {})
        self._unsaved = False

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def harvested_at(self) -> float | None:
        """When the client said that it has all files; None before."""
        path = self.folder / "harvested"
        return path.stat().st_mtime if path.exists() else None

    @property
    def cancelled(self) -> bool:
        return (self.folder / "cancel").exists()

    def told(self) -> dict[str, Any]:
        """What the client is told of it."""
        told = {name: getattr(self.status, name) for name in _TOLD + _MEASURED}
        return {**told, "harvested": self.harvested_at is not None}

    def change(self, **values: Any) -> None:
        """Change the status, here and on disk."""
        self.note(**values)
        self.save()

    def note(self, **values: Any) -> None:
        """Change the status; the disk learns it with the next `save`."""
        self.status = replace(self.status, **values)
        self._unsaved = True

    def save(self) -> None:
        """Write the status unless that is done; OSError on a full disk, and it can be tried again."""
        if self._unsaved:
            write_json(self.folder / "status.json", {"schema": 1, "job": self.num, **asdict(self.status)})
            self._unsaved = False

    def admit(self) -> None:
        """Queue the job if the client sent it, or sent it once more under a higher attempt."""
        ready = read_json(self.folder / "ready")
        if ready is None or ((self.folder / "status.json").exists() and ready["attempt"] <= self.status.attempt):
            return
        for left in ("result.json", "harvested", "cancel"):
            (self.folder / left).unlink(missing_ok=True)
        self.spec = read_json(self.folder / "spec.json")
        self.status = Status()
        self.change(attempt=ready["attempt"], accepted=ready["accepted"])

    def judge(self, exit_code: int | None) -> tuple[str, str]:
        """What the ended job has become, and why."""
        return judge(read_json(self.folder / "result.json"), self.spec, exit_code, self.status.stop)

    def out_of_memory(self, exit_code: int | None) -> bool:
        """Whether the ended job failed for want of memory, the GPU's or (SIGKILL that is not ours) the machine's."""
        result = read_json(self.folder / "result.json")
        told = str(result.get("error")) if isinstance(result, dict) else ""
        return exit_code == -9 or any(words in told + self._tail() for words in _OUT_OF_MEMORY)

    def newest_change(self) -> float:
        """When the log or a file of work/ was last written."""
        newest = 0.0
        for where, _, names in os.walk(self.work):
            for path in (self.log, *(Path(where, name) for name in names)):
                with contextlib.suppress(OSError):  # journals come and go
                    newest = max(newest, path.stat().st_mtime)
        return newest

    def _tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return log.read().decode(errors="replace")


def judge(result: Any, spec: dict[str, Any], exit_code: int | None, stop: Stop | None) -> tuple[str, str]:
    """The state of an ended job and the reason: its result alone proves success, never its exit code."""
    problem = _problem(result, spec)
    if problem is None and result["status"] == "completed":
        return DONE, ""
    if stop is not None:
        return stop.state, stop.reason
    if problem is None:
        error = result.get("error")
        words = f"{error.get('type')}: {error.get('message')}" if isinstance(error, dict) else str(error)
        return FAILED, words
    end = "ended unseen" if exit_code is None else f"ended with exit code {exit_code}"
    return FAILED, f"{end}, {problem}"


def _problem(result: Any, spec: dict[str, Any]) -> str | None:
    if not isinstance(result, dict):
        return "without a result.json that can be read"
    for key in ("job", "config_hash"):
        if result.get(key) != spec.get(key):
            return f"with a result.json of another job: {key} is {result.get(key)!r}, not {spec.get(key)!r}"
    if result.get("status") not in ("completed", "failed"):
        return f"with a result.json of unknown status {result.get('status')!r}"
    return None


def verify(folder: Path) -> dict[str, Any]:
    """The spec of a job that has arrived as sent; ValueError naming the file that has not."""
    spec = read_json(folder / "spec.json")
    if not isinstance(spec, dict) or spec.get("job") != int(folder.name):
        raise ValueError(f"{folder / 'spec.json'}: no spec of job {folder.name}: send it again")
    texts = [*spec.get("argv", [None]), *spec.get("env", {}).values()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{folder / 'spec.json'}: argv and the values of env have to be strings")
    for name, wanted in spec["files"].items():
        path = inside(folder, name)
        found = sha256_of(path) if path.is_file() else "absent"
        if found != wanted:
            raise ValueError(f"{path}: the SHA-256 is {found}, not {wanted} as spec.json says: send it again")
    for store in spec.get("stores", ()):
        inside(folder / "work", store)
    return spec
