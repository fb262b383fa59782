"""What the machine refuses is told as what it is: which file, how much room, what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import mounted

from botscalp.errors import UserError
from botscalp.pipeline.process_start import age_s, start_of
from botscalp.shortages import shortage
from botscalp.whole_files import write_whole


def test_a_full_disk_is_told_with_the_room_that_is_left(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        path = disk.root / "run" / "file.txt"
        path.parent.mkdir()
        with disk.full_but_for(4096):
            with pytest.raises(OSError) as error:
                write_whole(path, "x" * 100_000)
            told = shortage(error.value)
        assert told is not None and told.key == "file" and told.value == str(path)
        assert told.problem == f"no space left on device; 4,096 bytes are free in {path.parent}"
        assert "resume=true" in told.remedy


def test_a_read_only_disk_is_told_with_the_file(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        disk.read_only()
        with pytest.raises(OSError) as error:
            write_whole(disk.root / "new" / "file.txt", "x")
        told = shortage(error.value)
    assert told is not None and told.problem == "read-only file system" and told.value == str(disk.root / "new")


HUNGRY = """
import resource, sys
{imports}
from botscalp.shortages import shortage
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    {act}
except Exception as error:
    print(shortage(error))
"""


@pytest.mark.parametrize(
    ("imports", "act"),
    [
        ("import numpy", "numpy.ones(1 << 34)"),
        ("import torch", "torch.ones(1 << 34)"),
        ("import pyarrow", "pyarrow.allocate_buffer(1 << 36)"),
        ("import mmap", "mmap.mmap(-1, 1 << 36)"),
    ],
)
def test_too_little_memory_is_told_whoever_asks_for_it(imports: str, act: str) -> None:
    program = HUNGRY.format(imports=imports, act=act)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("memory=exhausted: "), done.stdout + done.stderr
    assert "trainer.window_workers" in done.stdout


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(2, "No such file", "x"), ValueError("bug"), UserError("k", 1, "CUDA out of memory", "r")],
)
def test_other_errors_are_none_of_the_machine_s(error: Exception) -> None:
    assert shortage(error) is None


def test_a_process_is_known_by_when_it_began_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    before, age = start_of(os.getpid()), age_s()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert start_of(os.getpid()) == before and start_of(1) != before
    assert age <= age_s() < age + 60


def test_a_process_without_memory_for_blas_is_told_so_and_does_not_hang() -> None:
    """OpenBLAS by itself asks for its buffer again and again where there is none."""
    program = (
        "import resource, numpy, scipy.linalg, threadpoolctl; from pathlib import Path\n"
        "from botscalp.shortages import shortage, take_blas_memory\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "limit = pages * resource.getpagesize() + (20 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "try:\n    take_blas_memory()\n"
        "except MemoryError as error:\n    print(shortage(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("memory=exhausted: ") and "window_workers" in done.stdout, done.stderr
