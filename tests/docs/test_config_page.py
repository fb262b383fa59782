"""docs/config.md is what `make docs` would write today, and no key is without a meaning."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt
from hydra import compose, initialize_config_dir

from botscalp.annotations import allowed
from botscalp.config import CONF, GROUPS
from tests.docs.config_page import COMMANDS, OVERLAYS, PAGE, keys, page
from tests.docs.yaml_comments import comments, first_comment


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "`make docs` writes it anew"


def test_every_key_says_what_it_means() -> None:
    assert [f"{where}: {key.name}" for where, key in keys() if not key.meaning] == []


def test_every_option_and_command_is_there() -> None:
    text = PAGE.read_text()
    for path in CONF.rglob("*.yaml"):
        group, name = str(path.relative_to(CONF).parent), path.stem
        if group == ".":
            assert f"## python -m botscalp.{name}\n" in text
        elif "logging" not in group:
            assert f"{group}={name}" in text, path
    assert {path.stem for path in CONF.glob("*.yaml")} == set(COMMANDS)


def test_every_key_that_train_composes_is_there() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train")
    named = {key.name for _, key in keys()}
    for name in cfg:
        if name in GROUPS:
            assert {f"{name}.{key}" for key in cfg[name] if key not in ("_target_", "candidates")} <= named
        else:
            assert name in named | set(OVERLAYS)
    assert {f"backtest.candidates.{key}" for key in cfg.backtest.candidates} <= named


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[float, Ge(0.5), Lt(10_000)], "number ≥ 0.5 and < 10,000"),
        (tuple[int, ...] | None, "list: whole number, or null"),
        (Literal["auto", "cpu"], "`auto`, `cpu`"),
        (dict[str, bool], "by name: true or false"),
    ],
)
def test_what_an_annotation_allows(annotation: object, words: str) -> None:
    assert allowed(annotation) == words


def test_comments_stand_by_their_keys(tmp_path: Path) -> None:
    file = tmp_path / "option.yaml"
    file.write_text(
        "# @package _global_\n# What it is.\n# More.\n#\n# Aside.\na: '#1'  # the first\nb: # a mapping\n"
        "  c: [1, 2] # in it\n  d: 3\ne:\n  - x # of an element\nf: 4\n"
    )
    assert comments(file) == {"a": "the first", "b": "a mapping", "b.c": "in it"}
    assert first_comment(file) == "What it is. More."
