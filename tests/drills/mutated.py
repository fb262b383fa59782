"""A module with a change in it, run against its tests in a process of its own: does any of them notice?

Numba is told not to compile, so that a change costs no compilation; the words of `lanes.py`, which exist for the compiler
alone, are said in plain Python. Processes are forked from one that has the libraries loaded and none of botscalp.
"""

import contextlib
import gc
import importlib.abc
import importlib.util
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
FORK = multiprocessing.get_context("fork")
IMPORTED = """
import sys
before = set(sys.modules)
import tests.conftest, torchmetrics.functional.classification
own = ("botscalp", "hydra_plugins", "tests", "runs")
print(*(name for name in sys.modules if name not in before and name.partition(".")[0] not in own))
"""
"""names what the tests' set-up imports and is not the project's own"""
LANES = """
import numpy as np

LANES = 16


def _first(hits):
    return np.uint64(hits.argmax() if hits.any() else LANES)


def first_signal(p, below, above, row):
    p = p[row : row + np.uint64(LANES)]
    return _first((p < below) | (p > above))


def first_touch(low, lower, high, upper, row):
    rows = slice(row, row + np.uint64(LANES))
    return _first((low[rows] <= lower) | (high[rows] >= upper))


def fill(out, value, row):
    out[row : row + np.uint64(LANES)] = value


def mark(out, held, position, close, price, row):
    rows = slice(row, row + np.uint64(LANES))
    out[rows] = held + position * (close[rows] - price)


lowest = highest = None
"""
ASLEEP_S = 600.0
"""a change that makes one wait for ever ends there"""
MEMORY_BYTES = 8 << 30
"""a change that makes a loop collect for ever ends there"""


class _Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives modules another source than their file's."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name in self.sources else None

    def exec_module(self, module: ModuleType) -> None:
        file = ROOT / "src" / f"{module.__name__.replace('.', '/')}.py"
        module.__file__ = str(file)
        exec(compile(self.sources[module.__name__], str(file), "exec"), vars(module))


def load_libraries() -> None:
    """What takes seconds to import and is the same for all."""
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.nice(5)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    asked = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    for name in asked.stdout.split():
        with contextlib.suppress(ImportError):  # modules that make themselves, as six.moves does
            importlib.import_module(name)
    assert not [name for name in sys.modules if name.startswith("botscalp")]
    gc.freeze()  # else every child's first collection copies all of it


def notices(path: str, source: str, tests: Sequence[str], limit_s: int) -> str:
    """`killed`, `survived` or `timeout`: what became of the module at `path` with that source, under these tests.

    Args:
        limit_s: of processor time, so that what else the machine does makes no timeout.
    """
    process = FORK.Process(target=_run, args=(path, source, tests, limit_s))
    process.start()
    process.join(ASLEEP_S)
    if process.is_alive():
        process.kill()
        process.join()
        return "timeout"
    assert process.exitcode not in (4, 5), f"no tests: {tests}"  # pytest's words for a mistake in these
    if process.exitcode == -signal.SIGXCPU:
        return "timeout"
    return "survived" if process.exitcode == 0 else "killed"


def _run(path: str, source: str, tests: Sequence[str], limit_s: int) -> None:
    import pytest
    from hypothesis import settings

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
    name = ".".join(Path(path).relative_to("src").with_suffix("").parts)
    sys.meta_path.insert(0, _Sources({name: source, "botscalp.backtest.lanes": LANES}))
    settings.register_profile("drill", max_examples=30, deadline=None, derandomize=True, database=None)
    os.chdir(ROOT)
    silent = os.open(os.devnull, os.O_WRONLY)
    if "MUTATION_LOUD" not in os.environ:
        os.dup2(silent, 1)
        os.dup2(silent, 2)
    plugins = ("cacheprovider", "xdist", "randomly")
    without = [word for plugin in plugins for word in ("-p", f"no:{plugin}")]
    loaded = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
    os._exit(int(pytest.main(["-x", "-q", "--hypothesis-profile=drill", *without, *loaded, "-m", "not slow", *tests])))
