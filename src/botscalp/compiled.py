"""What all compiled functions share: where they are cached, and how they use the cores. Import `njit` from here.

Numba looks at a function's own file alone: a constant or a callee that changed in another file leaves the old machine code
in use, silently. So the cache's folder is named by the content of all files that compiled functions can see.
"""

import hashlib
import re
from pathlib import Path

import numba
from numba import njit, prange

__all__ = ["njit", "prange"]


# Import statements at any depth, names in brackets over several lines too. Parsing would take five times as long, at
# every start; what looks like one inside a string names one file too many, at worst.
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))", re.MULTILINE
)


def _imported(source: bytes) -> set[str]:
    """The dotted names that a module may import, at its top or anywhere."""
    names = set()
    for module, members, modules in _IMPORT.findall(source):
        names |= {module, *(module + b"." + name for name in re.findall(rb"\w+", members))} if module else set()
        names |= set(re.findall(rb"[\w.]+", modules))
    return {name.decode() for name in names}


def _digest() -> str:
    """Of the files that hold compiled functions and of all that these import from the package, however far."""
    package = Path(__file__).parent
    sources: dict[str, bytes] = {}
    todo = [path for path in package.rglob("*.py") if b"@njit" in path.read_bytes()]
    while todo:
        path = todo.pop()
        if str(path) in sources or not path.is_file():
            continue
        sources[str(path)] = path.read_bytes()
        for name in _imported(sources[str(path)]):
            if name.partition(".")[0] == package.name:
                stem = package.parent.joinpath(*name.split("."))
                todo += [stem.with_suffix(".py"), stem / "__init__.py"]
    whole = hashlib.sha256()
    for name, source in sorted(sources.items()):
        whole.update(f"{name} {len(source)} ".encode() + source)
    return whole.hexdigest()[:16]


_parent = numba.config.CACHE_DIR or Path(__file__).parent / "__pycache__" / "numba"  # type: ignore[attr-defined]  # set at run time
numba.config.CACHE_DIR = str(Path(_parent) / _digest())  # type: ignore[attr-defined]
# GNU OpenMP, numba's first choice, dies in a process forked after a parallel call: a DataLoader's worker.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]
