"""Files appear whole or not at all, and what fails says which file it was."""

import errno
from pathlib import Path

import pytest
from disks import mounted

from botscalp.whole_files import about, whole, write_whole


def test_a_file_stands_there_whole_and_the_old_one_until_then(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_whole(path, "old")
    with whole(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old" and aside.parent == path.parent
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_whole(path, "old")
    with pytest.raises(ValueError, match="bug"), whole(path) as aside:
        aside.write_text("half")
        raise ValueError("bug")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        path = disk.root / "file.txt"
        write_whole(path, "old")
        with disk.full_but_for(4096), pytest.raises(OSError, match="No space left") as error:
            write_whole(path, "x" * 100_000)
        assert error.value.filename == str(path)
        assert path.read_text() == "old" and list(disk.root.iterdir()) == [path]


def test_an_error_that_names_a_file_or_is_none_of_the_system_s_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError) as named, about(tmp_path):
        raise OSError(errno.ENOSPC, "full", "other")
    assert named.value.filename == "other"
    with pytest.raises(OSError) as plain, about(tmp_path):
        raise OSError("timed out")
    assert plain.value.filename is None
