"""How the scripts of this folder answer: JSON on stdout, or one line on stderr and exit code 1."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any


def answer(run: Callable[[Sequence[str]], Any]) -> None:
    """Run a script's body on its arguments and end the process with its answer."""
    try:
        print(json.dumps(run(sys.argv[1:])))
    except (ValueError, KeyError, TypeError, OSError, subprocess.SubprocessError) as error:
        words = str(error) if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: {error}"
        print(" ".join(words.split())[:2000], file=sys.stderr)
        raise SystemExit(1) from None


def output(argv: Sequence[str], timeout_s: float | None = None) -> str:
    """A program's stdout; ValueError with the end of its stderr where it fails, TimeoutExpired, or FileNotFoundError."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        raise ValueError(f"{argv[0]}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout
