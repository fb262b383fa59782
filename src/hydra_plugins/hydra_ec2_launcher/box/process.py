"""Processes by what the kernel says of them: a number alone may belong to another one by now."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Process:
    """A leader of a session of its own, told from later bearers of its number by its start."""

    pid: int
    start: int
    """clock ticks after boot"""
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it runs; one that only waits to be collected does not."""
        stat = _stat(self.pid)
        return stat is not None and stat.start == self.start and stat.state not in "ZX" and self.boot == boot_id()

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and all it started; nothing where they are gone.

        As long as one of a group lives the kernel gives the group's number to nobody else, so only a new process
        under the leader's own number would be a stranger.
        """
        stat = _stat(self.pid)
        if self.boot == boot_id() and (stat is None or stat.start == self.start):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


@dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    start: int


def boot_id() -> str:
    """What names the time since the machine started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def boot_time() -> float:
    """When the machine started, from which on it costs; unix time."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))


def process_of(pid: int) -> Process | None:
    """The process with that number; None where there is none."""
    stat = _stat(pid)
    return None if stat is None else Process(pid, stat.start, boot_id())


def sessions() -> dict[int, list[int]]:
    """The numbers of all processes, by session."""
    members: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        stat = _stat(int(entry)) if entry.isdigit() else None
        if stat is not None and stat.state not in "ZX":
            members[stat.session].append(int(entry))
    return members


def leader_in(folder: Path) -> Process | None:
    """The session leader that works in this folder."""
    for pid in sessions():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                return process_of(pid)
    return None


def rss_mib(pids: list[int]) -> float:
    """The memory these processes hold; what they share counts once for each."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE_MIB


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold spaces and brackets
    return _Stat(state=fields[0], session=int(fields[3]), start=int(fields[19]))
