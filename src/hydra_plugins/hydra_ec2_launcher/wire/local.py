"""This machine in the role of the rented one: the same promises as `ssh.py`, kept with processes and copies."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.wire.remote_paths import PathEscapeError, excluded, inside, remove_links_out
from hydra_plugins.hydra_ec2_launcher.wire.transport import RemoteCommandError, TransportError


class LocalTransport:
    """A folder on this machine; see `Transport`."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    @property
    def root(self) -> str:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return str(self._root)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0) -> bytes:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                argv, cwd=self.root, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise RemoteCommandError(argv, 127, str(error)) from error
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                raise TransportError(f"{argv[0]}: no answer within {timeout_s:g} s") from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise RemoteCommandError(argv, process.returncode, stderr.decode(errors="replace"))
        return stdout

    def put(self, source: Path, target: str) -> None:
        _copy(source, self._resolved(target))

    def get(self, source: str, target: Path, *, exclude: Sequence[str] = ()) -> None:
        there = self._resolved(source)
        if not there.exists():
            raise RemoteCommandError(["get", source], 1, "No such file or directory")
        _copy(there, target, exclude)
        if there.is_dir():
            remove_links_out(target)

    def close(self) -> None:
        """Nothing is held."""

    def _resolved(self, name: str) -> Path:
        path = (Path(self.root) / inside(name)).resolve()
        if not path.is_relative_to(self.root):
            raise PathEscapeError(f"{name!r} leads out of {self.root}")
        return path


def _copy(source: Path, target: Path, exclude: Sequence[str] = ()) -> None:
    """Copy a file, or what a folder holds, as rsync does: files appear whole, equal ones stay, links out stay behind."""
    if not source.is_dir():
        _copy_file(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for parent, folders, files in os.walk(source):
        here = Path(parent).relative_to(source)
        kept = [name for name in sorted([*folders, *files]) if not excluded((here / name).as_posix(), exclude)]
        folders[:] = [name for name in folders if name in kept]
        for name in kept:
            path, there = Path(parent, name), target / here / name
            if there.is_symlink():
                there.unlink()
            if path.is_symlink():
                _copy_link(path, there, source)
            elif path.is_dir():
                there.mkdir(exist_ok=True)
            elif path.is_file():
                _copy_file(path, there)


def _copy_file(source: Path, target: Path) -> None:
    if target.is_file() and _stamp(source) == _stamp(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".partial-{secrets.token_hex(8)}")
    try:
        shutil.copyfile(source, aside)
        shutil.copystat(source, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _copy_link(source: Path, target: Path, top: Path) -> None:
    leads_to = os.readlink(source)
    if not os.path.isabs(leads_to) and source.resolve().is_relative_to(top.resolve()):
        target.symlink_to(leads_to)


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
