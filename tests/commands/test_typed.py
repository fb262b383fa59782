"""What a message says to type is read by shell and parser as what was meant."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from botscalp.typed import argument

TEXTS = [
    "bars.csv",
    "~/bars.csv",
    "../BTC (1).csv",
    "a,b",
    "a=b",
    "{symbol}.csv",
    "it's",
    'the "best"',
    "back\\slash\\",
    "a#b&c;d",
    "5",
]


@pytest.mark.parametrize("text", TEXTS)
def test_an_argument_holds_the_text(text: str) -> None:
    (word,) = shlex.split(argument("data.path", text))
    assert OverridesParser.create().parse_override(word).value() == text


def test_plain_text_stays_plain() -> None:
    assert argument("data.path", "../bars.csv") == "data.path=../bars.csv"
