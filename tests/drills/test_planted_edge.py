"""The rules can be passed: a large edge at low costs is recognised."""

from collections import Counter
from pathlib import Path

import pytest
from drill import verdict_of

PLANTED = (
    "+verdict.overrides.sharpe_too_high={by: drill, reason: the edge is planted and no market gives one like it}",
)


@pytest.mark.slow
def test_of_twenty_large_edges_most_are_candidates(tmp_path: Path) -> None:
    outcomes = Counter(
        verdict_of(tmp_path / str(seed), edge=0.25, seed=seed, words=PLANTED)["outcome"] for seed in range(20)
    )
    print(outcomes)
    assert outcomes["CANDIDATE"] >= 12
