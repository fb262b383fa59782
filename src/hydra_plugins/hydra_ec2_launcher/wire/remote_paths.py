"""Names of files that come from, or go to, a machine: none of them may lead out of the folder it belongs in."""

import os
import posixpath
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path


class PathEscapeError(Exception):
    """A name or a link leads out of its folder: nothing was written there, and trying again will not help."""


def inside(name: str) -> str:
    """The relative name, normalised; PathEscapeError where it is empty, absolute, climbs with `..` or has wildcards."""
    # rsync expands wildcards on the machine, escaped or not; in names below a folder that travels they are welcome.
    if not name or name.startswith("/") or ".." in name.split("/") or not set("\0*?[\\").isdisjoint(name):
        raise PathEscapeError(f"{name!r} is not a name of a file below the folder")
    return posixpath.normpath(name)


def excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern names that relative path: by its last part, or, if the pattern has a slash, by all of them."""
    parts = name.split("/")
    return any(_match(parts, anchored(pattern)) for pattern in patterns)


def anchored(pattern: str) -> str:
    """The pattern as rsync reads it: with a slash in it, it begins at the top of the copied folder."""
    return f"/{pattern.strip('/')}" if "/" in pattern.strip("/") else pattern


def remove_links_out(folder: Path) -> None:
    """Remove links below the folder that lead out of it; PathEscapeError if there was one."""
    top = folder.resolve()
    found = [path for path in _links(folder) if not path.resolve().is_relative_to(top)]
    for path in found:
        path.unlink()
    if found:
        raise PathEscapeError(f"{folder}: links lead out of it, removed: {', '.join(map(repr, map(str, found)))}")


def _match(parts: Sequence[str], pattern: str) -> bool:
    if not pattern.startswith("/"):
        return fnmatchcase(parts[-1], pattern)
    wanted = pattern[1:].split("/")
    return len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted))


def _links(folder: Path) -> list[Path]:
    return [
        path
        for parent, folders, files in os.walk(folder)
        for path in (Path(parent) / name for name in [*folders, *files])
        if path.is_symlink()
    ]
