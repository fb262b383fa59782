"""What trials come to together, on made-up ones."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.pipeline.ledger import Trial, record_trial
from botscalp.pipeline.search.conclusion import concluded, search_luck
from botscalp.pipeline.search.ended import EndedTrial, ranked
from botscalp.pipeline.search.plan import Plan
from botscalp.search import Referee
from botscalp.statistics.luck import deflated_sharpe
from botscalp.statistics.overfitting import pbo

MONTHS = [f"2024-{month:02d}-01T00:00:00Z" for month in range(1, 7)]
TESTS = tuple(itertools.pairwise(MONTHS))
PLAN = Plan(
    objective="brier_skill", search=TESTS[:4], holdout=TESTS[4:], markets=("real BTCUSDT 5m",), bars=("a",), base={}
)
DAYS = 120


def trial(number: int, scores: tuple[float, ...], **changes: Any) -> EndedTrial:
    values: dict[str, Any] = {
        "number": number,
        "params": {"model.hidden": 8 + number},
        "state": "complete",
        "value": float(np.mean(scores)) if scores else None,
        "scores": scores,
        "incumbent": None,
        "reason": "",
        "seconds": 1.0,
        "fit_s": 0.5,
        "sharpe": None,
        "capital_quote": 10_000.0,
        "folder": "",
        "words": (),
    }
    return EndedTrial(**(values | changes))


def with_account(folder: Path, one: EndedTrial, drift: float) -> EndedTrial:
    """The trial with an account of that daily gain, one value a UTC day."""
    place = folder / str(one.number)
    place.mkdir()
    gains = np.random.default_rng(one.number).normal(drift, 10.0, DAYS)
    close_time = pd.date_range("2024-01-02", periods=DAYS, freq="D", tz="UTC")
    equity = pd.DataFrame({"close_time": close_time, "equity_quote": 10_000.0 + np.cumsum(gains)})
    equity.to_parquet(place / "equity.parquet")
    returns = gains / np.concatenate([[10_000.0], equity["equity_quote"].to_numpy()[:-1]])
    sharpe = float(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
    return trial(one.number, tuple(x for x in one.scores if x is not None), folder=str(place), sharpe=sharpe)


def conclude(trials: list[EndedTrial], store: Path) -> dict[str, Any]:
    return concluded(
        PLAN, trials, study="s", sampler="tpe", created="now", store=store, importance=None, holdout_run=None
    )


numbers = st.floats(-0.01, 0.01)
some_trials = st.lists(
    st.tuples(st.sampled_from(["complete", "pruned", "failed"]), st.lists(numbers, min_size=4, max_size=4)), max_size=8
)


@settings(max_examples=30, deadline=None)
@given(given_trials=some_trials)
def test_every_trial_counts_and_the_best_is_a_complete_one(given_trials: list[Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("trials")
    trials = []
    for number, (state, scores) in enumerate(given_trials):
        if state == "complete":
            trials.append(with_account(folder, trial(number, tuple(scores)), 0.0))
        elif state == "pruned":
            trials.append(trial(number, tuple(scores[:3]), state="pruned", incumbent=0, reason="worse", value=0.5))
        else:
            trials.append(trial(number, (), state="failed", reason="ValueError: x"))
    found = conclude(trials, folder)
    json.dumps(found, allow_nan=False)
    assert found["luck"]["trials"] == len(trials) == len(found["trials"])
    complete = [one for one in trials if one.state == "complete"]
    assert found["luck"]["completed"] == len(complete)
    if complete:
        assert found["best"] == max(complete, key=lambda one: (one.value or 0.0, -one.number)).number
    else:
        assert found["best"] is None and "None of" in found["conclusion"]
    assert found["time"]["saved_windows"] == sum(state == "pruned" for state, _ in given_trials)


def test_luck_is_that_of_the_statistics_on_the_same_days(tmp_path: Path) -> None:
    trials = [with_account(tmp_path, trial(n, (0.01 - n / 1000,) * 4), drift=5.0 - n) for n in range(5)]
    found = search_luck(PLAN, trials, store=tmp_path)
    daily = np.column_stack(
        [
            pd.read_parquet(tmp_path / str(n) / "equity.parquet")["equity_quote"].pipe(
                lambda equity: np.diff(equity, prepend=10_000.0) / np.r_[10_000.0, equity[:-1]]
            )
            for n in range(5)
        ]
    )
    assert found.pbo == pytest.approx(pbo(daily))
    variance = float(np.var([one.sharpe for one in trials], ddof=1))
    deflated = deflated_sharpe(daily[:, 0], trials=5, sharpe_variance=variance)
    assert deflated is not None and found.deflated == pytest.approx(deflated.probability)
    assert found.sharpe == pytest.approx(trials[0].sharpe)


def test_what_else_was_tried_on_these_windows_counts_too(tmp_path: Path) -> None:
    trials = [with_account(tmp_path, trial(n, (0.01,) * 4), drift=5.0) for n in range(2)]
    before = search_luck(PLAN, trials, store=tmp_path)
    record_trial(
        tmp_path, Trial(count=500, markets=PLAN.markets, test_start=MONTHS[0], test_end=MONTHS[1]), "of another study"
    )
    after = search_luck(PLAN, trials, store=tmp_path)
    assert (before.trials, after.trials) == (2, 500)
    assert before.deflated is not None and after.deflated is not None and after.deflated < before.deflated
    assert before.expected_best_value is not None and after.expected_best_value is not None


def test_of_equal_trials_the_older_one_is_better() -> None:
    assert [one.number for one in ranked([trial(2, (0.1,)), trial(1, (0.1,)), trial(0, (0.05,))])] == [1, 2, 0]


def returned(**changes: Any) -> dict[str, Any]:
    """What `run_trial` returned of the first two search windows."""
    tests, markets = [list(test) for test in PLAN.search[:2]], list(PLAN.markets)
    values = {"state": "complete", "value": 0.1, "scores": [0.1, 0.1], "reason": "", "tests": tests, "markets": markets}
    return values | changes


@pytest.fixture
def referee() -> Referee:
    made = Referee(objective="brier_skill", prune=True, timeout_s=None)
    made.planned = PLAN
    return made


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_trial_without_a_number_has_failed_by_that_reason(value: float | None, referee: Referee) -> None:
    outcome = referee.outcome(returned(value=value, scores=[0.1, value]))
    assert (outcome.state, outcome.value) == ("failed", None)
    assert outcome.reason == "brier_skill is undefined in window 1"


@pytest.mark.parametrize(
    "changes", [{"tests": [list(test) for test in PLAN.search[1:3]]}, {"markets": ["real BTCUSDT 1m"]}]
)
def test_a_trial_of_other_windows_or_markets_is_never_ranked(changes: dict[str, Any], referee: Referee) -> None:
    """However they came to be others: nothing but the same months of the same market can be compared."""
    assert referee.outcome(returned()).state == "complete"
    outcome = referee.outcome(returned(**changes))
    assert (outcome.state, outcome.value) == ("failed", None) and "other windows or markets" in outcome.reason
