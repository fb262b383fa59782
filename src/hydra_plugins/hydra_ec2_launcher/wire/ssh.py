"""A machine reached by OpenSSH and rsync, under a configuration of its own that trusts one host key and offers one identity.

Nothing of ~/.ssh or /etc/ssh is read. Whatever the machine answers is untrusted: its names, its output, its links.
"""

import os
import posixpath
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from hydra_plugins.hydra_ec2_launcher.wire.keys import known_hosts_line, write_private
from hydra_plugins.hydra_ec2_launcher.wire.remote_paths import PathEscapeError, anchored, inside, remove_links_out
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, RemoteCommandError, TransportError

_CONFIG = "ssh_config"
_KNOWN_HOSTS = "known_hosts"
_ALIAS = "machine"
_WORD = re.compile(r"(?!-)[\w.:-]+", re.ASCII)
_IDLE_S = 60
_RSYNC_SILENCE_S = 60
_RSYNC_LOST = {10, 12, 20, 30, 35, 255}
"""socket, stream, signal, timeout, timeout while connecting, and what ssh exits with"""
_RSYNC_VANISHED = 24
"""a file was deleted while its folder was read: jobs do that"""
_HOST_KEY_SIGNS = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed")
_LONGEST_PAUSE_S = 10.0
_ESCAPES = 77

# Run by sh on the machine. A program's own 255 becomes 254: 255 is what ssh says of a lost connection.
_IN_FOLDER = 'cd -- "$0" && "$@"; code=$?; [ $code -ne 255 ] || code=254; exit $code'
_MAKE_ROOT = 'umask 077; mkdir -p -- "$0" && cd -- "$0" && pwd -P'
_REFUSE_ESCAPE = f'case "$there/" in "$PWD"/*) ;; *) exit {_ESCAPES} ;; esac'
_FIND_SOURCE = f"""
there=$(realpath -e -- "$0") || exit 1
{_REFUSE_ESCAPE}
if [ -d "$0" ]; then echo folder; else echo file; fi
"""
_MAKE_TARGET = f"""
there=$(realpath -m -- "$0") || exit 1
{_REFUSE_ESCAPE}
mkdir -p -- "$1"
"""


