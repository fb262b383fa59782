"""What a command says when a library aborts the process, as C++ does where memory or threads run out: no Python runs then."""

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from numba.core import types

from botscalp.shortages import no_memory

_WORDS = np.frombuffer(f"{no_memory('a library aborted, most likely for want of it')}\n".encode(), np.uint8)
_write: Any = types.ExternalFunction("write", types.intp(types.int32, types.uintp, types.uintp))
_exit: Any = types.ExternalFunction("_exit", types.void(types.int32))
_LIBC = ctypes.CDLL(None)


@numba.cfunc("void(int32)")
def _say_and_exit(signum: int) -> None:
    _write(2, _WORDS.ctypes.data, _WORDS.size)
    _exit(2)


def speak_when_aborted() -> None:
    """Answer SIGABRT in this process with a message and exit code 2, in machine code, which asks for no memory and no lock."""
    _LIBC.signal(signal.SIGABRT, ctypes.c_void_p(_say_and_exit.address))


@contextmanager
def answer_kept() -> Iterator[None]:
    """Answer SIGABRT after the block as before it: Lightning sets each signal to what Python knows of it, and not C's answers."""
    answer = ctypes.create_string_buffer(1024)  # more than a struct sigaction takes anywhere
    _LIBC.sigaction(signal.SIGABRT, None, answer)
    try:
        yield
    finally:
        _LIBC.sigaction(signal.SIGABRT, answer, None)
