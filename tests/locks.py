"""The lock files, read: which version and which hashes each pins."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Pin:
    """A line of a lock file."""

    version: str
    hashes: tuple[str, ...]


def pinned(*layers: str) -> dict[str, Pin]:
    """What requirements.lock (layer "") or requirements-<layer>.lock pin, by canonical name."""
    pins: dict[str, Pin] = {}
    for layer in layers:
        lock = ROOT / f"requirements{'-' if layer else ''}{layer}.lock"
        for line in lock.read_text().replace("\\\n", "").splitlines():
            found = re.fullmatch(r"([\w.-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})*) *", line)
            assert found, f"{lock.name}: {line[:80]}"
            name, version, hashes = found.groups()
            assert canonicalize_name(name) not in pins, f"{lock.name}: {name} is pinned twice"
            pins[canonicalize_name(name)] = Pin(version, tuple(re.findall(r"sha256:(\w+)", hashes)))
    return pins
