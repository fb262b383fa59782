"""Put data files that arrived as <name>.incoming into place, if their hash is right. Runs on the machine, in our folder.

Sent as text; standard library, Python 3.8 or newer. Reads {name: sha256} as JSON, prints the names that are missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys


def main(wanted: dict[str, str]) -> list[str]:
    """The names without a file of that hash."""
    return [name for name, sha256 in wanted.items() if not (_is(name, sha256) or _placed(name, sha256))]


def _placed(name: str, sha256: str) -> bool:
    incoming = name + ".incoming"
    if _is(incoming, sha256):
        os.replace(incoming, name)
        return True
    if os.path.isfile(incoming):
        os.unlink(incoming)  # else a copy of equal size and time would take it for its own
    return False


def _is(name: str, sha256: str) -> bool:
    """Whether that file lies there: a link is none, whatever it leads to."""
    root = os.getcwd()
    if os.path.realpath(name) != os.path.join(root, name) or not os.path.isfile(name):
        return False
    digest = hashlib.sha256()
    with open(name, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest() == sha256


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
