"""Consistent copies of a job's SQLite stores, taken while it writes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from files import inside

_BUSY_S = 2.0


def take_snapshot(job_folder: Path, stores: Sequence[str]) -> bool:
    """Copy the stores of work/ into snapshot/ under the same names, and say whether there were any yet.

    Raises:
        sqlite3.Error: a store stays locked, or is none.
    """
    there = [name for name in stores if inside(job_folder / "work", name).is_file()]
    for name in there:
        _copy(job_folder / "work" / name, inside(job_folder / "snapshot", name))
    return bool(there)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.new")
    aside.unlink(missing_ok=True)
    # Not read-only: what a killed writer left half done has to be rolled back first.
    uri = source.resolve().as_uri() + "?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(aside),))
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(aside, target)
