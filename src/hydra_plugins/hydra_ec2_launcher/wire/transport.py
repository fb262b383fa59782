"""How commands and files reach a machine: `local.py` for this one, `ssh.py` for another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class TransportError(Exception):
    """The machine cannot be reached, or the connection broke: trying again may help."""


class HostKeyError(TransportError):
    """Someone else answers at that address: never try again, never send anything."""


class RemoteCommandError(Exception):
    """The machine was reached, and the command failed there."""

    def __init__(self, argv: Sequence[str], returncode: int, stderr: str) -> None:
        super().__init__(f"{' '.join(argv)[:200]}: exit code {returncode}\n{stderr[-2000:]}")
        self.returncode = returncode
        self.stderr = stderr


class Transport(Protocol):
    """A machine with a folder of ours on it. Names of files are relative to that folder; they may not leave it."""

    @property
    def root(self) -> str:
        """The folder, absolute on the machine; made by the first use."""
        ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0) -> bytes:
        """Run a program in the folder, arguments passed as they are, and return its stdout.

        Raises:
            RemoteCommandError: it failed there.
            TransportError: it could not be asked, or did not answer in time.
        """
        ...

    def put(self, source: Path, target: str) -> None:
        """Copy a file, or what a folder holds, to `target`; an interrupted copy goes on where it stopped."""
        ...

    def get(self, source: str, target: Path, *, exclude: Sequence[str] = ()) -> None:
        """Copy a file, or what a folder holds, from the machine; links that lead out of `target` are refused.

        Partial files stay aside; a source that does not exist is a RemoteCommandError.
        """
        ...

    def close(self) -> None: ...
