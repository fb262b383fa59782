"""Digests of source code: figures belong to the code that computed them."""

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from botscalp.options import trusted


def digest_of(root: Path, paths: Iterable[Path]) -> str:
    """sha256 of those files below `root`, their places included."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def trusted_digests() -> dict[str, str]:
    """Of each package that the command line trusts, all of its sources: which of them decide figures is not known."""
    return {f"trusted {package}": _package_digest(package) for package in trusted()}


def _package_digest(package: str) -> str:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, "it was found when it was named"
    origin = Path(spec.origin)
    paths = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return digest_of(origin.parent, paths)
