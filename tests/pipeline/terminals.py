"""A terminal as a program sees one, and what the program writes to it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def written(program: str, *, columns: int = 80, **env: str) -> str:
    """What a Python program writes to a terminal of so many columns, in this environment and no other."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **env},
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(timeout=30) == 0, text.decode()
    return text.decode()


def piped(program: str, **env: str) -> str:
    """What the program writes to a pipe."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **env},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def rows(text: str) -> list[str]:
    """What stands in the terminal's rows, each time one is written."""
    return [row.rstrip() for row in re.split(r"[\r\n]+", ESCAPE.sub("", text)) if row.strip()]
