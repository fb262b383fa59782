"""Files that stand under their names whole or not at all, whatever ends the process or fills the disk meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write the file: it has its name once the block is done and its bytes are on the disk.

    What stood under that name stays until then. Where the block fails, nothing of the new file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")  # processes may write the same file: the last one's stays
    with about(path):
        try:
            yield aside
            sync(aside)
            os.replace(aside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise


def write_whole(path: Path, text: str) -> None:
    """The text as that file, UTF-8."""
    with whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """A file's bytes, or a folder's names, outlive a power cut from here on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Errors of the system inside name the file: those of writing to an open one name none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
