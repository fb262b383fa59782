"""SshTransport against a real sshd that is stopped, frozen, cut off and impersonated."""

import os
import re
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from loopback_sshd import LoopbackSshd, relay
from runs import wait_for
from served import free_port

from hydra_plugins.hydra_ec2_launcher.wire.keys import generate
from hydra_plugins.hydra_ec2_launcher.wire.remote_paths import PathEscapeError, remove_links_out
from hydra_plugins.hydra_ec2_launcher.wire.ssh import SshTransport
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, TransportError

BIG = 24_000_000


@pytest.fixture
def transport(sshd: LoopbackSshd, tmp_path: Path) -> Iterator[SshTransport]:
    reached = sshd.transport(tmp_path / "box", tmp_path / "client")
    yield reached
    reached.close()


def refuses_everything(transport: SshTransport, file: Path, error: type[TransportError]) -> None:
    """Each way to send something ends in exactly that error."""
    for send in (
        lambda: transport.run(["touch", "ran"], stdin=b"secret"),
        lambda: transport.put(file, "sent"),
        lambda: transport.get("anything", file.with_name("back")),
    ):
        with pytest.raises(error) as refusal:
            send()
        assert type(refusal.value) is error


def test_only_the_pinned_host_key_is_accepted(sshd: LoopbackSshd, tmp_path: Path) -> None:
    other = generate(tmp_path / "other").public
    transport = sshd.transport(tmp_path / "box", tmp_path / "client", host_public_key=other)
    (tmp_path / "file").touch()
    refuses_everything(transport, tmp_path / "file", HostKeyError)
    assert not (tmp_path / "box").exists()
    assert "Accepted" not in sshd.log


def test_to_an_impostor_nothing_is_sent(sshd: LoopbackSshd, transport: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    transport.run(["touch", "before"])
    sshd.change_host_key()
    log = len(sshd.log)
    wait_for("a refusal", lambda: raises_host_key_error(transport))
    refuses_everything(transport, tmp_path / "file", HostKeyError)
    assert [path.name for path in (tmp_path / "box").iterdir()] == ["before"]
    assert "Accepted" not in sshd.log[log:]


def raises_host_key_error(transport: SshTransport) -> bool:
    try:
        transport.run(["touch", "ran"])
    except HostKeyError:
        return True
    except TransportError:  # the old connection has not quite ended
        pass
    return False


def test_an_impostor_is_not_asked_again(sshd: LoopbackSshd, tmp_path: Path) -> None:
    other = generate(tmp_path / "other").public
    with relay(sshd.port) as line:
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=line.port, host_public_key=other)
        with pytest.raises(HostKeyError):
            transport.wait_until_reachable(60)
        assert line.connections == 1


def test_a_wrong_identity_is_not_let_in(sshd: LoopbackSshd, tmp_path: Path) -> None:
    stranger = generate(tmp_path / "stranger")
    transport = sshd.transport(tmp_path / "box", tmp_path / "client", identity=stranger.private)
    (tmp_path / "file").touch()
    refuses_everything(transport, tmp_path / "file", TransportError)


