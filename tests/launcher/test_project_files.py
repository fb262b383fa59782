"""What travels as code: git's files, no secrets, the same archive for the same files, whole on the machine or not at all."""

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from loopback_sshd import LoopbackSshd, relay

from hydra_plugins.hydra_ec2_launcher.wire import project_files
from hydra_plugins.hydra_ec2_launcher.wire.local import LocalTransport
from hydra_plugins.hydra_ec2_launcher.wire.project_files import Snapshot, ship, take
from hydra_plugins.hydra_ec2_launcher.wire.transport import RemoteCommandError, TransportError

pytestmark = pytest.mark.slow

UNPACK = Path(project_files.__file__).with_name("remote_unpack.py")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
    subprocess.run(["git", *identity, "-C", project, *arguments], check=True, capture_output=True)


def write(project: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with tracked, untracked and ignored files."""
    folder = write(tmp_path / "project", {"src/a.py": "a = 1\n", ".gitignore": "ignored/\n", "gone.py": ""})
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "gone.py").unlink()
    return write(folder, {"new.py": "", "ignored/.env": "SECRET=1", "ignored/big.bin": ""})


def names(snapshot: Snapshot) -> list[str]:
    with tarfile.open(snapshot.archive) as tar:
        return tar.getnames()


def test_git_s_files_travel_and_those_that_it_would_track(project: Path, tmp_path: Path) -> None:
    taken = take(project, tmp_path / "out")
    assert names(taken) == [".gitignore", "new.py", "src/a.py"]
    assert taken.dirty
    head = subprocess.run(["git", "-C", project, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert taken.commit == head.stdout.strip()


def test_a_committed_project_is_clean_and_a_folder_in_it_is_a_project_too(project: Path, tmp_path: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "second")
    assert not take(project, tmp_path / "out").dirty
    assert names(take(project / "src", tmp_path / "out")) == ["a.py"]


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    project = write(tmp_path / "project", {"a.py": ""})
    git(project, "init", "-q")
    taken = take(project, tmp_path / "out")
    assert (taken.commit, taken.dirty, names(taken)) == (None, True, ["a.py"])


def test_without_git_all_but_junk_travels(tmp_path: Path) -> None:
    junk = {".venv/x": "", "src/__pycache__/a.pyc": "", "mlruns/db": "", ".mypy_cache/x": "", "x.egg-info/y": ""}
    project = write(tmp_path / "project", {"src/a.py": "", "README": "", **junk})
    taken = take(project, tmp_path / "out")
    assert (taken.commit, taken.dirty, names(taken)) == (None, False, ["README", "src/a.py"])


def test_a_broken_repository_is_not_taken_for_a_plain_folder(project: Path, tmp_path: Path) -> None:
    (project / ".git/config").write_text("[nonsense\n")
    with pytest.raises(ValueError, match="remedy"):
        take(project, tmp_path / "out")


def test_equal_files_make_equal_archives_whoever_wrote_them_when(project: Path, tmp_path: Path) -> None:
    first = take(project, tmp_path / "out")
    assert first.sha256 == sha256(first.archive.read_bytes()).hexdigest()
    assert first.archive.name == f"{first.sha256}.tar.gz"
    os.utime(project / "new.py", (1, 1))
    (project / "new.py").chmod(0o600)
    time.sleep(1.1)  # gzip writes seconds
    assert take(project, tmp_path / "again").sha256 == first.sha256
    (project / "new.py").chmod(0o755)
    assert take(project, tmp_path / "again").sha256 != first.sha256


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "A=1"),
        ("conf/.env.production", "A=1"),
        ("id_ed25519", ""),
        ("deploy.PEM", ""),
        (".aws/credentials", ""),
        ("credentials.json", "{}"),
        ("me_accessKeys.csv", ""),
        ("notes.txt", f"keep this:\n{KEY}"),
        ("deploy.yaml", "key: |\n  " + KEY.replace("\n", "\n  ")),
        ("old.txt", KEY.replace("OPENSSH ", "RSA ").replace("\n", "\r\n")),
    ],
)
def test_secrets_stay_home(project: Path, tmp_path: Path, name: str, text: str) -> None:
    write(project, {name: text})
    with pytest.raises(ValueError, match=rf"secrets: {name}\n  remedy"):
        take(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_only_speaks_of_secrets_travels(project: Path, tmp_path: Path) -> None:
    write(project, {".env.example": "A=", "id_ed25519.pub": "ssh-ed25519 A", "scan.py": f"KEY = {KEY!r}\n"})
    assert {".env.example", "id_ed25519.pub", "scan.py"} <= set(names(take(project, tmp_path / "out")))


def test_big_files_are_named(project: Path, tmp_path: Path) -> None:
    with (project / "bars.bin").open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(ValueError, match=r"bigger than 50 MB: bars\.bin"):
        take(project, tmp_path / "out")


def test_links_travel_unless_they_lead_out(project: Path, tmp_path: Path) -> None:
    (project / "link.py").symlink_to("src/a.py")
    box = LocalTransport(tmp_path / "box")
    folder = ship(box, take(project, tmp_path / "out"))
    assert os.readlink(tmp_path / "box" / folder / "link.py") == "src/a.py"
    (project / "out.py").symlink_to("../elsewhere")
    with pytest.raises(ValueError, match=r"lead out of it: out\.py"):
        take(project, tmp_path / "out")


def test_code_arrives_whole_and_a_second_time_nothing_is_sent(
    sshd: LoopbackSshd, project: Path, tmp_path: Path
) -> None:
    write(project, {"noise.py": os.urandom(500_000).hex(), "run.sh": "#!/bin/sh\n", "with space\n'.txt": "odd"})
    (project / "run.sh").chmod(0o755)
    taken = take(project, tmp_path / "out")
    with relay(sshd.port) as line:
        transport = sshd.transport(tmp_path / "box", tmp_path / "client", port=line.port)
        folder = tmp_path / "box" / ship(transport, taken)
        assert folder == tmp_path / "box/code" / taken.sha256
        there = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert there == {name: (project / name).read_text() for name in names(taken)}
        assert os.access(folder / "run.sh", os.X_OK)
        assert not os.access(folder / "src/a.py", os.X_OK)
        assert line.sent > 500_000
        sent = line.sent
        ship(transport, taken)
        assert line.sent - sent < 50_000
        transport.close()
    assert [path.name for path in (tmp_path / "box/code").iterdir()] == [taken.sha256]


def test_a_tampered_archive_there_is_not_unpacked_but_sent_again(
    sshd: LoopbackSshd, project: Path, tmp_path: Path
) -> None:
    """Of equal size and time: rsync alone would believe that it has arrived."""
    taken = take(project, tmp_path / "out")
    content = bytearray(taken.archive.read_bytes())
    content[-9] ^= 1
    planted = tmp_path / "box/code" / taken.archive.name
    planted.parent.mkdir(parents=True)
    planted.write_bytes(content)
    stat = taken.archive.stat()
    os.utime(planted, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    transport = sshd.transport(tmp_path / "box", tmp_path / "client")
    folder = tmp_path / "box" / ship(transport, taken)
    assert (folder / "src/a.py").read_text() == "a = 1\n"
    transport.close()


def test_an_archive_that_is_not_what_its_name_says_is_never_unpacked(project: Path, tmp_path: Path) -> None:
    taken = take(project, tmp_path / "out")
    taken.archive.write_bytes(b"something else")
    with pytest.raises(TransportError, match="did not arrive as it left"):
        ship(LocalTransport(tmp_path / "box"), taken)
    assert list((tmp_path / "box/code").iterdir()) == []


def test_an_unpacking_that_breaks_off_leaves_nothing_that_looks_whole(project: Path, tmp_path: Path) -> None:
    taken = take(project, tmp_path / "out")
    box = LocalTransport(tmp_path / "box")
    box.put(taken.archive, f"code/{taken.archive.name}")
    limited = f"ulimit -f 0; exec {sys.executable} {UNPACK} {taken.sha256}"  # every write fails
    with pytest.raises(RemoteCommandError):
        box.run(["sh", "-c", limited])
    assert not (tmp_path / "box/code" / taken.sha256).exists()
    assert (tmp_path / "box" / ship(box, taken) / "src/a.py").exists()


def member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, linkname
    return made


@pytest.mark.parametrize(
    "members",
    [
        [member("../planted")],
        [member("/tmp/planted-by-an-archive")],
        [member("a/../../../planted")],
        [member("out", tarfile.SYMTYPE, "../../..")],
        [member("out", tarfile.SYMTYPE, "/etc"), member("out/planted")],
        [member("x/y/z"), member("d", tarfile.SYMTYPE, "x/y"), member("up", tarfile.SYMTYPE, "d/../../../..")],
        [member("hard", tarfile.LNKTYPE, "/etc/hostname")],
        [member("device", tarfile.FIFOTYPE)],
    ],
)
def test_members_that_lead_out_are_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    box = LocalTransport(tmp_path / "box")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO())
    digest = sha256(packed.getvalue()).hexdigest()
    (tmp_path / f"{digest}.tar.gz").write_bytes(packed.getvalue())
    evil = Snapshot(archive=tmp_path / f"{digest}.tar.gz", sha256=digest, commit=None, dirty=False)
    with pytest.raises(RemoteCommandError):
        ship(box, evil)
    assert [path.name for path in (tmp_path / "box").rglob("*")] == ["code", f"{digest}.tar.gz"]
    assert not Path("/tmp/planted-by-an-archive").exists()
    assert not list(tmp_path.rglob("planted"))
