"""Small disks for tests: a tmpfs of so many bytes, whose room is taken and given back, and that may be made read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = 4096


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    root: Path

    def resize(self, size: int) -> None:
        self._mount(f"remount,size={size}")

    def read_only(self) -> None:
        self._mount("remount,ro")

    def writable(self) -> None:
        self._mount("remount,rw")

    @property
    def free(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    @property
    def used(self) -> int:
        found = os.statvfs(self.root)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    @contextmanager
    def full_but_for(self, room: int) -> Iterator[None]:
        """So many bytes are free while the block lasts, at its beginning."""
        before = self.used + self.free
        self.resize(max(self.used + room, PAGE))  # 0 would be no limit at all
        try:
            yield
        finally:
            self.resize(before)

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, self.root], check=True, capture_output=True)


@contextmanager
def mounted(root: Path, *, size: int = 64 << 20) -> Iterator[Disk]:
    """The disk at that folder; the test is skipped where this user may mount none."""
    root.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", root], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)
