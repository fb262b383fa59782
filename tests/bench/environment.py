"""Which packages are here, and what a fresh process makes of a script."""

import os
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAUTILUS = ROOT / ".venv" / "nautilus"
"""the environment that nautilus-trader has for itself: it needs an older pandas"""

warnings.simplefilter("ignore")  # the peers' are not ours
os.environ["TQDM_DISABLE"] = "1"  # backtesting.py draws a progress bar


def version_of(package: str) -> str | None:
    """The installed version of it, nautilus-trader's own environment included."""
    places = [*sys.path, *map(str, NAUTILUS.glob("lib/*/site-packages"))]
    return next((found.version for found in metadata.distributions(name=package, path=places)), None)


def fresh(*arguments: str, python: str = sys.executable, **environment: str) -> str:
    """What a new process of Python prints."""
    shown = subprocess.run(
        [python, "-W", "ignore", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout
