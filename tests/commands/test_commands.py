"""Which commands there are."""

import subprocess
import sys

import pytest

from botscalp.config import CONF


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
