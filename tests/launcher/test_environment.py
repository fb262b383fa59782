"""The jobs' environment, made by the real installer from the package index."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from agent_box import Box, CommandFailedError

PYTHON = "{}.{}".format(*sys.version_info[:2])
UV = "0.13.9"
SIX = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
"""of six 1.17.0's wheel"""


def _wanted(lock: str) -> str:
    return f'{{"locks": ["{lock}", "others.lock"], "python": "{PYTHON}", "uv": "{UV}"}}'


@pytest.mark.slow
def test_an_environment_is_made_once_for_a_lock_file(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    lock = box.root / "requirements.lock"
    lock.write_text("six==1.16.0\n")
    (box.root / "others.lock").write_text("iniconfig==2.3.1\n")
    made = box.script("environment.py", _wanted(lock.name))
    assert not made["reused"]
    assert _six(made["python"]) == "1.16.0"
    assert box.script("environment.py", _wanted(lock.name))["reused"]

    (box.root / "env/made_from.json").unlink()  # as an interrupted one leaves it
    (box.root / "env/litter").touch()
    assert not box.script("environment.py", _wanted(lock.name))["reused"]
    assert not (box.root / "env/litter").exists()

    lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(CommandFailedError, match=r"(?i)hash mismatch"):
        box.script("environment.py", _wanted(lock.name))

    lock.write_text(f"six==1.17.0 --hash=sha256:{SIX}\n")
    assert _six(box.script("environment.py", _wanted(lock.name))["python"]) == "1.17.0"

    lock.write_text("six==0.0.0.dev99\n")
    with pytest.raises(CommandFailedError, match=r"six==0\.0\.0\.dev99"):
        box.script("environment.py", _wanted(lock.name))
    assert not (box.root / "env/made_from.json").exists()

    with pytest.raises(CommandFailedError, match="No module named 'torch'"):
        box.script("environment.py", "--smoke", '{"python": "env/bin/python", "gpu": false}')


@pytest.mark.slow
def test_the_smoke_test_computes_and_names_versions(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    found = box.script("environment.py", "--smoke", f'{{"python": "{sys.executable}", "gpu": false}}')
    assert found["device"] == "cpu" and found["torch"].startswith("2.")
    if found["cuda"] is None:
        with pytest.raises(CommandFailedError, match="CUDA"):
            box.script("environment.py", "--smoke", f'{{"python": "{sys.executable}", "gpu": true}}')


def _six(python: str) -> str:
    code = "import six; print(six.__version__)"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.strip()
