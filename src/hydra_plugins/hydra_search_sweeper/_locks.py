"""Locks beside a study's storage: one command at a time does this, that command lives.

None of them needs a clean end: the system lets go of a file lock however its process ends. Without a storage there is no other command.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


def alone(storage: Path | None, name: str) -> AbstractContextManager[Any]:
    """Held by one command at a time; the others wait."""
    if storage is None:
        return nullcontext()
    storage.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{storage}.{name}")


def _owner_lock(storage: Path, owner: str) -> Path:
    return storage.with_name(f"{storage.name}.owners") / owner


@contextmanager
def held(storage: Path | None, owner: str) -> Iterator[None]:
    """Show that this command lives."""
    if storage is None:
        yield
        return
    path = _owner_lock(storage, owner)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
    path.unlink(missing_ok=True)


def released(storage: Path | None, owner: str) -> bool:
    """Whether the command is gone."""
    if storage is None:
        return False
    path = _owner_lock(storage, owner)
    if not path.exists():
        return True
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile sees that it guards nothing
    except Timeout:
        return False
    return True


def forget_the_gone(storage: Path | None) -> None:
    """Remove the locks of commands that were killed."""
    if storage is not None:
        for path in _owner_lock(storage, "").iterdir():
            released(storage, path.name)
