"""From the archive to a verified file: resumed where it broke off, compared with its published checksum."""

import logging
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botscalp.archive.lines import FileRefusedError
from botscalp.archive.names import ArchiveFile
from botscalp.archive.web import MISSING, AgainError, Answer, ServerError, Web
from botscalp.data.store import sha256_of
from botscalp.errors import UserError
from botscalp.whole_files import about, sync

logger = logging.getLogger(__name__)

PART = ".part"
"""ends the name of a file that has not come whole"""
NOTHING_FOLLOWS = 416
FRESH_DOWNLOADS = 3
CHECKSUM_BYTES = 1_000
"""more than a hash and a name take"""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A zip of the archive, whole and verified, and where it came from."""

    file: ArchiveFile
    url: str
    path: Path
    sha256: str
    published_sha256: str | None
    size_bytes: int
    fetched: str
    """UTC"""
    overridden: bool
    """its checksum differs from the published one, and the user named it all the same"""


class Archive:
    """The public archive, or a mirror of it, below `base_url`."""

    def __init__(self, web: Web, base_url: str) -> None:
        self.web = web
        self.base_url = base_url.rstrip("/")

    def url(self, file: ArchiveFile) -> str:
        """Where the file lies."""
        return f"{self.base_url}/{file.path}"

    def size_bytes(self, file: ArchiveFile) -> int | None:
        """How long the file is; None where the archive lacks it, 0 where it does not say, and fetching it will say why."""
        url = self.url(file)

        def attempt() -> int | None:
            with self.web.asked("HEAD", url) as response:
                if response.status_code in MISSING:
                    return None
                return int(response.headers.get("Content-Length", 0))

        try:
            return self._patiently(file, url, attempt)
        except FileRefusedError:
            return 0

    def published_sha256(self, file: ArchiveFile) -> str | None:
        """The hash in the file's sidecar NAME.zip.CHECKSUM; None where there is none.

        Raises:
            FileRefusedError: what lies there is no checksum of this file.
        """
        url = f"{self.url(file)}.CHECKSUM"

        def attempt() -> str | None:
            with self.web.asked("GET", url) as response:
                if response.status_code in MISSING:
                    return None
                text = self.web.body(response, most_bytes=CHECKSUM_BYTES).decode(errors="replace")
            line = re.fullmatch(rf"([0-9a-f]{{64}}) [ *]{re.escape(file.name)}\s*", text)
            if line is None:
                raise AgainError(f"is no checksum of {file.name}: {text[:40]!r}")
            return line[1]

        return self._patiently(file, url, attempt)

    def _patiently(self, file: ArchiveFile, url: str, attempt: Callable[[], Answer]) -> Answer:
        """As `Web.patiently`, but what is wrong with this file alone is a FileRefusedError: others may come all the same."""
        try:
            return self.web.patiently(url, attempt)
        except UserError as error:
            if isinstance(error, ServerError) or error.key != self.web.key:
                raise
            raise FileRefusedError("file", file.name, f"{url} {error.problem}", error.remedy) from None

    def fetch(
        self, file: ArchiveFile, *, folder: Path, accepted: Collection[str], moved: Callable[[int], None]
    ) -> Fetched:
        """Download the file into `folder`, under its own name only once it is whole and verified.

        What breaks off is kept as NAME.part and resumed. A file whose hash is not the published one is downloaded
        again from its first byte; the same bytes twice are what the archive holds, and its checksum is stale.

        Args:
            accepted: names of files that are taken although their checksum is stale, missing or none.
            moved: told about bytes as they come; negative where they are thrown away.

        Raises:
            FileRefusedError: naming the file, both hashes and the remedy.
            ServerError: no file comes.
        """
        final, part = folder / file.name, folder / f"{file.name}{PART}"
        published = self._checksum(file, accepted)
        if final.exists() and published == sha256_of(final):  # an earlier run was stopped before it was read
            moved(final.stat().st_size)
            return self._fetched(file, final, sha256=published, published=published)
        if published is None and file.name not in accepted:
            raise _refused(file, "the archive has no checksum of it")
        seen: set[str] = set()
        for _ in range(FRESH_DOWNLOADS):
            resumed = part.exists()
            self._download(file, part, moved=moved)
            sha256 = sha256_of(part)
            if sha256 == published or (sha256 in seen and file.name in accepted):
                sync_and_rename(part, final)
                return self._fetched(file, final, sha256=sha256, published=published)
            if sha256 in seen:
                raise _refused(file, f"its SHA-256 is {sha256}, the published one {published}{_looks(part)}")
            logger.info("%s: SHA-256 %s, published %s: downloaded again", file.name, sha256, published)
            if not resumed:
                seen.add(sha256)
            moved(-part.stat().st_size)
            part.unlink()
            published = self._checksum(file, accepted)  # it may have been republished meanwhile
        raise _refused(file, f"{FRESH_DOWNLOADS} downloads gave different bytes, none with SHA-256 {published}")

    def _checksum(self, file: ArchiveFile, accepted: Collection[str]) -> str | None:
        """What `published_sha256` says; None for what is no checksum of a file that is accepted."""
        try:
            return self.published_sha256(file)
        except FileRefusedError as error:
            if file.name in accepted:
                return None
            raise _refused(file, error.problem) from None

    def _fetched(self, file: ArchiveFile, path: Path, *, sha256: str, published: str | None) -> Fetched:
        return Fetched(
            file=file,
            url=self.url(file),
            path=path,
            sha256=sha256,
            published_sha256=published,
            size_bytes=path.stat().st_size,
            fetched=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            overridden=sha256 != published,
        )

    def _download(self, file: ArchiveFile, part: Path, *, moved: Callable[[int], None]) -> None:
        """Bring `part` to its full length, from wherever it is."""
        url = self.url(file)
        if part.exists():
            moved(part.stat().st_size)

        def attempt() -> None:
            have = part.stat().st_size if part.exists() else 0
            range_ = {"Range": f"bytes={have}-"} if have else {}
            with self.web.asked("GET", url, headers=range_, allowed=(*MISSING, NOTHING_FOLLOWS)) as response:
                if response.status_code == NOTHING_FOLLOWS:  # the hash will say whether what is there is right
                    return
                if response.status_code in MISSING:
                    raise AgainError("has gone")
                goes_on = response.status_code == 206 and _begins_at(response.headers.get("Content-Range"), have)
                if have and not goes_on:
                    moved(-have)
                size = have if goes_on else 0
                with about(part), part.open("ab" if goes_on else "wb") as out:

                    def take(piece: bytes) -> None:
                        nonlocal size
                        size += len(piece)
                        if size > self.web.patience.most_bytes:
                            raise _refused(file, f"is longer than {self.web.patience.most_bytes:,} bytes")
                        out.write(piece)
                        moved(len(piece))

                    self.web.pieces(response, take=take)

        self._patiently(file, url, attempt)


def sync_and_rename(path: Path, final: Path) -> None:
    """Give a file its final name once its bytes are on the disk."""
    sync(path)
    os.replace(path, final)


def _begins_at(content_range: str | None, have: int) -> bool:
    return bool(re.match(rf"bytes {have}-", content_range or ""))


def _looks(path: Path) -> str:
    with path.open("rb") as file:
        first = file.read(24)
    return "" if first[:2] == b"PK" else f"; it is no zip, it begins with {first!r}"


def _refused(file: ArchiveFile, problem: str) -> FileRefusedError:
    remedy = f"ask again later; to take it as it is, which the manifest records: 'accept_checksum=[{file.name}]'"
    return FileRefusedError("file", file.name, problem, remedy)
