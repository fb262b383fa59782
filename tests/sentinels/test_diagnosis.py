"""One sentence from many rules: the gravest finding wins, and names what fired and what to do."""

import pytest

from botscalp.pipeline.rules import Rule
from botscalp.sentinels.diagnosis import SENTINELS, diagnosed


def rules(*fired: str) -> list[Rule]:
    return [
        Rule(name=name, result="fired" if name in fired else "clear", value=1.0, threshold=0.0, words="words")
        for name in SENTINELS
    ]


@pytest.mark.parametrize("name", SENTINELS)
def test_every_sentinel_by_itself_decides(name: str) -> None:
    diagnosis = diagnosed(rules(name))
    assert diagnosis.finding == SENTINELS[name].finding
    assert f"({name})" in diagnosis.sentence and SENTINELS[name].remedy in diagnosis.sentence


@pytest.mark.parametrize(
    ("fired", "finding"),
    [
        ((), "CLEAN"),
        (("single_feature_auc", "prefix_invariance"), "LEAK"),
        (("auc_too_high", "warm_up"), "DATA TOO EASY"),
        (("planted_signal", "warm_up"), "UNDECLARED MEMORY"),
        (("planted_signal", "martingale_bars"), "LEAK"),
    ],
)
def test_the_gravest_finding_wins(fired: tuple[str, ...], finding: str) -> None:
    assert diagnosed(rules(*fired)).finding == finding
