"""What the machine refuses, disk, permission or memory, as a message: no fault of botscalp's, and for the user to change."""

import errno
import os
import re
import shutil
from pathlib import Path

from botscalp.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_AGAIN = "give the same command again (`train` with resume=true fits no finished window again)"
# What libraries raise as errors of other kinds when there is no memory: torch, LightGBM, the loader of modules, threads.
_NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_alloc|cannot allocate memory|failed to map segment"
    r"|can't start new thread",
    re.IGNORECASE,
)


def shortage(error: BaseException) -> UserError | None:
    """The message about a full disk, a place that may not be written, or too little memory; None for any other error."""
    if isinstance(error, UserError):
        return None
    if isinstance(error, OSError) and error.errno in _FULL:
        return _full(error)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        remedy = f"let this user write there, or name another folder, such as store=<folder>; then {_AGAIN}"
        return UserError("file", _file(error), os.strerror(error.errno).lower(), remedy)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return no_memory(" ".join(str(error).split())[:200] or type(error).__name__)
    return None


def no_memory(asked: str) -> UserError:
    """The message about too little memory, with the words of who asked for it."""
    remedy = f"free some, or take fewer trainer.window_workers, a smaller trainer.batch or fewer symbols; then {_AGAIN}"
    return UserError("memory", "exhausted", asked, remedy)


def take_blas_memory() -> None:
    """Have numpy's and scipy's OpenBLAS take the 32 MiB that each keeps in a process, and limit them to one thread from here on.

    At a first call without that memory OpenBLAS asks again for ever, in C, where nobody hears of it; so would each more thread.

    Raises:
        MemoryError: there is none.
    """
    import numpy as np
    from scipy.linalg import cholesky
    from threadpoolctl import ThreadpoolController

    np.empty(80 << 20, np.uint8)  # both buffers and some more, given back at once: numpy says so where there are none
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    np.linalg.cholesky(np.eye(2))
    cholesky(np.eye(2))


def _full(error: OSError) -> UserError:
    path = Path(error.filename) if error.filename else Path.cwd()
    folder = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(folder).free
    assert error.errno is not None
    problem = f"{os.strerror(error.errno).lower()}; {free:,} bytes are free in {folder}"
    return UserError("file", _file(error), problem, f"make room there; then {_AGAIN}")


def _file(error: OSError) -> str:
    """The file that it is about: the last one named, where a rename has two."""
    return str(error.filename2 or error.filename or "standard output")