class SshTransport:
    """A folder on a machine with sshd, rsync and a POSIX shell; see `Transport`.

    `root` is absolute, or relative to the login's home. `folder` holds the configuration, mode 0600. A peer that falls
    silent is given up after `alive_interval_s` times `alive_count`.

    Raises:
        ValueError: ssh or rsync is not installed, or the address or the key is malformed.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        identity: Path,
        host_public_key: str,
        root: str,
        folder: Path,
        proxy_command: str | None = None,
        connect_timeout_s: int = 10,
        alive_interval_s: int = 5,
        alive_count: int = 3,
    ) -> None:
        for program, package in {"ssh": "openssh-client", "rsync": "rsync"}.items():
            if shutil.which(program) is None:
                raise ValueError(f"PATH: no {program} in it\n  remedy: apt-get install {package}")
        for key, value in {"host": host, "user": user}.items():
            if not _WORD.fullmatch(value):
                raise ValueError(f"{key}={value!r}: not a name that ssh can use\n  remedy: letters, digits and . _ : -")
        self._address = host, port
        relative = root.removeprefix("~").lstrip("/") if root.startswith("~") else root
        self._wanted_root = relative if relative.startswith("/") else f"./{relative}"
        self._root: str | None = None
        self._root_lock = threading.Lock()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pin(host_public_key)
        settings = {
            "HostName": host,
            "Port": port,
            "User": user,
            "IdentityFile": _quoted(str(identity.absolute())),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _quoted(str(folder.absolute() / _KNOWN_HOSTS)),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ConnectTimeout": connect_timeout_s,
            "ServerAliveInterval": alive_interval_s,
            "ServerAliveCountMax": alive_count,
            "ControlMaster": "auto",
            # Not in the folder: a socket's name may have about 100 characters.
            "ControlPath": _quoted(f"{tempfile.gettempdir()}/ssh-{secrets.token_hex(8)}"),
            "ControlPersist": _IDLE_S,
            "LogLevel": "ERROR",
        } | ({} if proxy_command is None else {"ProxyCommand": proxy_command})
        lines = [f"Host {_ALIAS}", *(f"  {key} {value}" for key, value in settings.items())]
        assert not any("\n" in line for line in lines), lines
        write_private(folder / _CONFIG, "\n".join(lines) + "\n")

    @property
    def root(self) -> str:
        with self._root_lock:
            if self._root is None:
                answer = self._ssh(["sh", "-c", _MAKE_ROOT, self._wanted_root], asked=["mkdir"], timeout_s=60.0)
                self._root = os.fsdecode(answer.removesuffix(b"\n"))
            return self._root

    @property
    def host_public_keys(self) -> Sequence[str]:
        """The host keys that are accepted."""
        return self._pinned

    def pin(self, *public_keys: str) -> None:
        """Accept these host keys from the next connection on, and no others."""
        lines = [known_hosts_line(*self._address, key) for key in public_keys]
        write_private(self._folder / _KNOWN_HOSTS, "".join(lines))
        self._pinned = public_keys

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0) -> bytes:
        there = ["sh", "-c", _IN_FOLDER, self.root, *argv]
        return self._ssh(there, asked=argv, stdin=stdin, timeout_s=timeout_s)

    def put(self, source: Path, target: str) -> None:
        name, source = inside(target), source.resolve()
        folder = source.is_dir()
        self._checked(["put", target], _MAKE_TARGET, f"./{name}", "./" + (name if folder else posixpath.dirname(name)))
        slash = "/" if folder else ""
        self._rsync([f"{source}{slash}", f"{_ALIAS}:{self.root}/{name}{slash}"])

    def get(self, source: str, target: Path, *, exclude: Sequence[str] = ()) -> None:
        name, target = inside(source), target.absolute()
        if self._checked(["get", source], _FIND_SOURCE, f"./{name}") == b"folder\n":
            target.mkdir(parents=True, exist_ok=True)
            patterns = [f"--exclude={anchored(pattern)}" for pattern in exclude]
            self._rsync([*patterns, f"{_ALIAS}:{self.root}/{name}/", f"{target}/"])
            remove_links_out(target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._rsync(["--copy-links", f"{_ALIAS}:{self.root}/{name}", str(target)])

    def wait_until_reachable(self, timeout_s: float) -> None:
        """Knock until the machine lets us in.

        Raises:
            TransportError: it did not within that time.
            HostKeyError: someone else answers; at once.
        """
        deadline, pause_s = time.monotonic() + timeout_s, 0.5
        while True:
            try:
                self.run(["true"])
                return
            except HostKeyError:
                raise
            except TransportError:
                if time.monotonic() + pause_s > deadline:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """End the connection; the next use makes a new one."""
        command = ["ssh", "-F", _CONFIG, "-O", "exit", _ALIAS]
        subprocess.run(command, cwd=self._folder, capture_output=True, check=False, timeout=60)

    def _checked(self, asked: Sequence[str], script: str, *arguments: str) -> bytes:
        """Run one of our scripts in the folder; PathEscapeError where it finds that a name leads out."""
        try:
            there = ["sh", "-c", _IN_FOLDER, self.root, "sh", "-c", script, *arguments]
            return self._ssh(there, asked=asked, timeout_s=60.0)
        except RemoteCommandError as error:
            if error.returncode == _ESCAPES:
                raise PathEscapeError(f"{asked[-1]!r} leads out of {self.root}") from error
            raise

    def _ssh(self, argv: Sequence[str], *, asked: Sequence[str], timeout_s: float, stdin: bytes = b"") -> bytes:
        command = ["ssh", "-F", _CONFIG, _ALIAS, shlex.join(argv)]
        return self._call(command, asked=asked, stdin=stdin, timeout_s=timeout_s, lost={255})

    def _rsync(self, arguments: Sequence[str]) -> None:
        options = ["-rlt", "--safe-links", "-s", "-z", "--partial-dir=.partial", f"--timeout={_RSYNC_SILENCE_S}"]
        command = ["rsync", *options, "-e", f"ssh -F {_CONFIG}", *arguments]
        self._call(command, asked=command, lost=_RSYNC_LOST, fine={0, _RSYNC_VANISHED})

    def _call(
        self,
        command: Sequence[str],
        *,
        asked: Sequence[str],
        lost: Collection[int],
        fine: Collection[int] = (0,),
        stdin: bytes = b"",
        timeout_s: float | None = None,
    ) -> bytes:
        """Run ssh or rsync here, out of reach of the terminal's Ctrl-C, and raise what its exit code means."""
        where = "{}:{}".format(*self._address)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                check=False,
                cwd=self._folder,
                timeout=timeout_s,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise TransportError(f"{where}: {asked[0]} did not answer within {timeout_s:g} s") from error
        if done.returncode in fine:
            return done.stdout
        stderr = done.stderr.decode(errors="replace")
        if done.returncode > 0 and done.returncode not in lost:
            raise RemoteCommandError(asked, done.returncode, stderr)
        if any(sign in stderr for sign in _HOST_KEY_SIGNS):
            raise HostKeyError(f"{where}: someone else answers there, nothing was sent\n{stderr[-2000:]}")
        raise TransportError(f"{where}: {stderr[-2000:].strip() or f'{command[0]} ended with {done.returncode}'}")


def _quoted(path: str) -> str:
    """A path as ssh_config reads it."""
    return '"{}"'.format(path.replace("%", "%%"))
