"""Data files that a sweep reads: what lies here, and that the same lies on the machine before a job begins."""

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.wire.transport import Transport, TransportError

_BRACES = re.compile(r"\{[^{}]*\}")
_PLACE = Path(__file__).with_name("remote_place.py").read_text()
_HASH_S = 1800.0


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file at home."""

    path: Path
    """absolute"""
    size: int
    """bytes"""
    sha256: str

    @property
    def target(self) -> str:
        """Where it belongs on the machine, relative to our folder."""
        return at_box("", str(self.path)).lstrip("/")


def manifest(values: Mapping[str, str]) -> Sequence[DataFile]:
    """The files behind config keys and their values: paths, or patterns such as um-{symbol}.parquet; of a folder all.

    Raises:
        ValueError: there is no such file.
    """
    paths = {path for key, value in values.items() for path in _matches(key, value)}
    return [_data_file(path) for path in sorted(paths)]


def at_box(root: str, value: str) -> str:
    """How a path or pattern at home reads on the machine whose folder of ours is `root`."""
    return f"{root}/data/{os.path.abspath(os.path.expanduser(value)).lstrip('/')}"


def ship(transport: Transport, files: Sequence[DataFile]) -> Sequence[DataFile]:
    """Bring to the machine what is missing or different there; the files that had to travel, each once.

    Raises:
        TransportError: a file did not arrive as it left.
    """
    files = list(dict.fromkeys(files))  # several jobs read the same ones
    travelled = _missing(transport, files)
    for file in travelled:
        transport.put(file.path, f"{file.target}.incoming")
    lost = _missing(transport, files) if travelled else []
    if lost:
        raise TransportError(f"did not arrive as they left: {', '.join(str(file.path) for file in lost)}")
    return travelled


def _matches(key: str, value: str) -> Sequence[Path]:
    """The files of one value, absolute."""
    pattern = os.path.abspath(os.path.expanduser(value))
    literals = [glob.escape(part) for part in _BRACES.split(pattern)]
    named = [Path(path) for path in glob.glob("*".join(literals)) if value]
    inside = [path for folder in named if folder.is_dir() for path in folder.rglob("*")]
    found = [path for path in (*named, *inside) if path.is_file() and path.suffix != ".lock"]
    if not found:
        raise ValueError(
            f"{key}={value}: no such file here\n  remedy: name a file or folder, or a pattern of them, that exists"
        )
    for path in found:
        if not set("*?[\\").isdisjoint(str(path)):
            raise ValueError(f"{key}={value}: {path} has * ? [ or \\ in it, and cannot travel\n  remedy: rename it")
    return found


def _data_file(path: Path) -> DataFile:
    stat = path.stat()
    return DataFile(path=path, size=stat.st_size, sha256=_sha256(path, stat.st_size, stat.st_mtime_ns))


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """The file's hash; size and time tell a changed file from one whose hash is known."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(transport: Transport, files: Sequence[DataFile]) -> Sequence[DataFile]:
    """Put into place what has arrived intact; the files that have not."""
    wanted = json.dumps({file.target: file.sha256 for file in files}).encode()
    answer = transport.run(["python3", "-I", "-c", _PLACE], stdin=wanted, timeout_s=_HASH_S)
    missing = set(json.loads(answer))
    return [file for file in files if file.target in missing]
