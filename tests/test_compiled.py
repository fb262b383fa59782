"""The cache of compiled functions follows the content of every file that they can see."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "botscalp"
KERNEL = """
from {numba} import njit
from botscalp.probe_fees import FEE, rebate_nb

@njit(cache=True)
def cost_nb(price):
    return FEE * price - rebate_nb(price)
"""
FEES = """
from {numba} import njit

FEE = {fee}

@njit(cache=True)
def rebate_nb(price):
    return {rebate} * price
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, small: what `botscalp.compiled` needs."""
    folder = tmp_path / "botscalp"
    folder.mkdir()
    for name in ("__init__.py", "compiled.py"):
        shutil.copy(SOURCE / name, folder / name)
    return folder


def cost(package: Path, *, fee: float, rebate: float, numba: str = "botscalp.compiled") -> float:
    """What a kernel says whose constant and callee stand in another file; a process of its own."""
    kernel = package / "probe.py"
    if not kernel.exists():
        kernel.write_text(KERNEL.format(numba=numba))
    (package / "probe_fees.py").write_text(FEES.format(fee=fee, rebate=rebate, numba=numba))
    command = [sys.executable, "-c", "from botscalp.probe import cost_nb; print(cost_nb(100.0))"]
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment["PYTHONPATH"] = str(package.parent)
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_a_constant_or_a_callee_changed_in_another_file_counts(package: Path) -> None:
    assert cost(package, fee=2.0, rebate=0.5) == 150.0
    assert cost(package, fee=3.0, rebate=0.5) == 250.0
    assert cost(package, fee=3.0, rebate=1.0) == 200.0


def test_numba_alone_would_not_notice(package: Path) -> None:
    """Why `botscalp.compiled` exists. If this fails, numba has learnt it and the module can go."""
    assert cost(package, fee=2.0, rebate=0.5, numba="numba") == 150.0
    assert cost(package, fee=3.0, rebate=1.0, numba="numba") == 150.0


def test_a_file_that_no_kernel_sees_keeps_the_cache(package: Path) -> None:
    cost(package, fee=2.0, rebate=0.5)
    (package / "unrelated.py").write_text("FEE = 7\n")
    cost(package, fee=2.0, rebate=0.5)
    (caches,) = (package / "__pycache__").glob("numba")
    assert len(list(caches.iterdir())) == 1
    assert not list(package.glob("__pycache__/*.nbi"))


def test_every_compiled_function_is_cached_there() -> None:
    for path in set(SOURCE.rglob("*.py")) - {SOURCE / "compiled.py"}:
        text = path.read_text()
        assert "from numba import" not in text, f"{path}: import from botscalp.compiled"
        assert text.count("@njit") == text.count("@njit(cache=True"), path


def test_a_forked_process_may_run_in_parallel_too() -> None:
    """After a parallel call a child runs one as well, as a DataLoader's worker might; OpenMP would end it."""
    script = """
import os
import numpy as np
from botscalp.compiled import njit, prange
import numba

@njit(parallel=True)
def total(x):
    s = 0.0
    for i in prange(len(x)):
        s += x[i]
    return s

assert total(np.ones(1000)) == 1000
assert numba.threading_layer() == "workqueue"
child = os.fork()
if child == 0:
    os._exit(0 if total(np.ones(1000)) == 1000 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)
