"""Files that stand under their names and are not whole."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

WINDOW = {"train.parquet", "calibration.parquet", "test.parquet", "model.json", "weights.safetensors"}


def broken_files(root: Path) -> list[str]:
    """Those below the folder, with what is wrong; hidden ones and those whose names say that they are not whole left out."""
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        aside = any(part.startswith(".") for part in name.parts) or path.suffix in (".part", ".pending")
        if path.is_file() and not aside and path.suffix in _READ:
            try:
                _READ[path.suffix](path)
            except Exception as error:
                found.append(f"{name}: {type(error).__name__}: {error}")
        if path.parent.name == "windows" and path.is_dir() and not aside:
            lacking = WINDOW - {one.name for one in path.iterdir()}
            found += [f"{name}: lacks {lacking}"] if lacking else []
    return found


def _json(path: Path) -> None:
    json.loads(path.read_text())


def _lines(path: Path) -> None:
    """A ledger may end in half a line, which its readers know."""
    for line in path.read_text().splitlines()[:-1]:
        if line.startswith("{") and line.endswith("}"):
            json.loads(line)


def _yaml(path: Path) -> None:
    from omegaconf import OmegaConf

    assert "seed" in OmegaConf.load(path), "the last key of those that matter"


def _parquet(path: Path) -> None:
    from pyarrow import parquet

    parquet.read_table(path)


def _tensors(path: Path) -> None:
    from safetensors.numpy import load_file

    load_file(path)


def _png(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


def _html(path: Path) -> None:
    assert re.search(r"</html>\s*$", path.read_text()), "cut off"


def _csv(path: Path) -> None:
    assert path.read_text().endswith("\n"), "cut off"


def _database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (said,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert said == "ok", said


_READ: dict[str, Callable[[Path], None]] = {
    ".json": _json,
    ".jsonl": _lines,
    ".yaml": _yaml,
    ".parquet": _parquet,
    ".safetensors": _tensors,
    ".png": _png,
    ".html": _html,
    ".csv": _csv,
    ".db": _database,
}
