"""What both transports promise: a folder on this machine, and one behind a real sshd."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback_sshd import loopback_sshd

from hydra_plugins.hydra_ec2_launcher.wire.local import LocalTransport
from hydra_plugins.hydra_ec2_launcher.wire.remote_paths import PathEscapeError
from hydra_plugins.hydra_ec2_launcher.wire.transport import RemoteCommandError, Transport, TransportError

pytestmark = pytest.mark.slow

ECHO = "import sys, os, json; print(json.dumps([os.fsencode(a).hex() for a in sys.argv[1:]]))"
ARGUMENTS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5)
NAMES = st.text(st.sampled_from("ab .-'\"\n$*?[]\\`:;&é\udcff"), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)
property_test = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module", params=["local", "ssh"])
def transport(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transport]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "local":
        yield LocalTransport(folder / "box")
        return
    with loopback_sshd(folder) as sshd:
        reached = sshd.transport(folder / "a box", folder / "client")
        yield reached
        reached.close()


@pytest.fixture
def box(transport: Transport) -> Path:
    return Path(transport.root)


@pytest.mark.slow
@property_test
@given(arguments=ARGUMENTS)
def test_arguments_come_back_as_they_were_given(transport: Transport, arguments: list[str]) -> None:
    answer = transport.run([sys.executable, "-c", ECHO, *arguments])
    assert [bytes.fromhex(text).decode() for text in json.loads(answer)] == arguments


@pytest.mark.parametrize(
    "argument", ["$(touch planted)", "`touch planted`", "a; touch planted", "'; touch planted '", "\udcff*"]
)
def test_no_argument_is_interpreted(transport: Transport, box: Path, argument: str) -> None:
    assert transport.run(["printf", "%s", argument]) == os.fsencode(argument)
    assert not (box / "planted").exists()


def test_a_program_runs_in_the_folder_and_reads_stdin(transport: Transport, box: Path) -> None:
    everything = bytes(range(256)) * 5000
    assert transport.run(["cat"], stdin=everything) == everything
    assert transport.run(["pwd", "-P"]).decode() == f"{box}\n"
    assert transport.run(["cat"]) == b""


@pytest.mark.parametrize("code", [1, 24, 127])
def test_failure_there_is_told_with_its_words(transport: Transport, code: int) -> None:
    with pytest.raises(RemoteCommandError, match="alas") as failure:
        transport.run(["sh", "-c", f"echo alas >&2; exit {code}"])
    assert failure.value.returncode == code


def test_255_of_a_program_is_not_taken_for_a_lost_connection(transport: Transport) -> None:
    with pytest.raises(RemoteCommandError):
        transport.run(["sh", "-c", "exit 255"])


def test_a_killed_program_and_a_missing_one_have_failed(transport: Transport) -> None:
    with pytest.raises(RemoteCommandError):
        transport.run(["sh", "-c", "kill -9 $$"])
    with pytest.raises(RemoteCommandError, match="no-such-program"):
        transport.run(["no-such-program"])


def test_a_silent_program_is_given_up_in_time(transport: Transport) -> None:
    began = time.monotonic()
    with pytest.raises(TransportError, match=r"within 0\.5 s"):
        transport.run(["sleep", "20"], timeout_s=0.5)
    assert time.monotonic() - began < 10


@pytest.mark.slow
@property_test
@given(files=st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=6))
def test_folders_come_back_as_they_went_whatever_the_names(
    transport: Transport, tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    home, back = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("back")
    for name, content in files.items():
        (home / "deep" / name).mkdir(parents=True)
        (home / "deep" / name / name).write_bytes(content)
    target = f"folders/{home.name}"
    transport.put(home, target)
    transport.get(target, back)
    assert {path.name: path.read_bytes() for path in back.glob("deep/*/*")} == files


@pytest.mark.slow
def test_files_come_back_as_they_went_whatever_the_name(transport: Transport, tmp_path: Path, box: Path) -> None:
    for name in ("-a 'b\n\"", "$HOME `id`", "x:y{a,b}", "~é\udcff"):
        (tmp_path / "home").write_bytes(os.fsencode(name))
        transport.put(tmp_path / "home", f"named/{name}")
        transport.get(f"named/{name}", tmp_path / "some" / "back")
        assert (tmp_path / "some" / "back").read_bytes() == (box / "named" / name).read_bytes() == os.fsencode(name)


def test_a_changed_file_replaces_the_old_one_and_keeps_its_time(
    transport: Transport, tmp_path: Path, box: Path
) -> None:
    source = tmp_path / "source"
    for text in ("first", "other"):
        source.write_text(text)
        os.utime(source, ns=(10**18, 10**18 + len(text) + (text == "other") * 10**9))
        transport.put(source, "replaced/file")
        assert (box / "replaced/file").read_text() == text
    assert int((box / "replaced/file").stat().st_mtime) == int(source.stat().st_mtime)
    assert [path.name for path in (box / "replaced").iterdir()] == ["file"]


def test_patterns_leave_files_out_by_name_or_by_path(transport: Transport, tmp_path: Path, box: Path) -> None:
    for name in ("log.txt", "a.tmp", "deep/b.tmp", "deep/log.txt", "here/store/x", "deep/here/store/x"):
        (box / "job" / name).parent.mkdir(parents=True, exist_ok=True)
        (box / "job" / name).touch()
    transport.get("job", tmp_path / "back", exclude=["*.tmp", "here/store"])
    files = {
        path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*") if path.is_file()
    }
    assert files == {"log.txt", "deep/log.txt", "deep/here/store/x"}


def test_a_missing_source_is_a_failure_there(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(RemoteCommandError, match="No such file"):
        transport.get("nowhere", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["", "/etc/hostname", "../x", "a/../../x", "a/..", "x\0y", "[ab]", "a*", "a?", "a\\b"])
def test_names_that_lead_out_are_refused(transport: Transport, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PathEscapeError):
        transport.put(tmp_path / "file", name)
    with pytest.raises(PathEscapeError):
        transport.get(name, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_links_there_that_lead_out_are_not_followed(transport: Transport, tmp_path: Path, box: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "file").write_text("mine")
    (box / "way-out").symlink_to(outside)
    (box / "secret").symlink_to(outside / "secret")
    for target in ("way-out", "way-out/file", "way-out/new/file"):
        with pytest.raises(PathEscapeError):
            transport.put(tmp_path / "file", target)
    for source in ("way-out", "way-out/secret", "secret"):
        with pytest.raises(PathEscapeError):
            transport.get(source, tmp_path / "back")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert not (tmp_path / "back").exists()
    for link in ("way-out", "secret"):
        (box / link).unlink()


def test_of_links_in_a_folder_only_those_that_stay_in_it_come(transport: Transport, tmp_path: Path, box: Path) -> None:
    folder = box / "linked"
    (folder / "deep").mkdir(parents=True)
    (folder / "file").write_text("content")
    (folder / "deep/good").symlink_to("../file")
    (folder / "absolute").symlink_to("/etc/hostname")
    (folder / "deep/climbs").symlink_to("../../../../etc/hostname")
    (folder / "deep/folder-out").symlink_to("../..")
    transport.get("linked", tmp_path / "back")
    links = {path.name: os.readlink(path) for path in (tmp_path / "back").rglob("*") if path.is_symlink()}
    assert links == {"good": "../file"}
    assert (tmp_path / "back/deep/good").read_text() == "content"


def test_a_link_that_came_home_is_replaced_not_written_through(transport: Transport, tmp_path: Path, box: Path) -> None:
    """First a link from `a` to `b`, then a folder `a`: its files may not land in `b`."""
    folder = box / "turned"
    (folder / "b").mkdir(parents=True)
    (folder / "a").symlink_to("b")
    transport.get("turned", tmp_path / "back")
    (folder / "a").unlink()
    (folder / "a").mkdir()
    (folder / "a/file").touch()
    transport.get("turned", tmp_path / "back")
    assert not (tmp_path / "back/b/file").exists()
    assert (tmp_path / "back/a/file").exists()


def test_a_file_is_fetched_through_a_link_within_the_folder(transport: Transport, tmp_path: Path, box: Path) -> None:
    (box / "epoch3").write_text("weights")
    (box / "latest").symlink_to("epoch3")
    transport.get("latest", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "weights"
    assert not (tmp_path / "back").is_symlink()


def test_devices_and_pipes_do_not_travel(transport: Transport, tmp_path: Path, box: Path) -> None:
    (box / "odd").mkdir()
    os.mkfifo(box / "odd/pipe")
    (box / "odd/file").touch()
    transport.get("odd", tmp_path / "back")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["file"]
