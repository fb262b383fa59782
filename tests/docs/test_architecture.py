"""docs/architecture.md names every module once, and where to change what in places that there are."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
MODULES, _, CHANGES = PAGE.partition("## Where to change\n")


def named() -> list[str]:
    """The modules of the page: a heading ends with their folder, a bullet begins with their name."""
    found, folder = [], ""
    for line in MODULES.splitlines():
        if heading := re.fullmatch(r"### .*`(.+)`", line):
            folder = heading[1]
        elif bullet := re.match(r"- `(.+?)` ", line):
            found.append(f"{folder}/{bullet[1]}")
    return found


def changes() -> list[tuple[str, list[str]]]:
    """The files of the table, with what is named in them."""
    rows = [line.split("|")[1:] for line in CHANGES.splitlines() if "| `" in line]
    return [(re.findall("`(.+?)`", row[1])[0], re.findall("`(.+?)`", row[2])) for row in rows]


def names_in(path: Path) -> set[str]:
    """What a module defines at its top, and the methods of its classes as Class.method."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_every_module_is_named_once() -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py") if path.name != "__init__.py"}
    counts = Counter(named())
    assert sorted(there - set(counts)) == [], "without a sentence"
    assert sorted(set(counts) - there) == [], "of modules that there are not"
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_place_of_a_change_exists() -> None:
    assert len(changes()) > 25
    for file, names in changes():
        assert (ROOT / file).is_file(), file
        if file.endswith(".py"):
            assert set(names) <= names_in(ROOT / file), file
        else:
            assert names == []


def test_every_kind_of_change_is_there() -> None:
    kinds = {line.split("|")[1].strip() for line in CHANGES.splitlines() if line.startswith("| ")}
    assert {"an indicator", "a fill rule", "a verdict rule", "a rung of the provisioning ladder", "a metric"} <= kinds
    assert {"a figure of the report", "a new head", "a label", "a config key", "a new command"} <= kinds
