"""What the plugins may import. Import-linter does not see folders without __init__.py, and Hydra is not to see them."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "src/hydra_plugins"
PLUGIN = PLUGINS / "hydra_ec2_launcher"


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, relative ones by their dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_plugins_know_nothing_of_botscalp(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] == "botscalp"]


def test_box_needs_no_library() -> None:
    siblings = {path.stem for path in (PLUGIN / "box").glob("*.py")}
    for path in (PLUGIN / "box").glob("*.py"):
        for name in imported(path):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top in siblings, f"{path.name} imports {name}"


def test_policy_knows_no_effects() -> None:
    """Decisions are pure: what asks the cloud, the network or the clock lies elsewhere."""
    for name in ("ladder", "refusals", "lease", "events", "budget", "cost", "policy"):
        effects = {"boto3", "botocore", "subprocess", "time", "socket", "urllib"}
        assert not effects & {module.split(".")[0] for module in imported(PLUGIN / "cloud" / f"{name}.py")}, name


def test_what_hydra_imports_at_every_start_is_light() -> None:
    light = {"hydra", "omegaconf", "dataclasses", "collections", "typing", "", ".config"}
    for name in ("__init__", "config", "ec2_launcher"):
        tops = {
            module if module.startswith(".") else module.split(".")[0] for module in imported(PLUGIN / f"{name}.py")
        }
        assert tops - {"._core", ".home.sweep"} <= light, (name, tops)
