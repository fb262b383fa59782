"""A library that aborts the process leaves one message and exit code 2, whichever thread it does so in, with no memory left."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

NO_MORE = """
import resource
from pathlib import Path
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
"""
# What C++ does with an exception that nobody catches; PyDLL holds Python's lock meanwhile, CDLL gives it away.
TERMINATE = "import ctypes; end = ctypes.{kind}('libstdc++.so.6')._ZSt9terminatev"


def spoken(*lines: str) -> tuple[int, list[str]]:
    """The exit code and stderr of a process that runs these lines after `speak_when_aborted`."""
    program = "\n".join(["from botscalp.last_words import speak_when_aborted", "speak_when_aborted()", *lines])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def is_the_message(lines: Sequence[str]) -> bool:
    told = len(lines) == 2 and lines[0].startswith("memory=exhausted: a library aborted")
    return told and lines[1].startswith("  remedy: ") and "trainer.window_workers" in lines[1]


@pytest.mark.parametrize("kind", ["PyDLL", "CDLL"])
def test_an_exception_of_c_plus_plus_that_nobody_catches_is_told(kind: str) -> None:
    code, said = spoken(TERMINATE.format(kind=kind), NO_MORE, "end()")
    assert code == 2 and is_the_message(said[-2:])
    assert said[:-2] == ["terminate called without an active exception"]


def test_so_is_one_in_a_thread_while_others_run() -> None:
    thread = "import threading; other = threading.Thread(target=end); begin = other.start"
    code, said = spoken(TERMINATE.format(kind="CDLL"), thread, "begin()", "while True: pass")
    assert code == 2 and is_the_message(said[-2:])


def test_a_worker_that_aborts_is_told_by_its_parent_alone() -> None:
    code, said = spoken(
        "import os",
        "from unittest.mock import Mock",
        "from botscalp.errors import UserError",
        "from botscalp.pipeline.workers import done_in_order",
        "with done_in_order(lambda *task: os.abort(), ['a', 'b'], Mock(), workers=2, start='fork') as done:",
        "    try: next(done)",
        "    except UserError as error: print(error, file=__import__('sys').stderr)",
    )
    assert code == 0 and len(said) == 2 and "SIGABRT" in said[0]
