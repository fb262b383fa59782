"""The fake AWS's machines as real ones: each is an sshd here with the host key, the login and the fate it was told.

What a machine has beside that is played by small programs on its PATH: nvidia-smi (by its image: good or without a
driver), sudo, systemctl (power-off and reload). What it cannot play is CUDA: `python` there says that torch computes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
from aws_faults import FakeAws, Machine
from loopback_sshd import CONFIG
from served import free_port

from hydra_plugins.hydra_ec2_launcher.wire.keys import generate, write_private

REGION = "us-east-1"
AMIS = {
    "no-driver": "/aws/service/deeplearning/ami/x86_64/plain/latest/ami-id",
    "good": "/aws/service/deeplearning/ami/x86_64/with-driver/latest/ami-id",
    "spare": "/aws/service/deeplearning/ami/x86_64/with-driver-too/latest/ami-id",
}

_SMI = """#!/bin/sh
case "$*" in
  *utilization.gpu*) echo "63, 1200, 22888, 41" ;;
  *compute-apps*) ;;
  *) echo "NVIDIA A10G, 22888, 580.95" ;;
esac
"""
_NO_SMI = """#!/bin/sh
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver" >&2
exit 9
"""
_SUDO = """#!/bin/sh
[ "$1" = -n ] && shift
exec "$@"
"""
_SYSTEMCTL = """#!/bin/sh
case "$1" in
  reload) kill -HUP "$(cat {folder}/sshd.pid)" ;;
  poweroff) date >> {folder}/powered-off ;;
esac
"""
_PYTHON = """#!/bin/sh
case "$*" in
  *torch.ones*) echo '{{"device": "played"}}' ;;
  *) exec {python} "$@" ;;
esac
"""


class RentedBoxes:
    """All machines that the fake AWS rents, one at a time at one port."""

    def __init__(self, folder: Path, aws: FakeAws) -> None:
        self.folder = folder
        self.aws = aws
        self.port = free_port()
        self.images = {name: aws.publish(REGION, parameter) for name, parameter in AMIS.items()}
        self.sshd: dict[str, subprocess.Popen[bytes]] = {}
        self.live: list[str] = []
        self.booted: list[str] = []
        self.fates: list[str] = []
        """of the next machines: "deaf" never listens, "impostor" shows a key of its own; the others are well"""
        self.on_boot: Callable[[], object] = lambda: None
        """called before the answer to the request goes out"""
        self.caller = "203.0.113.7"
        """the address from which the internet sees us"""
        self.notice: dict[str, str] | None = None
        """what the metadata service says of an interruption"""
        aws.spot_prices.append((f"{REGION}a", datetime(2020, 1, 1, tzinfo=UTC), 0.5))
        aws.on_run = self.boot
        aws.on_end = self.end

    @property
    def python(self) -> Path:
        """The interpreter of the machines."""
        return self.folder / "python"

    def boot(self, machine: Machine) -> str:
        """Start the machine as its user data says."""
        if not machine.user_data:
            return "192.0.2.1"  # somebody else's
        self.notice = None
        self.booted.append(machine.id)
        fate = self.fates.pop(0) if self.fates else ""
        told = json.loads(machine.user_data.removeprefix("#cloud-config\n"))
        home = self.home(machine.id)
        (home / "bin").mkdir(parents=True)
        good = machine.ami != self.images["no-driver"]
        programs = {
            "nvidia-smi": _SMI if good else _NO_SMI,
            "sudo": _SUDO,
            "systemctl": _SYSTEMCTL.format(folder=home),
        }
        for name, text in programs.items():
            write_program(home / "bin" / name, text)
        write_program(self.python, _PYTHON.format(python=sys.executable))
        self.host_key.unlink(missing_ok=True)
        if fate == "impostor":
            generate(self.host_key)
        else:
            write_private(self.host_key, told["ssh_keys"]["ed25519_private"])
        (home / "authorized_keys").write_text("\n".join(told["ssh_authorized_keys"]) + "\n")
        config = CONFIG.format(
            port=self.port, host_key=self.host_key, authorized_keys=home / "authorized_keys", folder=home
        )
        path = f"{home}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        (home / "sshd_config").write_text(f"{config}SetEnv PATH={path}\n")
        self.live.append(machine.id)
        if fate != "deaf":
            self.listen(machine.id)
        self.on_boot()
        return "127.0.0.1"

    def listen(self, instance_id: str) -> None:
        """Let the machine be reached."""
        with self.log(instance_id).open("ab") as log:
            command = [shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd", "-D", "-e", "-f"]
            config = str(self.home(instance_id) / "sshd_config")
            self.sshd[instance_id] = subprocess.Popen([*command, config], stdout=log, stderr=log)

    def cut(self, instance_id: str) -> None:
        """Break all connections to the machine and take no new ones; what works there goes on."""
        if (sshd := self.sshd.pop(instance_id, None)) is None:
            return
        sessions = psutil.Process(sshd.pid).children(recursive=True)
        for process in [*sessions, sshd]:
            with suppress(psutil.NoSuchProcess):
                if process is sshd or process.name().startswith("sshd"):
                    process.kill()
        sshd.wait()

    def log(self, instance_id: str) -> Path:
        """What the machine's sshd says."""
        return self.home(instance_id) / "sshd.log"

    def end(self, instance_id: str) -> None:
        """The machine is gone, with its processes and its disk; repeatable."""
        if instance_id not in self.live:
            return
        self.live.remove(instance_id)
        self.cut(instance_id)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + 10
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def host_key(self) -> Path:
        """What /etc/ssh/ssh_host_ed25519_key is on the present machine."""
        return self.folder / "host_key"

    def home(self, instance_id: str) -> Path:
        return self.folder / instance_id

    @property
    def root(self) -> Path:
        """Where sweeps keep their files on any of the machines."""
        return self.folder / "disk"

    def processes(self) -> list[psutil.Process]:
        """Whatever works on the machine's disk."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                if Path(process.cwd()).is_relative_to(self.root) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@contextmanager
def metadata(boxes: RentedBoxes) -> Iterator[str]:
    """The metadata service of the machines, which tells callers their address besides; where it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.answer(200, b"token")

        def do_GET(self) -> None:
            if self.path == "/caller":
                self.answer(200, boxes.caller.encode())
            elif self.headers.get("X-aws-ec2-metadata-token") != "token":
                self.answer(401, b"")
            elif boxes.notice is None:
                self.answer(404, b"")
            else:
                self.answer(200, json.dumps(boxes.notice).encode())

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.wait(timeout=60)
