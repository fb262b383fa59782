"""`python3 environment.py '{"locks": ["requirements.lock"], "python": "3.11", "uv": "0.9.0"}'`: the jobs' virtual environment.

`--smoke '{"python": "env/bin/python", "gpu": true}'` tries it: torch is imported and, with a GPU, multiplies there.
Paths are relative to the folder above this one. An environment says by a hash, written last, what it was made from: the
same is used again, another or a half-made one is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command import answer, output
from files import write_json

ROOT = Path(__file__).resolve().parents[1]
_SMOKE_S = 300.0
_SMOKE = """
import json, platform, sys, time
import torch
device = "cuda" if sys.argv[1] == "gpu" else "cpu"
began = time.perf_counter()
product = (torch.ones(256, 256, device=device) @ torch.ones(256, 256, device=device)).sum().item()
assert product == 256.0**3, product
name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
seconds = time.perf_counter() - began
print(json.dumps({"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda,
                  "device": name, "seconds": seconds}))
"""


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Make the environment, or try it."""
    if argv and argv[0] == "--smoke":
        return smoke(**json.loads(argv[1]))
    return make(**json.loads(argv[0]))


def make(locks: Sequence[str], python: str, uv: str, target: str = "env") -> dict[str, Any]:
    """The environment with the lock files' packages; ValueError with the installer's own words where it fails."""
    began = time.monotonic()
    folder, files = ROOT / target, [ROOT / lock for lock in locks]
    made_from = hashlib.sha256(json.dumps([[file.read_text() for file in files], python, uv]).encode()).hexdigest()
    mark = folder / "made_from.json"
    interpreter = folder / "bin" / "python"
    reused = mark.exists() and json.loads(mark.read_text()) == made_from and interpreter.exists()
    if not reused:
        shutil.rmtree(folder, ignore_errors=True)
        tool = _uv(uv)
        output([tool, "venv", "--python", _interpreter(tool, python), str(folder)])
        wanted = [word for file in files for word in ("--requirement", str(file))]
        output([tool, "pip", "install", "--python", str(interpreter), "--verify-hashes", *wanted])
        write_json(mark, made_from)
    return {"python": str(interpreter), "reused": reused, "seconds": round(time.monotonic() - began, 1)}


def smoke(python: str, gpu: bool) -> dict[str, Any]:
    """Versions and device of an environment that computes; ValueError with the end of its traceback where it does not."""
    found = output([str(ROOT / python), "-c", _SMOKE, "gpu" if gpu else "cpu"], _SMOKE_S)
    return dict(json.loads(found.splitlines()[-1]))


def _uv(version: str) -> str:
    """The installer of that version, in an environment of its own."""
    folder = ROOT / "uv" / version
    tool = folder / "bin" / "uv"
    if not tool.exists():  # pip puts it there last
        output([sys.executable, "-m", "venv", "--clear", str(folder)])
        output([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"uv=={version}"])
    return str(tool)


def _interpreter(tool: str, version: str) -> str:
    """A Python of that version: one that is there, else one uv fetches."""
    find = [tool, "python", "find", "--system", "--no-project", version]
    try:
        return output(find).strip()
    except ValueError:
        output([tool, "python", "install", version])
        return output(find).strip()


if __name__ == "__main__":
    answer(main)
