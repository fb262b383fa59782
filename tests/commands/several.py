"""Runs several commands one after another in this one process, which imports everything once.

Reads [[name, [word, ...]], ...] from stdin; writes the last line of stdout: a list of {code, stdout, stderr, imported},
the last being which of torch and mlflow this process has imported by then.
"""

import contextlib
import io
import json
import sys
from importlib import import_module

from hydra.core.global_hydra import GlobalHydra
from rich import get_console

from botscalp.application import run_application


def outcome(name: str, words: list[str]) -> dict[str, object]:
    sys.argv = [f"{name}.py", *words]
    GlobalHydra.instance().clear()
    task = getattr(import_module(f"botscalp.{name}"), name)
    code: object = None
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()) as stdout:
        get_console().file = stdout
        try:
            run_application(task, config_name=name)
        except SystemExit as exit_:
            code = exit_.code
    imported = [module for module in ("torch", "mlflow") if module in sys.modules]
    return {"code": code, "stdout": stdout.getvalue(), "stderr": stderr.getvalue(), "imported": imported}


if __name__ == "__main__":
    print(json.dumps([outcome(name, words) for name, words in json.load(sys.stdin)]))
