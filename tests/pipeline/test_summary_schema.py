"""summary.schema.json describes what a run writes, completely, and notices every deviation."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from runs import Run, walk

import botscalp.pipeline

SCHEMA = json.loads((Path(botscalp.pipeline.__file__).parent / "summary.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def objects(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every JSON object inside, with its path."""
    if isinstance(node, dict):
        yield path, node
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from objects(child, (*path, key))


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def test_it_is_a_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_object_says_what_it_holds_and_every_property_what_it_means() -> None:
    for path, node in objects(SCHEMA):
        if "object" in str(node.get("type")):
            assert "additionalProperties" in node, path
            assert set(node.get("properties", ())) <= {*node.get("required", ())}, path
        for name, child in node.get("properties", {}).items():
            assert child.get("description"), (*path, name)


def test_a_run_of_the_command_fits_it(finished: Run) -> None:
    VALIDATOR.validate(finished.summary)


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=linear", "label=triple_barrier"),
        ("data=trivial", "data.start=2023-01-01", "data.end=2023-02-20"),
        ("backtest.threshold=0.99",),  # no trade: most figures are undefined
        ("wfo.windows=1", "data.symbols=[AAA,BBB]"),
    ],
    ids=" ".join,
)
def test_runs_of_other_kinds_fit_it(overrides: tuple[str, ...], tmp_path: Path) -> None:
    VALIDATOR.validate(walk(tmp_path / "run", *overrides).summary)


def one_of_each(node: Any) -> Any:
    """The same, of every list of objects the first alone: the others are like it."""
    if isinstance(node, dict):
        return {key: one_of_each(child) for key, child in node.items()}
    if isinstance(node, list) and node and isinstance(node[0], dict):
        return [one_of_each(node[0])]
    return node


def test_a_missing_or_an_additional_key_is_noticed_at_every_level(finished: Run) -> None:
    summary = one_of_each(finished.summary)
    gains = {("baselines", name, "gains") for name in ("linear", "previous_sign")}
    optional = {(("baselines",), "linear")} | {(path, key) for path in gains for key in ("auc", "log_loss")}
    typed = {("settings",), ("overrides",)}
    free = {*typed, ("baselines",), *(("baselines", name, "gains") for name in summary["baselines"])}
    checked = 0
    for path, node in objects(summary):
        for key in node if path not in typed else ():
            broken = copy.deepcopy(summary)
            del at(broken, path)[key]
            assert VALIDATOR.is_valid(broken) == ((path, key) in optional), (*path, key)
            checked += 1
        if path not in free:
            broken = copy.deepcopy(summary)
            at(broken, path)["surprise"] = 1
            assert not VALIDATOR.is_valid(broken), path
    assert checked > 150


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics", "accuracy"), 52.0),
        (("backtest", "max_drawdown"), 0.03),
        (("verdict", "outcome"), "GOOD"),
        (("verdict", "rules", 0, "result"), "passed"),
        (("windows", 0, "test"), ["2023-02-06", "2023-02-13"]),
        (("windows", 0, "epochs"), 0),
        (("windows", 0, "trades"), 1.5),
        (("windows", 0, "intervals", "auc"), [0.5]),
        (("settings", "seed"), 0),
        (("data", "gaps"), -1),
        (("data", "digest"), "5bf1c1"),
        (("intervals", "test", "auc"), [0.5]),
        (("histogram", "counts"), [0.5]),
        (("schema",), 2),
    ],
)
def test_a_value_of_another_unit_or_kind_is_noticed(finished: Run, path: tuple[Any, ...], value: object) -> None:
    broken = copy.deepcopy(finished.summary)
    at(broken, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(broken)
