"""python -m botscalp.audit: what it prints and writes, that it counts as a trial, and what it calls a planted leak."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audits import SMALL
from runs import TINY, Outcome

from botscalp.sentinels.diagnosis import SENTINELS
from tests.forked import forked_together

QUICK = [word for word in (*TINY, *SMALL) if not word.startswith(("model.", "data.end=2023-02-20", "wfo.train=2w"))]
QUICK = [*dict.fromkeys(QUICK), "audit.windows=1", "audit.points=12"]

# A column that knows the next bar's close, planted where the honest ones are computed.
LEAK = """
import sys
from botscalp.features.feature_set import FeatureSet
honest = FeatureSet.compute
def leaking(self, bars):
    x_TF = honest(self, bars)
    if "leaking" in sys.argv[-1]:
        x_TF[:-1, 1] = bars.close[1:] / bars.close[:-1]
    return x_TF
FeatureSet.compute = leaking
"""


@pytest.fixture(scope="module")
def outcomes(once: Callable[[str, Callable[[Path], object]], Path]) -> list[Outcome]:
    """A clean audit, one of a leak, one of data that are too easy, and two mistakes."""

    def make(folder: Path) -> None:
        words = [word for word in _deduplicated(QUICK)]
        made = forked_together(
            [
                ("audit", [*words, "study=clean"]),
                ("audit", [*words, "tracking=none", "study=leaking"]),
                (
                    "audit",
                    [*(word for word in words if not word.startswith("data.edge")), "data=trivial", "study=easy"],
                ),
                ("audit", [*words, "audit.windows=0"]),
                ("audit", [*words, "wfo.train=40w"]),
            ],
            cwd=folder,
            before=LEAK,
        )
        (folder / "outcomes.json").write_text(json.dumps(made))

    return list(json.loads((once("audits", make) / "outcomes.json").read_text()))


def _deduplicated(words: list[str]) -> list[str]:
    kept: dict[str, str] = {}
    for word in words:
        kept[word.partition("=")[0]] = word
    return list(kept.values())


def found(outcome: Outcome) -> dict[str, Any]:
    assert outcome["code"] == 0, outcome["stderr"]
    return dict(json.loads((Path(outcome["stdout"].splitlines()[-1]) / "audit.json").read_text()))


def test_an_honest_run_is_clean(outcomes: list[Outcome]) -> None:
    audit = found(outcomes[0])
    assert audit["diagnosis"]["finding"] == "CLEAN"
    assert [rule["name"] for rule in audit["sentinels"]] == list(SENTINELS)
    assert {rule["sentinel"] for rule in audit["sentinels"]} == {*(f"S{n}" for n in range(1, 9)), None}
    assert audit["time"]["ratio"] > 1 and audit["settings"] == {"windows": 1, "points": 12, "seed": 0}
    assert (Path(outcomes[0]["stdout"].splitlines()[-1]) / "config.yaml").read_text().count("audit:") == 1


def test_the_table_the_sentence_the_cost_and_the_folder_are_printed(outcomes: list[Outcome]) -> None:
    lines = outcomes[0]["stdout"].splitlines()
    assert any(line.startswith("DIAGNOSIS      CLEAN: ") for line in lines)
    assert any(line.startswith("time ") and "times the" in line for line in lines)
    for name in SENTINELS:
        assert f"clear  {name}" in lines, "as soon as it is known"
        assert any(line.startswith("  ") and f"clear  {name}" in line for line in lines), "and in the table"
    assert any("minus the costs" in line for line in lines)


def test_it_is_recorded_and_counts_as_a_trial(outcomes: list[Outcome]) -> None:
    store = Path(outcomes[0]["stdout"].splitlines()[-1]).parents[2]
    ledger = [json.loads(line) for line in (store / "trials.jsonl").read_text().splitlines()]
    assert {line["count"] for line in ledger} == {1}
    assert found(outcomes[0])["mlflow"]["experiment"] == "clean"
    assert found(outcomes[1])["mlflow"] is None


def test_a_leaking_feature_is_an_answer_here_and_no_error(outcomes: list[Outcome]) -> None:
    audit = found(outcomes[1])
    assert audit["diagnosis"]["finding"] == "LEAK"
    fired = {rule["name"] for rule in audit["sentinels"] if rule["result"] == "fired"}
    assert {"future_perturbation_features", "prefix_invariance", "single_feature_auc"} <= fired
    assert "features=return_3" in next(r["words"] for r in audit["sentinels"] if r["name"] == "prefix_invariance")


def test_bars_that_tell_their_own_future_are_called_too_easy(outcomes: list[Outcome]) -> None:
    audit = found(outcomes[2])
    assert audit["diagnosis"]["finding"] == "DATA TOO EASY", audit["sentinels"]
    fired = {rule["name"] for rule in audit["sentinels"] if rule["result"] == "fired"}
    assert {"auc_too_high", "single_feature_auc"} <= fired


def test_mistakes_are_answered_in_one_message(outcomes: list[Outcome]) -> None:
    assert [outcome["code"] for outcome in outcomes[3:]] == [2, 2]
    assert outcomes[3]["stderr"].startswith("audit.windows=0")
    assert outcomes[4]["stderr"].startswith("wfo.train=40w")
