"""Ephemeral keys, and the rotation of a real server's host key."""

import stat
import subprocess
from pathlib import Path

import pytest
from loopback_sshd import LoopbackSshd

from hydra_plugins.hydra_ec2_launcher.wire.host_key import rotate_host_key
from hydra_plugins.hydra_ec2_launcher.wire.keys import (
    fingerprint,
    generate,
    known_hosts_line,
    public_key,
    write_private,
)
from hydra_plugins.hydra_ec2_launcher.wire.transport import HostKeyError, RemoteCommandError


def test_a_pair_is_new_each_time_and_its_owner_s_alone(tmp_path: Path) -> None:
    first = generate(tmp_path / "keys/one").public
    pair = generate(tmp_path / "keys/one")
    assert pair.public != first
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.private.parent.stat().st_mode) == 0o700
    for _ in range(2):
        pair.delete()
    assert list((tmp_path / "keys").iterdir()) == []


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    pair = generate(tmp_path / "key")
    printed = subprocess.run(["ssh-keygen", "-lf", pair.private], capture_output=True, text=True, check=True).stdout
    assert fingerprint(pair.public) == printed.split()[1]


@pytest.mark.parametrize("port", [22, 2222])
def test_ssh_keygen_finds_the_line_by_its_address(tmp_path: Path, port: int) -> None:
    pair = generate(tmp_path / "key")
    (tmp_path / "known_hosts").write_text(known_hosts_line("box.example", port, f"{pair.public} a comment"))
    address = "box.example" if port == 22 else f"[box.example]:{port}"
    find = ["ssh-keygen", "-F", address, "-f", str(tmp_path / "known_hosts")]
    assert pair.public in subprocess.run(find, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 AAAA\nevil ssh-ed25519 BBBB", "* ssh-ed25519 AAAA"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="remedy"):
        public_key(text)


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o644)
    write_private(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_rotated_host_key_is_the_only_one_accepted(sshd: LoopbackSshd, tmp_path: Path) -> None:
    transport = sshd.transport(tmp_path / "box", tmp_path / "client")
    first, told = sshd.host_key.public, []
    key = str(sshd.host_key.private)
    reload = ["kill", "-HUP", str(sshd.pid)]

    def remember(public: str) -> None:
        assert sshd.host_key.public == first, "told too late"
        told.append(public)

    fresh = rotate_host_key(transport, remember=remember, host_key=key, reload=reload, as_root=[])
    assert told == [fresh] == [sshd.host_key.public] == list(transport.host_public_keys)
    assert fresh != first
    assert stat.S_IMODE(sshd.host_key.private.stat().st_mode) == 0o600
    transport.close()
    old = sshd.transport(tmp_path / "box", tmp_path / "old", host_public_key=first)
    with pytest.raises(HostKeyError):
        old.run(["true"])


@pytest.mark.slow
def test_a_server_that_keeps_its_first_key_is_told_nothing_more(sshd: LoopbackSshd, tmp_path: Path) -> None:
    transport = sshd.transport(tmp_path / "box", tmp_path / "client")
    unused = str(generate(tmp_path / "unused").private)
    with pytest.raises(HostKeyError):
        rotate_host_key(transport, remember=print, host_key=unused, reload=["true"], as_root=[])


def test_a_machine_that_does_not_let_us_keeps_its_key(sshd: LoopbackSshd, tmp_path: Path) -> None:
    transport = sshd.transport(tmp_path / "box", tmp_path / "client")
    with pytest.raises(RemoteCommandError):
        rotate_host_key(transport, remember=print, as_root=["false"])
    assert transport.run(["echo", "still"]) == b"still\n"
    transport.close()
