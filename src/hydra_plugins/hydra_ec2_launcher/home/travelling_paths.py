"""How paths at home read on the machine. Relative to a job's working folder there, so that they hold wherever that lies."""

import os
from pathlib import Path

WORK_TO_ROOT = "../../.."
"""from a job's working folder, jobs/<num>/work, to the folder that holds everything"""


def box_path(path: Path, *, otherwise: str) -> str:
    """A folder that jobs write to: the same relative path where it is one, or lies below here; else `otherwise`."""
    relative = os.path.relpath(path) if path.is_absolute() else os.path.normpath(path)
    return otherwise if relative.startswith("..") else relative


def box_store(store: Path | None) -> str:
    """Each job's own store, where the command names `store`."""
    return "store" if store is None else box_path(store, otherwise="store")
