"""Runs small enough for tests: under a second in this process once torch is imported, some five seconds as a command."""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from pyarrow import parquet

from botscalp.config import CONF, GROUPS, experiment_of, overridden
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.walkforward import run_walk_forward

TINY = (
    *("data.start=2023-01-01", "data.end=2023-02-20", "data.edge=0.3"),
    *("wfo=weekly", "wfo.train=2w", "wfo.windows=2"),
    *("features.lags=4", "model.hidden=4", "trainer.epochs=2", "trainer.lr=0.01", "trainer.device=cpu"),
    *("trainer.chunk=16", "trainer.chunks=16", "trainer.warmup_bars=32"),
    *("backtest.threshold=0.52",),
)
"""Seven weeks of bars with a strong signal; two windows of which each tests a week: enough for trades of every kind."""


SIZES = {
    **{name: ("model.hidden=8",) for name in ("gru", "lstm", "tcn", "mlp")},
    "transformer": ("model.hidden=8", "model.heads=2"),
    "linear": (),
    "boosting": ("model.trees=5",),
    "ensemble": (
        *("model.members.gru.hidden=4", "model.members.tcn.hidden=4", "model.members.boosting.trees=5"),
        "model.combine=stack",
    ),
}
"""what makes each model small"""


COMMANDS = Path(__file__).parent / "commands"
WAIT_S = 120


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "summary.json").read_text()))

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return self.table("predictions")

    def table(self, name: str) -> pd.DataFrame:
        return parquet.read_table(self.folder / f"{name}.parquet").to_pandas()


def composed(*overrides: str) -> Experiment:
    """What the command line with TINY and these overrides describes; a later override of a key wins."""
    return _experiment([*_without_repeats([*TINY, *overrides])])


def composed_plainly(*overrides: str) -> Experiment:
    """What the command line with these overrides alone describes."""
    return _experiment(overrides)


def walk(folder: Path, *overrides: str, **parts: Any) -> Run:
    """Run TINY with these overrides in this process, nothing tracked and no page drawn unless they say so.

    `parts` replace parts of the experiment (features=..., data=...).
    """
    experiment = composed(f"store={folder.parent / 'store'}", "tracking=none", "report=false", *overrides)
    return made(folder, replace(experiment, **parts))


def made(folder: Path, experiment: Experiment) -> Run:
    """Run the experiment in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").touch()  # the command's part
    with quiet_libraries():
        run_walk_forward(experiment, folder)
    return Run(folder)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Libraries warn about each other (pandas about pyarrow, SQLAlchemy about MLflow); our own warnings stay errors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="(?!botscalp)")
        yield


def command(
    name: str, *words: str, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """`python -m botscalp.<name> words...` in that folder, whatever its exit code.

    Args:
        env: what its environment has beyond this process's.
    """
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        arguments(name, *words), cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


class Outcome(TypedDict):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str
    imported: list[str]
    """which of torch and mlflow"""


def several(
    commands: Sequence[tuple[str, Sequence[str]]], *, cwd: Path, before: str = "", env: Mapping[str, str] | None = None
) -> list[Outcome]:
    """The outcomes of (name, words) commands, run one after another in one process.

    Args:
        before: Python that it runs first.
        env: what its environment has beyond this process's.
    """
    program = f"import sys, runpy\nsys.path.insert(0, {str(COMMANDS)!r})\n{before}\nrunpy.run_module('several', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=json.dumps(commands),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def wait_for(
    what: str,
    seen: Callable[[], object],
    *,
    process: "subprocess.Popen[Any] | None" = None,
    said: Callable[[], object] = str,
) -> None:
    """Wait until `seen()` is true; a process that ends before, or two minutes, fail with what `said()` gives."""
    deadline = time.monotonic() + WAIT_S
    while not seen():
        assert process is None or process.poll() is None, f"{what}: ended before\n{said()}"
        assert time.monotonic() < deadline, f"{what}: not seen within {WAIT_S} s\n{said()}"
        time.sleep(0.02)


def arguments(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"botscalp.{name}", *words]


def bits(values: Any) -> bytes:
    """The bytes of an array, for comparisons to the last bit."""
    return np.ascontiguousarray(values).tobytes()


def _experiment(overrides: Sequence[str]) -> Experiment:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    return experiment_of(cfg, names={group: choices[group] for group in GROUPS}, overrides=overridden(overrides))


def _without_repeats(words: Sequence[str]) -> list[str]:
    """The last override of each key; a choice of a group drops the overrides inside it that were typed before it."""
    kept: dict[str, str] = {}
    for word in words:
        key = word.partition("=")[0]
        kept = {name: old for name, old in kept.items() if name != key and not name.startswith(f"{key}.")}
        kept[key] = word
    return list(kept.values())


os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
