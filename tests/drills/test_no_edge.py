"""A hundred markets without anything to find."""

from collections import Counter
from pathlib import Path

import pytest
from drill import verdict_of


@pytest.mark.slow
def test_of_a_hundred_martingales_at_most_one_is_a_candidate(tmp_path: Path) -> None:
    outcomes = Counter(verdict_of(tmp_path / str(seed), edge=0.0, seed=seed)["outcome"] for seed in range(100))
    print(outcomes)
    assert outcomes["CANDIDATE"] <= 1
