"""Which commands there are, and what each of them says of its own keys."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from runs import command

from botscalp.config import CONF
from tests.docs.yaml_comments import comments


def listed(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "botscalp", *words], capture_output=True, text=True
    )


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_every_command_is_listed_with_what_it_is_for(words: tuple[str, ...]) -> None:
    done = listed(*words)
    assert done.returncode == 0
    for name in (*(path.stem for path in CONF.glob("*.yaml")), "ui"):
        (line,) = (line for line in done.stdout.splitlines() if f"python -m botscalp.{name} " in line)
        assert len(line.split()) > 6
    assert not {"numpy", "hydra", "pydantic"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("trian",), ("command=trian: no such command", "did you mean train?")),
        (("nothing",), ("command=nothing: no such command", "valid: audit, backtest")),
        (("train", "model=gru", "study=a b"), ("command=train", "python -m botscalp.train model=gru 'study=a b'")),
    ],
)
def test_another_word_is_answered_with_the_nearest_command(words: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    done = listed(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert [fragment for fragment in fragments if fragment not in done.stderr] == []


@pytest.mark.parametrize("name", ["predict", "backtest"])
def test_help_has_the_command_s_own_keys(name: str, tmp_path: Path) -> None:
    path = CONF / f"{name}.yaml"
    said = command(name, "--help", cwd=tmp_path).stdout
    for key, value in yaml.safe_load(path.read_text()).items():
        if isinstance(value, dict) and key != "hydra":
            assert [inner for inner in value if inner not in said] == []
        elif key not in ("defaults", "hydra"):
            shown = yaml.safe_dump(value).removesuffix("...\n").strip() if value != "???" else "..."
            (line,) = (line for line in said.splitlines() if line.startswith(f"  {key}={shown} "))
            assert line.endswith(f"  {comments(path)[key]}")
    assert "\nmodel:" not in said, "groups of training"
