"""Commands in processes of their own, forked from one that has imported everything: seconds less each, and as real as others."""

import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.runs import COMMANDS, Outcome

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

PRELOADED = (
    *("botscalp.train", "botscalp.predict", "botscalp.rescore", "botscalp.ingest", "botscalp.compare"),
    *(
        "botscalp.pipeline.walkforward",
        "botscalp.training.fit",
        "botscalp.report.run_page",
        "matplotlib.backends.backend_agg",
    ),
    *(
        "mlflow",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.artifact.local_artifact_repo",
        "pyarrow.parquet",
    ),
)
TASKS = {
    "train": ("botscalp.train", "train", "train"),
    "predict": ("botscalp.predict", "predict", "predict"),
    "backtest": ("botscalp.rescore", "rescore", "backtest"),
    "compare": ("botscalp.compare", "compare", "compare"),
    "ingest": ("botscalp.ingest", "fetch", "ingest"),
}
LONGEST_S = 300


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int | None
    """None: it did not, and was killed"""
    stdout: str
    stderr: str
    cwd: Path

    @property
    def folder(self) -> Path:
        """Of the run, from the last line."""
        return self.cwd / self.stdout.splitlines()[-1]


def nothing() -> None:
    """What happens in the new process before the command."""


def forked(
    name: str,
    words: Sequence[str],
    *,
    cwd: Path,
    before: Callable[[], None] = nothing,
    longest_s: float = LONGEST_S,
) -> Done:
    """`python -m botscalp.<name> words...` in that folder, whatever comes of it; `before` can be pickled."""
    with TemporaryDirectory() as folder:
        said = Path(folder)
        process = _server().Process(target=_command, args=(name, list(words), cwd, said, before))
        process.start()
        process.join(longest_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            return Done(None, *_said(said), cwd)
        return Done(process.exitcode, *_said(said), cwd)


def forked_together(commands: Sequence[tuple[str, Sequence[str]]], *, cwd: Path, before: str = "") -> list[Outcome]:
    """What `several` gives, where it does not matter that torch and mlflow are there already."""
    with TemporaryDirectory() as folder:
        written = Path(folder) / "outcomes.json"
        process = _server().Process(target=_together, args=(list(commands), cwd, before, written))
        process.start()
        process.join(LONGEST_S)
        process.kill()  # does nothing to one that has ended
        assert process.exitcode == 0, f"exit code {process.exitcode} within {LONGEST_S} s"
        return list(json.loads(written.read_text()))


def _server() -> "multiprocessing.context.ForkServerContext":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _together(commands: list[tuple[str, list[str]]], cwd: Path, before: str, written: Path) -> None:
    os.chdir(cwd)
    sys.path.insert(0, str(COMMANDS))
    exec(before, {})
    outcome = import_module("several").outcome
    written.write_text(json.dumps([outcome(name, list(words)) for name, words in commands]))


def _said(folder: Path) -> list[str]:
    """On stdout and on stderr; nothing where it was killed before it could."""
    paths = folder / "stdout", folder / "stderr"
    return [path.read_text() if path.exists() else "" for path in paths]


def _command(name: str, words: list[str], cwd: Path, said: Path, before: Callable[[], None]) -> None:
    for number, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(said / stream, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))  # as python -m does
    module, task, config = TASKS[name]
    sys.argv = [f"botscalp.{name}", *words]
    from botscalp.application import run_application

    function = getattr(import_module(module), task)
    if name == "ingest":
        function = import_module(module).on_disk(function)
    code: object = 1
    try:
        before()
        run_application(function, config_name=config)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)
