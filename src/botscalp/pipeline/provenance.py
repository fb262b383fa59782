"""Which code made a run."""

import subprocess
from pathlib import Path

import botscalp


def code_version() -> dict[str, str | bool | None]:
    """The git commit of the sources and whether they differ from it; both None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}


def _git(*words: str) -> str | None:
    folder = Path(botscalp.__file__).parent
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
