"""What a machine's paths and run ids read like at home, in the texts that come from it."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TEXT_SUFFIXES = frozenset({".yaml", ".json", ".txt", ".log", ".csv", ".md", ".html"})
MOST_TEXT_BYTES = 16 * 2**20
"""a larger file is left as it is"""


@dataclass(frozen=True)
class Translation:
    """Pairs of (there, home): absolute paths, relative paths that begin with a dot, or words such as run ids.

    Only whole names are translated, the longest that fits: "/box/work" neither in "/box/work2" nor in "/old/box/work".
    """

    pairs: Sequence[tuple[str, str]]

    def __post_init__(self) -> None:
        assert all(there for there, _ in self.pairs), "nothing cannot be translated"

    def adding(self, pairs: Iterable[tuple[str, str]]) -> "Translation":
        """This translation with more pairs."""
        return Translation((*self.pairs, *pairs))

    def text(self, text: str) -> str:
        """The text as it reads at home; one that has been translated stays as it is."""
        return self._pattern.sub(lambda match: self._homes[match[0]], text) if self._homes else text

    def copy(self, source: Path, target: Path) -> None:
        """Make `target` the translated copy of a file, whole or not at all; it is not written to where it is that already."""
        content = self._translated(source)
        if content is None and (source == target or _alike(source, target)):
            return
        if content is not None and target.is_file() and target.read_bytes() == content:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        if content is None:
            shutil.copyfile(source, aside)
        else:
            aside.write_bytes(content)
        shutil.copystat(source, aside)
        os.replace(aside, target)

    def tree(self, folder: Path) -> None:
        """Translate the text files of a folder in place."""
        for path in files_below(folder):
            self.copy(path, path)

    @cached_property
    def _homes(self) -> dict[str, str]:
        homes = dict(self.pairs)
        # A home that begins like a path there must not be translated again.
        kept = {home: home for home in homes.values() if home and any(home.startswith(there) for there in homes)}
        return {**kept, **homes}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(_whole_name, sorted(self._homes, key=len, reverse=True))))

    def _translated(self, path: Path) -> bytes | None:
        """The new content of a text file, None for any other."""
        if path.suffix not in TEXT_SUFFIXES or path.stat().st_size > MOST_TEXT_BYTES:
            return None
        content = path.read_bytes()
        try:
            return None if b"\0" in content else self.text(content.decode()).encode()
        except UnicodeDecodeError:
            return None


def files_below(folder: Path) -> Iterator[Path]:
    """Every regular file; links are not followed."""
    for where, _, names in os.walk(folder):
        paths = (Path(where, name) for name in sorted(names))
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


def _whole_name(there: str) -> str:
    """A pattern for that name where it is no part of a longer one."""
    word = there[0].isalnum()
    if word:
        before = r"(?<!\w)"
    elif there[0] == "/":
        before = r"(?<![\w.~-])"  # sqlite:////box/... has a slash before the path
    else:
        before = r"(?<![\w./~-])"
    after = "" if there.endswith("/") else r"(?!\w)" if word else r"(?![\w~-]|\.\w)"
    return before + re.escape(there) + after


def _alike(source: Path, target: Path) -> bool:
    """Whether the target is a copy of the source, by size and time."""
    if not target.is_file():
        return False
    ours, theirs = source.stat(), target.stat()
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
