"""The project's files as one archive named by its hash: what runs there is what lay here, and nothing secret goes along."""

import gzip
import hashlib
import os
import re
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.wire.transport import Transport, TransportError

_LARGEST_MB = 50
_JUNK = (
    *(".git", ".venv", "venv", "node_modules", "__pycache__", "*.pyc", "*.egg-info", ".*_cache", ".hypothesis"),
    *("mlruns", "outputs", "multirun"),
)
_SECRET_NAMES = (
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
    *(".netrc", ".pgpass", ".pypirc", ".git-credentials", "credentials", "credentials.*", "*accesskeys.csv"),
)
_NOT_SECRET = (".env.example", ".env.sample", ".env.template")
_PRIVATE_KEY = re.compile(rb"^[ \t]*-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----[ \t\r]*$", re.MULTILINE)
_UNPACK = Path(__file__).with_name("remote_unpack.py").read_text()
_UNPACK_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A project's files at one moment."""

    archive: Path
    """<sha256>.tar.gz"""
    sha256: str
    commit: str | None
    """None outside git, and before the first commit"""
    dirty: bool
    """whether the files differ from the commit"""


def take(project: Path, folder: Path) -> Snapshot:
    """Pack what git tracks or would track; without git, all but the usual junk. Equal files make equal archives.

    Submodules and repositories within the project stay behind.

    Raises:
        ValueError: a file looks like a secret or is too big, a link leads out, or git fails.
    """
    listed = _git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = _all_files(project) if listed is None else {os.fsdecode(name) for name in listed.split(b"\0") if name}
    there = sorted(name for name in names if (project / name).is_symlink() or (project / name).is_file())
    _refuse_unfit(project, there)
    packed = _packed(project, there)
    sha256 = hashlib.sha256(packed).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{sha256}.tar.gz"
    aside = archive.with_name(f".{archive.name}.{os.getpid()}")
    aside.write_bytes(packed)
    os.replace(aside, archive)
    commit = None if listed is None else _git(project, "rev-parse", "--verify", "--quiet", "HEAD")
    dirty = listed is not None and _git(project, "status", "--porcelain", "--", ".") != b""
    return Snapshot(archive=archive, sha256=sha256, commit=commit.decode().strip() if commit else None, dirty=dirty)


def ship(transport: Transport, snapshot: Snapshot) -> str:
    """Unpack the snapshot on the machine, unless it lies there already; its folder's name.

    Raises:
        TransportError: the archive did not arrive as it left.
    """
    unpack = ["python3", "-I", "-c", _UNPACK, snapshot.sha256]
    if transport.run(unpack, timeout_s=_UNPACK_S) == b"missing\n":
        transport.put(snapshot.archive, f"code/{snapshot.archive.name}")
        if transport.run(unpack, timeout_s=_UNPACK_S) == b"missing\n":
            raise TransportError(f"{snapshot.archive}: did not arrive as it left")
    return f"code/{snapshot.sha256}"


def _git(project: Path, *arguments: str) -> bytes | None:
    """What git says there; None outside git or where there is no such commit."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", project, *arguments], capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    stderr = done.stderr.decode(errors="replace").strip()
    if done.returncode and stderr and "not a git repository" not in stderr:
        raise ValueError(f"code={project}: git {arguments[0]} fails: {stderr}\n  remedy: repair the repository")
    return done.stdout if done.returncode == 0 else None


def _all_files(project: Path) -> set[str]:
    found: set[str] = set()
    for parent, folders, files in os.walk(project):
        folders[:] = [name for name in folders if not _named(name, _JUNK)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        kept = [name for name in files if not _named(name, _JUNK)]
        found.update(Path(parent, name).relative_to(project).as_posix() for name in [*kept, *links])
    return found


def _refuse_unfit(project: Path, names: Sequence[str]) -> None:
    out = [name for name in names if (project / name).is_symlink() and _leads_out(project, name)]
    if out:
        raise ValueError(f"code={project}: links lead out of it: {', '.join(out)}\n  remedy: have git ignore them")
    files = [name for name in names if not (project / name).is_symlink()]
    big = [name for name in files if (project / name).stat().st_size > _LARGEST_MB * 1_000_000]
    if big:
        remedy = "have git ignore data; it travels by its own keys"
        raise ValueError(f"code={project}: bigger than {_LARGEST_MB} MB: {', '.join(big)}\n  remedy: {remedy}")
    secret = [name for name in files if _secret(project / name)]
    if secret:
        remedy = "have git ignore them (and `git rm --cached` what it tracks), or move them out of the project"
        raise ValueError(f"code={project}: would send secrets: {', '.join(secret)}\n  remedy: {remedy}")


def _leads_out(project: Path, name: str) -> bool:
    leads_to = os.readlink(project / name)
    return os.path.isabs(leads_to) or not (project / name).resolve().is_relative_to(project.resolve())


def _secret(path: Path) -> bool:
    name = path.name.lower()
    by_name = _named(name, _SECRET_NAMES) and not _named(name, _NOT_SECRET)
    return by_name or _PRIVATE_KEY.search(path.read_bytes()) is not None


def _named(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _packed(project: Path, names: Sequence[str]) -> bytes:
    """The archive, with nothing in it that differs between equal files: no times, no owners."""
    packed = BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in names:
            path, member = project / name, tarfile.TarInfo(name)
            if path.is_symlink():
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
                tar.addfile(member)
            else:
                content = path.read_bytes()
                member.size = len(content)
                member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
                tar.addfile(member, BytesIO(content))
    return packed.getvalue()
