"""A real machine at Amazon. It costs money and has a marker of its own; nothing but BOTSCALP_RENT=yes lets it run:

BOTSCALP_RENT=yes .venv/bin/python -m pytest -s -m aws tests/launcher/test_real_ec2.py
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMITS = ("hydra.launcher.limits.max_hours=0.5", "hydra.launcher.limits.budget_usd=1")

pytestmark = [
    pytest.mark.aws,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("BOTSCALP_RENT") != "yes", reason="rents a real machine: set BOTSCALP_RENT=yes"),
]


def gpu(*words: str) -> str:
    command = [sys.executable, "-m", "botscalp.gpu", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_machine_is_rented_checked_used_and_given_back() -> None:
    print(gpu("plan", *LIMITS))  # with -s: the price, before anything is rented
    try:
        gpu("up", *LIMITS)
        sweep = ("hydra/launcher=a10g", *LIMITS, "debug=smoke", "trainer.device=cuda", "seed=0,1")
        command = [sys.executable, "-m", "botscalp.train", "-m", *sweep]
        subprocess.run(command, cwd=ROOT, check=True, timeout=3600)
    finally:
        print(gpu("down"))
        print(gpu("reap"))
        print(gpu("cost"))
