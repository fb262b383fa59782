"""A real sshd on 127.0.0.1, with keys and settings of its own, that can be stopped, frozen and replaced by an impostor.

And a relay before it, that counts what passes and can cut the line.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from served import free_port

from hydra_plugins.hydra_ec2_launcher.wire.keys import generate
from hydra_plugins.hydra_ec2_launcher.wire.ssh import SshTransport

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {host_key}
AuthorizedKeysFile {authorized_keys}
PidFile {folder}/sshd.pid
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
"""


class LoopbackSshd:
    """The server of one folder; any number of starts and stops."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, sshd: str) -> None:
        self.folder = folder
        self.user = getpass.getuser()
        self.port = free_port()
        self.host_key = generate(folder / "host_key")
        self.identity = generate(folder / "client_key")
        self._sshd = sshd
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "authorized_keys").write_text(self.identity.public + "\n")
        parts = {"port": self.port, "host_key": self.host_key.private, "folder": folder}
        (folder / "sshd_config").write_text(CONFIG.format(**parts, authorized_keys=folder / "authorized_keys"))

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text()

    def start(self) -> None:
        command = [self._sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"sshd does not listen\n{self.log}")

    def stop(self) -> None:
        """End the server and its connections."""
        if self._process is None:
            return
        for process in reversed(self._tree()):
            with suppress(psutil.NoSuchProcess):
                if process.pid == self.pid or process.name() == "sshd":
                    process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let nobody answer any more, while the connections stay open."""
        for process in self._tree():
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._tree():
            process.send_signal(signal.SIGCONT)

    def change_host_key(self) -> None:
        """Someone else answers at this address."""
        self.stop()
        self.host_key = generate(self.host_key.private)
        self.start()

    def transport(self, root: Path | str, folder: Path, **changes: Any) -> SshTransport:
        """A transport that is let in, or not, by what is changed."""
        settings: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "identity": self.identity.private,
            "host_public_key": self.host_key.public,
            "root": str(root),
            "folder": folder,
            "connect_timeout_s": 5,
            "alive_interval_s": 1,
            "alive_count": 2,
        }
        return SshTransport(**settings | changes)

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        return []


@contextmanager
def loopback_sshd(folder: Path) -> Iterator[LoopbackSshd]:
    """A started server; skips the test where none is installed."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if sshd is None:
        pytest.skip("needs sshd: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = LoopbackSshd(folder, sshd)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(name="sshd")
def sshd_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSshd]:
    """A server of the test's own."""
    with loopback_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


class Relay:
    """Passes connections on to a port; counts their bytes by direction; `cut_after` so many in all, every line breaks."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.received = 0
        self.connections = 0
        self.cut_after: int | None = None
        self._to = ("127.0.0.1", port)
        self._lines: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        self._thread.join()

    def _accept(self) -> None:
        pumps = []
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._to)
                self._lines += [client, server]
                for way in ((client, server, "sent"), (server, client, "received")):
                    pumps.append(threading.Thread(target=self._pump, args=way, daemon=True))
                    pumps[-1].start()
        for pump in pumps:
            pump.join()

    def _pump(self, source: socket.socket, target: socket.socket, count: str) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                setattr(self, count, getattr(self, count) + len(block))
                if self.cut_after is not None and self.sent + self.received > self.cut_after:
                    self._cut()
                target.sendall(block)
        self._end(source, target)

    def _cut(self) -> None:
        self._end(*self._lines)

    @staticmethod
    def _end(*lines: socket.socket) -> None:
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A relay before that port."""
    between = Relay(port)
    try:
        yield between
    finally:
        between.close()
