"""Unpack code/<sha256>.tar.gz into code/<sha256>/, whole or not at all. Runs on the machine, in our folder there.

Sent as text; standard library, Python 3.8 or newer. Prints "ready", or "missing" where that archive does not lie there.
"""

import hashlib
import os
import shutil
import sys
import tarfile


def main(sha256: str) -> None:
    """Print what came of it; ValueError where the archive would write outside of its folder."""
    folder = os.path.join("code", sha256)
    archive = folder + ".tar.gz"
    if not os.path.isdir(folder):
        if not _intact(archive, sha256):
            print("missing")
            return
        aside = f"{folder}.{os.getpid()}"
        try:
            _unpack(archive, aside)
            os.rename(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        os.unlink(archive)
    print("ready")


def _intact(archive: str, sha256: str) -> bool:
    """Whether the archive lies there with that hash; another one is removed, lest a copy take it for its own."""
    if not os.path.isfile(archive):
        return False
    with open(archive, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if digest != sha256:
        os.unlink(archive)
    return digest == sha256


def _unpack(archive: str, folder: str) -> None:
    os.makedirs(folder)
    links = []
    with tarfile.open(archive) as tar:
        for member in tar:
            path = os.path.join(folder, member.name)
            if member.name.startswith("/") or ".." in member.name.split("/"):
                raise ValueError(f"{archive}: {member.name!r} leads out")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = tar.extractfile(member) if member.isreg() else None
            if member.issym():
                links.append((member.linkname, path))
            elif content is None:
                raise ValueError(f"{archive}: {member.name!r} is neither file nor link")
            else:
                with open(path, "xb") as file:
                    shutil.copyfileobj(content, file)
                os.chmod(path, member.mode & 0o755)
    # Last, so that no file is written through a link.
    for leads_to, path in links:
        os.symlink(leads_to, path)
    top = os.path.realpath(folder)
    for _, path in links:
        if os.path.commonpath([top, os.path.realpath(path)]) != top:
            raise ValueError(f"{archive}: {path!r} leads out")


if __name__ == "__main__":
    main(sys.argv[1])
