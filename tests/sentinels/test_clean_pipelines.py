"""Honest pipelines are called clean: of a hundred seeds at most five are not."""

import json
from collections import Counter

import pytest
from audits import SMALL, rules_of
from runs import composed

from botscalp.sentinels.diagnosis import diagnosed

SEEDS = 100
MOST_FLAGGED = 5


@pytest.mark.slow
def test_a_hundred_honest_pipelines() -> None:
    """Each on a market of its own, with every sentinel, those that train again included."""
    findings: Counter[str] = Counter()
    for seed in range(SEEDS):
        experiment = composed(
            *SMALL, "wfo.train=4w", "data.end=2023-02-27", "trainer.epochs=4", "tracking=none", f"seed={seed}"
        )
        rules = rules_of(experiment, looking=True, training=True, seed=seed)
        fired = [name for name, rule in rules.items() if rule.result == "fired"]
        findings[diagnosed(list(rules.values())).finding] += 1
        print(seed, fired, flush=True)
    print(json.dumps(findings))
    assert findings["CLEAN"] >= SEEDS - MOST_FLAGGED, findings
