"""What came home of a job, read as input that nobody vouches for."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MOST_BYTES = 4 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ResultError(ValueError):
    """What came home is not what the job, or its machine, had to send."""


@dataclass(frozen=True, kw_only=True)
class RemoteFailure:
    """An exception that was raised on the machine, as text."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a job says of itself at its end."""

    status: str
    """completed or failed"""
    return_value: Any
    """JSON; None for a failed job"""
    error: RemoteFailure | None
    """None for a completed job"""
    changed_folder: bool
    """whether it worked in its run folder, and not where the command was typed"""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_result(path: Path, *, job: int, config_hash: str) -> Result:
    """The result.json of that job, and of no other.

    Raises:
        ResultError: it is absent, too large, malformed, or another job's.
    """
    known = _read_object(path)
    for key, expected in (("schema", 1), ("job", job), ("config_hash", config_hash)):
        if type(known.get(key)) is not type(expected) or known[key] != expected:
            raise ResultError(f"{path}: {key} is {_shown(known.get(key))}, and {expected!r} was expected")
    match known.get("status"):
        case "completed":
            changed_folder = known.get("changed_folder") is True
            answer = known.get("return_value")
            return Result(status="completed", return_value=answer, error=None, changed_folder=changed_folder)
        case "failed":
            failure = _failure(path, known.get("error"))
            return Result(status="failed", return_value=None, error=failure, changed_folder=False)
    raise ResultError(f"{path}: status is {_shown(known.get('status'))}, and only completed or failed mean something")


def differing(folder: Path, digests: Any) -> list[str]:
    """The names in a machine's list of files, {name: SHA-256}, whose content below `folder` is absent or another.

    Raises:
        ResultError: it is no such list, or a name leads out of the folder.
    """
    if not isinstance(digests, Mapping):
        raise ResultError(f"a list of files was expected, and {_shown(digests)} came")
    return [name for name, digest in digests.items() if not _matches(_inside(folder, name), digest)]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ResultError(f"{path}: larger than {MOST_BYTES} bytes")
        known = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"{path}: cannot be read: {error}") from error
    if not isinstance(known, dict):
        raise ResultError(f"{path}: an object was expected, and {_shown(known)} came")
    return known


def _failure(path: Path, error: Any) -> RemoteFailure:
    parts = error if isinstance(error, dict) else {}
    texts = {key: _printable(text) for key, text in parts.items() if isinstance(text, str)}
    if not texts.keys() >= {"type", "message", "traceback"}:
        raise ResultError(f"{path}: error is {_shown(error)}, and type, message and traceback were expected")
    return RemoteFailure(type=texts["type"], message=texts["message"], traceback=texts["traceback"])


def _inside(folder: Path, name: str) -> Path:
    """The file of that name, which has to lie below the folder whatever links there are."""
    pure = PurePosixPath(name)
    try:
        path = folder / pure
        path.is_symlink()  # asks the system, which may refuse the name
        if pure.parts and ".." not in pure.parts and path.resolve().is_relative_to(folder.resolve()):
            return path
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, a circle of links, no file name at all
        raise ResultError(f"{_shown(name)} cannot be the name of a file below {folder}: {error}") from error
    raise ResultError(f"{_shown(name)} leads out of {folder}")


def _matches(path: Path, digest: Any) -> bool:
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ResultError(f"the SHA-256 of {path.name} was expected, and {_shown(digest)} came")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _printable(text: str) -> str:
    """Without halves of surrogate pairs, which neither a terminal nor a database takes."""
    return text.encode(errors="replace").decode()


def _shown(value: Any) -> str:
    return ascii(value)[:80]
