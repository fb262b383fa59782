"""Data by manifest: what config values name here lies there, intact, and travels once."""

import os
from pathlib import Path

import pytest
from loopback_sshd import LoopbackSshd, relay

from hydra_plugins.hydra_ec2_launcher.wire.data_files import at_box, manifest, ship
from hydra_plugins.hydra_ec2_launcher.wire.local import LocalTransport
from hydra_plugins.hydra_ec2_launcher.wire.transport import TransportError

pytestmark = pytest.mark.slow


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    folder = tmp_path / "home of bars"
    folder.mkdir()
    for symbol in ("BTC", "ETH"):
        (folder / f"um-{symbol}.parquet").write_bytes(os.urandom(1000))
    (folder / "other.parquet").write_bytes(b"other")
    return folder


def test_a_pattern_names_its_files_and_a_path_itself(bars: Path) -> None:
    both = manifest({"data.path": f"{bars}/um-{{symbol}}.parquet", "other": str(bars / "other.parquet")})
    assert [file.path.name for file in both] == ["other.parquet", "um-BTC.parquet", "um-ETH.parquet"]
    assert [file.size for file in both] == [5, 1000, 1000]
    assert [file.path.name for file in manifest({"x": f"{bars}/um-BTC.parquet"})] == ["um-BTC.parquet"]


def test_a_folder_is_all_that_lies_in_it(bars: Path) -> None:
    (bars / "deep" / "er").mkdir(parents=True)
    (bars / "deep" / "er" / "2024-01.parquet").touch()
    (bars / "deep" / "manifest.lock").touch()
    names = {"2024-01.parquet", "other.parquet", "um-BTC.parquet", "um-ETH.parquet"}
    assert {file.path.name for file in manifest({"data.store": str(bars)})} == names
    assert {file.path.name for file in manifest({"backtest.finer": f"{bars}/{{symbol}}/er"})} == {"2024-01.parquet"}


def test_files_named_twice_travel_once(bars: Path) -> None:
    assert len(manifest({"a": f"{bars}/{{symbol}}.parquet", "b": f"{bars}/um-{{symbol}}.parquet"})) == 3


def test_relative_paths_and_the_home_folder_are_understood(bars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bars)
    monkeypatch.setenv("HOME", str(bars))
    for value in ("other.parquet", "~/other.parquet", str(bars / "other.parquet")):
        (file,) = manifest({"key": value})
        assert file.path == bars / "other.parquet"
        assert at_box("/root of ours", value) == f"/root of ours/data{bars}/other.parquet"
        assert at_box("", value) == f"/{file.target}"


@pytest.mark.parametrize("value", ["absent.parquet", "absent-{symbol}.parquet", "*.parquet", ""])
def test_a_missing_file_is_named_with_its_key(bars: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.chdir(bars)
    with pytest.raises(ValueError, match=r"data\.path=.*no such file here\n  remedy"):
        manifest({"data.path": value})


def test_a_name_that_cannot_travel_is_refused_at_home(bars: Path) -> None:
    (bars / "[1].parquet").touch()
    with pytest.raises(ValueError, match="remedy: rename it"):
        manifest({"data.path": str(bars / "[1].parquet")})


def test_a_changed_file_has_another_hash(bars: Path) -> None:
    before = manifest({"key": f"{bars}/other.parquet"})
    (bars / "other.parquet").write_bytes(b"rehto")
    assert manifest({"key": f"{bars}/other.parquet"}) != before


def test_only_what_is_missing_or_different_travels(sshd: LoopbackSshd, bars: Path, tmp_path: Path) -> None:
    noise = os.urandom(1_000_000)
    (bars / "um-BTC.parquet").write_bytes(noise)
    with relay(sshd.port) as line:
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=line.port)
        files = manifest({"data.path": f"{bars}/um-{{symbol}}.parquet"})
        assert ship(transport, [*files, *files]) == files, "two jobs read them"
        for file in files:
            assert Path(at_box(transport.root, str(file.path))).read_bytes() == file.path.read_bytes()
        sent = line.sent
        assert ship(transport, files) == []
        (bars / "um-ETH.parquet").write_bytes(b"new")
        files = manifest({"data.path": f"{bars}/um-{{symbol}}.parquet"})
        assert [file.path.name for file in ship(transport, files)] == ["um-ETH.parquet"]
        assert line.sent - sent < 100_000
        transport.close()
    there = Path(at_box(str(tmp_path / "box"), str(bars)))
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        "um-BTC.parquet": noise,
        "um-ETH.parquet": b"new",
    }


def test_two_files_of_equal_content_both_arrive(bars: Path, tmp_path: Path) -> None:
    for symbol in ("BTC", "ETH"):
        (bars / f"um-{symbol}.parquet").write_bytes(b"same")
    files = manifest({"data.path": f"{bars}/um-{{symbol}}.parquet"})
    assert ship(LocalTransport(tmp_path / "box"), files) == files
    assert ship(LocalTransport(tmp_path / "box"), files) == []


@pytest.mark.parametrize("planted", ["", ".incoming"])
def test_a_tampered_file_there_is_replaced_though_size_and_time_agree(
    sshd: LoopbackSshd, bars: Path, tmp_path: Path, planted: str
) -> None:
    transport = sshd.transport(tmp_path / "box", tmp_path / "client")
    files = manifest({"data.path": f"{bars}/other.parquet"})
    there = Path(at_box(transport.root, str(bars / "other.parquet")) + planted)
    there.parent.mkdir(parents=True)
    there.write_bytes(b"rehto")
    stat = (bars / "other.parquet").stat()
    os.utime(there, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ship(transport, files) == files
    assert Path(at_box(transport.root, str(bars / "other.parquet"))).read_bytes() == b"other"
    transport.close()


def test_a_file_that_changed_on_its_way_is_not_put_into_place(bars: Path, tmp_path: Path) -> None:
    files = manifest({"data.path": f"{bars}/other.parquet"})
    (bars / "other.parquet").write_bytes(b"changed since")
    with pytest.raises(TransportError, match=r"other\.parquet"):
        ship(LocalTransport(tmp_path / "box"), files)
    assert not Path(at_box(str(tmp_path / "box"), str(bars / "other.parquet"))).exists()


def test_a_link_there_is_not_taken_for_the_file(bars: Path, tmp_path: Path) -> None:
    box = LocalTransport(tmp_path / "box")
    files = manifest({"data.path": f"{bars}/other.parquet"})
    there = Path(at_box(box.root, str(bars / "other.parquet")))
    there.parent.mkdir(parents=True)
    there.symlink_to(bars / "other.parquet")
    assert ship(box, files) == files
    assert not there.is_symlink()
