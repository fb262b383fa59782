"""What a zip of the archive may hold: one CSV of the expected name and of a plausible size, whole."""

import zipfile
import zlib
from pathlib import Path

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


class RefusedZipError(ValueError):
    """The zip is not what the archive publishes under its name; the message says why."""


def csv_of(path: Path, *, member: str, most_bytes: int) -> bytes:
    """The bytes of the zip's one CSV; nothing is written, so that no name inside can lead out of a folder.

    Args:
        member: the one name that the zip may hold.
        most_bytes: the longest CSV that is read; a zip that announces or unpacks to more is refused.

    Raises:
        RefusedZipError: no zip, damaged, or other contents than these.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _only_member(archive, member=member, most_bytes=most_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, UnicodeError) as error:
        raise RefusedZipError(f"is no whole zip ({_beginning(path) or error})") from None


def _only_member(archive: zipfile.ZipFile, *, member: str, most_bytes: int) -> bytes:
    names = [info.filename for info in archive.infolist()]
    if names != [member]:
        raise RefusedZipError(f"holds {', '.join(map(repr, names[:3])) or 'nothing'} where one file {member!r} belongs")
    info = archive.infolist()[0]
    if info.flag_bits & ENCRYPTED:
        raise RefusedZipError("is encrypted")
    if info.compress_type not in METHODS:
        raise RefusedZipError(f"is compressed by method {info.compress_type}, which the archive does not use")
    if info.file_size > most_bytes:
        raise RefusedZipError(
            f"announces {info.file_size:,} bytes where {most_bytes:,} are the most that its bars can take"
        )
    with archive.open(info) as file:
        content = file.read(most_bytes + 1)  # zipfile checks length and CRC at the end of the member
        if len(content) > most_bytes or file.read(1):
            raise RefusedZipError(f"unpacks to more than {most_bytes:,} bytes, the most that its bars can take")
    if len(content) != info.file_size:
        raise RefusedZipError(f"unpacks to {len(content):,} bytes where it announces {info.file_size:,}")
    return content


def _beginning(path: Path) -> str:
    """What the file is instead, where its first bytes tell."""
    with path.open("rb") as file:
        first = file.read(64)
    if first[:2] == b"PK":
        return ""
    return f"it begins with {first[:24]!r}" if first else "it is empty"
