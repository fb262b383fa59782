"""What a person sees while a search runs: a live table on a terminal, a line a trial elsewhere."""

import os
import sys

import pytest
from terminals import piped, rows, written

PROGRAM = """
from dataclasses import replace
from botscalp.pipeline.search.ended import EndedTrial
from botscalp.pipeline.search.plan import Plan
from botscalp.pipeline.search.shown import SearchShown

tests = tuple((f"2024-{m:02d}-01T00:00:00Z", f"2024-{m + 1:02d}-01T00:00:00Z") for m in range(1, 7))
plan = Plan(objective="auc", search=tests[:4], holdout=tests[4:], markets=("real BTCUSDT 5m",), bars=("a",), base={})
trial = EndedTrial(number=0, params={"model.hidden": 16, "trainer.lr": 0.00123456}, state="complete", value=0.53, scores=(0.53,) * 4,
    incumbent=None, reason="", seconds=1.0, fit_s=1.0, sharpe=None, capital_quote=1e4, folder="", words=())
with SearchShown(plan, [trial], 5) as shown:
    shown.begun([1, 2])
    shown.ended(replace(trial, number=1, value=0.54))
    shown.ended(replace(trial, number=2, state="pruned", value=0.51, scores=(0.51,) * 3, reason="behind"))
    shown.begun([3])
    shown.ended(replace(trial, number=3, state="failed", value=None, scores=(), reason="ValueError: [no] such thing"))
"""
PATHS = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_terminal_shows_a_table_with_the_best_and_the_time_left() -> None:
    seen = rows(written(PROGRAM, columns=110, **PATHS))
    assert any(row.startswith("search over real BTCUSDT 5m: auc, mean of 4 windows, tests 2024-01-01") for row in seen)
    assert "unseen until the end: 2 windows, tests 2024-05-01 .. 2024-07-01" in seen
    table = seen[-7:]
    assert table[0].split() == ["trial", "what", "differs", "auc", "state"]
    assert any(row.startswith("1 ") and "+0.54000" in row and "best so far" in row for row in table)
    assert any("~+0.51000" in row and "pruned after 3" in row for row in table)
    assert any("failed: ValueError: [no] such thing" in row for row in table)
    assert table[-1].startswith("4/5 trials") and "ETA" in table[-1]
    assert all(len(row) <= 110 for row in seen)


@pytest.mark.parametrize("env", [{}, {"CI": "true"}])
def test_elsewhere_there_is_a_line_a_trial(env: dict[str, str]) -> None:
    lines = piped(PROGRAM, **PATHS, **env).splitlines()
    assert lines[2] == "1 of 5 trials had ended before"
    assert lines[3].startswith("trial 1 (2/5)  model.hidden=16 trainer.lr=0.001235  +0.54000  best so far  ETA ")
    assert "~+0.51000  pruned after 3" in lines[4]
    assert "failed: ValueError: [no] such thing" in lines[5] and len(lines) == 6