def test_nothing_of_the_user_s_own_ssh_is_offered(
    sshd: LoopbackSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good key in an agent does not help a wrong identity."""
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"(SSH_AUTH_SOCK|SSH_AGENT_PID)=([^;]+);", agent))
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])
        subprocess.run(["ssh-add", "-q", str(sshd.identity.private)], check=True, capture_output=True)
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", identity=generate(tmp_path / "k").private)
        with pytest.raises(TransportError, match="Permission denied"):
            transport.run(["true"])
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), signal.SIGTERM)


@pytest.mark.slow
def test_a_frozen_peer_is_given_up_within_the_keepalive_time(
    sshd: LoopbackSshd, transport: SshTransport, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1_000_000))
    transport.run(["true"])
    for stuck in (lambda: transport.run(["true"]), lambda: transport.put(tmp_path / "file", "file")):
        sshd.freeze()
        began = time.monotonic()
        with pytest.raises(TransportError):  # first the old connection, then a new one
            stuck()
        with pytest.raises(TransportError):
            stuck()
        assert time.monotonic() - began < 40
        sshd.thaw()
        transport.wait_until_reachable(30)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["put", "get"])
def test_a_cut_transfer_goes_on_where_it_stopped(sshd: LoopbackSshd, tmp_path: Path, way: str) -> None:
    content = os.urandom(BIG)
    (tmp_path / "box").mkdir()
    (tmp_path / "home").mkdir()
    with relay(sshd.port) as line:
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=line.port)
        transport.run(["true"])
        source, target = ("home", "box") if way == "put" else ("box", "home")
        (tmp_path / source / "big").write_bytes(content)
        copy = {
            "put": lambda: transport.put(tmp_path / "home/big", "big"),
            "get": lambda: transport.get("big", tmp_path / "home/big"),
        }[way]
        line.cut_after = BIG // 2
        with pytest.raises(TransportError):
            copy()
        assert not (tmp_path / target / "big").exists()
        wait_for("a part of the file", lambda: (tmp_path / target / ".partial/big").exists())
        line.cut_after, passed = None, line.sent + line.received
        transport.wait_until_reachable(30)
        copy()
        assert line.sent + line.received - passed < BIG * 0.75
        transport.close()
    assert (tmp_path / target / "big").read_bytes() == content
    assert [path.name for path in (tmp_path / target).iterdir()] == ["big"]


@pytest.mark.slow
def test_a_killed_rsync_is_a_broken_connection_and_leaves_no_half_file(transport: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(4 * BIG))
    transport.run(["true"])
    errors: list[BaseException] = []

    def copy() -> None:
        try:
            transport.put(tmp_path / "big", "big")
        except TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=copy)
    thread.start()
    wait_for("a part of the file", lambda: list((tmp_path / "box").glob(".big.*")))
    ours = [child for child in psutil.Process().children() if child.name() == "rsync"]
    for child in ours:
        child.kill()
    thread.join()
    assert ours and len(errors) == 1
    assert not (tmp_path / "box/big").exists()
    transport.put(tmp_path / "big", "big")
    assert (tmp_path / "box/big").read_bytes() == (tmp_path / "big").read_bytes()


def test_an_equal_file_does_not_travel_again(sshd: LoopbackSshd, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1_000_000))
    with relay(sshd.port) as line:
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=line.port)
        transport.put(tmp_path / "file", "file")
        passed = line.sent
        transport.put(tmp_path / "file", "file")
        assert line.sent - passed < 50_000
        transport.close()


def test_a_detached_process_survives_the_connection(
    sshd: LoopbackSshd, transport: SshTransport, tmp_path: Path
) -> None:
    start = (
        "setsid sh -c 'echo $$ > pid; while [ ! -e stop ]; do sleep 0.1; done; echo done > done' >log 2>&1 </dev/null &"
    )
    transport.run(["sh", "-c", start])
    wait_for("a pid", lambda: (tmp_path / "box/pid").exists() and (tmp_path / "box/pid").read_text())
    process = psutil.Process(int((tmp_path / "box/pid").read_text()))
    try:
        transport.close()
        sshd.stop()
        assert process.is_running()
        sshd.start()
        transport.run(["touch", "stop"])
        wait_for("its end", lambda: (tmp_path / "box/done").exists())
    finally:
        if process.is_running():
            process.kill()


def test_many_commands_run_at_once(transport: SshTransport) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda number: transport.run(["sh", "-c", 'sleep 0.5; echo "$0"', str(number)]), range(12))
        )
    assert [int(answer) for answer in answers] == list(range(12))


def test_after_a_restart_of_the_server_it_is_reached_again(sshd: LoopbackSshd, transport: SshTransport) -> None:
    transport.run(["true"])
    sshd.stop()
    with pytest.raises(TransportError):
        transport.run(["true"])
    threading.Timer(1.0, sshd.start).start()
    transport.wait_until_reachable(30)
    assert transport.run(["echo", "back"]) == b"back\n"


def test_nobody_at_the_address_is_an_error_in_time(sshd: LoopbackSshd, tmp_path: Path) -> None:
    transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=free_port())
    began = time.monotonic()
    with pytest.raises(TransportError, match="refused"):
        transport.wait_until_reachable(1.5)
    assert time.monotonic() - began < 20


def test_close_ends_the_connection_and_can_be_repeated(sshd: LoopbackSshd, transport: SshTransport) -> None:
    transport.run(["true"])
    sessions = psutil.Process(sshd.pid).children(recursive=True)
    assert sessions
    for _ in range(2):
        transport.close()
    psutil.wait_procs(sessions, timeout=10)
    assert not any(process.is_running() for process in sessions)
    transport.run(["true"])


def test_the_folder_may_be_relative_to_the_home_of_the_login(sshd: LoopbackSshd, tmp_path: Path) -> None:
    home = Path.home().resolve()
    for root in (os.path.relpath(tmp_path / "a b", home), f"~/{os.path.relpath(tmp_path / 'c', home)}"):
        transport = sshd.transport(root, tmp_path / "client")
        assert transport.root in (str(tmp_path / "a b"), str(tmp_path / "c"))
        assert stat.S_IMODE(os.stat(transport.root).st_mode) == 0o700
        transport.close()


def test_a_proxy_command_carries_the_connection(sshd: LoopbackSshd, tmp_path: Path) -> None:
    pipe = (
        "import socket,sys,os,threading; s=socket.create_connection(('127.0.0.1',%p)); "
        "threading.Thread(target=lambda: [os.write(1,b) for b in iter(lambda: s.recv(65536), b'')], daemon=True).start(); "
        "[s.sendall(b) for b in iter(lambda: os.read(0,65536), b'')]"
    )
    proxy = f'python3 -c "{pipe}"'
    transport = sshd.transport(tmp_path / "box", tmp_path / "client", host="i-0abc", proxy_command=proxy)
    assert transport.run(["echo", "through"]) == b"through\n"
    transport.close()


@pytest.mark.usefixtures("transport")
def test_its_files_are_its_owner_s_alone(tmp_path: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "client").iterdir()} == {0o600}


@pytest.mark.parametrize(
    "change", [{"host": "-oProxyCommand=x"}, {"host": "a b"}, {"user": "me\nHost *"}, {"host_public_key": "x"}]
)
def test_malformed_addresses_are_refused(sshd: LoopbackSshd, tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="remedy"):
        sshd.transport(tmp_path / "box", tmp_path / "client", **change)


def test_missing_programs_are_named_with_their_remedy(
    sshd: LoopbackSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="apt-get install openssh-client"):
        sshd.transport(tmp_path / "box", tmp_path / "client")


def test_links_out_that_got_in_nonetheless_are_removed(tmp_path: Path) -> None:
    (tmp_path / "home/deep").mkdir(parents=True)
    (tmp_path / "home/deep/out").symlink_to("/etc")
    (tmp_path / "home/chain").symlink_to("deep/out/hostname")
    (tmp_path / "home/good").symlink_to("deep")
    with pytest.raises(PathEscapeError, match="out"):
        remove_links_out(tmp_path / "home")
    assert sorted(path.name for path in (tmp_path / "home").rglob("*")) == ["deep", "good"]
