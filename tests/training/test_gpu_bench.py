"""The GPU benchmark: it measures where there is a device, reads what nvidia-smi says, and says so where there is none."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from runs import quiet_libraries

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("tests.bench.gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is something to measure here")
def test_without_a_device_it_says_that_nothing_was_measured_and_leaves_the_page(gpu: ModuleType) -> None:
    before = gpu.PAGE.read_bytes()
    done = subprocess.run([sys.executable, "-m", "tests.bench.gpu"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{gpu.NOTHING}\n"), done.stderr
    assert gpu.PAGE.read_bytes() == before and "make bench-gpu" in gpu.PAGE.read_text()


def test_it_measures_every_size_precision_and_way(gpu: ModuleType) -> None:
    assert len(set(gpu.CASES)) == 8
    with quiet_libraries():
        samples_per_s = gpu.rate(gpu.CASES[0], "cpu", rows=2_000, epochs=2)
    assert samples_per_s > 0
    line = gpu.table([(gpu.CASES[0], samples_per_s, gpu.Card())]).splitlines()[-1]
    assert line == f"| 64 | 32 | no | {samples_per_s:,.0f} | n/a | n/a | n/a |"


def test_what_nvidia_smi_says_is_summed_up(gpu: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '90, 1000, 60\\n100, 1204, 61\\n[N/A], 7, 59\\n'\nexec sleep 60\n")
    program.chmod(0o755)
    with gpu.watched(str(program)) as card:
        subprocess.run(["sleep", "0.5"], check=True)
    assert card.cells() == ["95 %", "1,204 MiB", "61 C"]
    with gpu.watched(str(tmp_path / "absent")) as nothing:
        pass
    assert nothing.cells() == ["n/a"] * 3
