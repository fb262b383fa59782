"""When a process began, by the clock that counts from the machine's start: nobody sets that one forward or back."""

import os
import time
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def start_of(pid: int) -> str:
    """A text that no other process answers to, one with the same id or after a restart of the machine neither.

    Raises:
        psutil.NoSuchProcess: there is no such process.
    """
    import psutil

    process = psutil.Process(pid)
    if not _BOOT.is_file():  # no Linux
        return f"{process.create_time():.2f}"
    try:
        return f"{_BOOT.read_text()[:8]}-{_ticks(pid)}"
    except FileNotFoundError:  # it has just ended
        raise psutil.NoSuchProcess(pid) from None


def age_s() -> float:
    """Seconds since this process began; 0 where nothing but a clock that may be set tells."""
    if not _BOOT.is_file():
        return 0.0
    began_s = _ticks(os.getpid()) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began_s)


def _ticks(pid: int) -> int:
    """From the machine's start to the process's: field 22 of its line, whose second, in brackets, may hold anything."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
