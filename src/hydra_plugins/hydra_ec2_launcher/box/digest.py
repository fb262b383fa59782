"""`python3 digest.py FOLDER`: the SHA-256 of every file below, by relative name, as JSON; links are left out."""

from __future__ import annotations

import hashlib
import json
import os
import sys


def digests(folder: str) -> dict[str, str]:
    """Name and SHA-256 of every regular file below `folder`."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


if __name__ == "__main__":
    json.dump(digests(sys.argv[1]), sys.stdout)
