"""What a zip of the archive may hold."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server import zipped

from botscalp.archive.zips import RefusedZipError, csv_of

MEMBER = "BTCUSDT-1m-2024-01-01.csv"
CSV = b"1704067200000,42283.58,42298.62,42261.02,42298.61\n" * 1_440
MOST = 1_000_000


def read(folder: Path, content: bytes, most_bytes: int = MOST) -> bytes:
    path = folder / "some.zip"
    path.write_bytes(content)
    return csv_of(path, member=MEMBER, most_bytes=most_bytes)


def test_its_one_csv_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, zipped({MEMBER: CSV})) == CSV


@pytest.mark.parametrize(
    "name",
    ["../BTCUSDT-1m-2024-01-01.csv", "/etc/passwd", "a/BTCUSDT-1m-2024-01-01.csv", "ETHUSDT-1m-2024-01-01.csv", ""],
)
def test_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedZipError):
        read(tmp_path, zipped({name: CSV}))


def test_two_files_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedZipError, match="one file"):
        read(tmp_path, zipped({MEMBER: CSV, "readme.txt": b""}))
    with pytest.raises(RefusedZipError, match="holds nothing"):
        read(tmp_path, zipped({}))


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(MEMBER, CSV)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(MEMBER, CSV[:50])
    with pytest.raises(RefusedZipError, match="one file"):
        read(tmp_path, buffer.getvalue())


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = zipped({MEMBER: bytes(50 * MOST)})
    assert len(bomb) < MOST / 10
    with pytest.raises(RefusedZipError, match="announces 50,000,000 bytes"):
        read(tmp_path, bomb)


def test_a_bomb_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    bomb = zipped({MEMBER: bytes(50 * MOST)})
    lying = bomb.replace((50 * MOST).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))
    assert lying != bomb
    with pytest.raises(RefusedZipError):
        read(tmp_path, lying)


def test_other_methods_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(MEMBER, CSV)
    with pytest.raises(RefusedZipError, match="method 14"):
        read(tmp_path, buffer.getvalue())


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({MEMBER: CSV}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(RefusedZipError):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>Please sign in</html>", bytes(100)])
def test_what_is_no_zip_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RefusedZipError, match="is no whole zip"):
        read(tmp_path, content)


@given(st.data())
def test_no_change_of_a_byte_gives_other_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = zipped({MEMBER: CSV})
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    with suppress(RefusedZipError):
        assert read(tmp_path_factory.mktemp("zip"), bytes(changed)) == CSV


@given(st.integers(0, len(zipped({MEMBER: CSV})) - 1))
def test_no_half_is_taken_for_the_whole(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    with pytest.raises(RefusedZipError):
        read(tmp_path_factory.mktemp("zip"), zipped({MEMBER: CSV})[:length])
