"""Key pairs that live as long as a lease: the client's identity, and the machine's host key before it is rotated."""

import base64
import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PUBLIC_KEY = re.compile(r"((?:ssh|ecdsa)-[\w@.-]+) ([A-Za-z0-9+/]+=*)(?: .*)?")


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An ed25519 key pair; the public half lies beside the private one."""

    private: Path

    @property
    def public(self) -> str:
        """The public half: type and key, no comment."""
        return public_key(Path(f"{self.private}.pub").read_text())

    def delete(self) -> None:
        """Remove both halves; no error where they are gone."""
        for path in (self.private, Path(f"{self.private}.pub")):
            path.unlink(missing_ok=True)


def generate(private: Path) -> KeyPair:
    """Make a new pair in that file, mode 0600, in place of one that lies there; needs ssh-keygen."""
    pair = KeyPair(private=private)
    pair.delete()
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(private)]
    subprocess.run(make, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return pair


def public_key(text: str) -> str:
    """Type and key of a line as .pub files hold it; ValueError where it is none."""
    match = _PUBLIC_KEY.fullmatch(text.strip())
    if match is None:
        remedy = "give the line of the machine's /etc/ssh/ssh_host_ed25519_key.pub, read over a way you trust"
        raise ValueError(f"host_key={text.strip()[:60]!r}: not a public key\n  remedy: {remedy}")
    return f"{match[1]} {match[2]}"


def fingerprint(public: str) -> str:
    """The key's fingerprint as ssh-keygen -l prints it: SHA256:..."""
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def known_hosts_line(host: str, port: int, public: str) -> str:
    """The line by which known_hosts pins the key to that address."""
    return f"{host if port == 22 else f'[{host}]:{port}'} {public_key(public)}\n"


def write_private(path: Path, text: str) -> None:
    """Replace the file by the text, whole or not at all, readable by its owner alone."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.replace(aside, path)
