"""The bracket that is chosen for a window, against one run after the other."""

from dataclasses import replace
from itertools import product

import pytest
from backtest_cases import backtest, noise

from botscalp.backtest import Backtest, Bracket, Candidates, PredictedBars
from botscalp.backtest.selection import MIN_TRADES, best_bracket

THRESHOLDS, STOPS = (0.52, 0.55, 0.6), (0.5, 1.5)


@pytest.fixture(scope="module")
def market() -> PredictedBars:
    return noise(seed=5, days=4)


def choosing(**lists: tuple[float, ...]) -> Backtest:
    none = {"threshold": None, "stop_atr": None, "target_atr": None, "max_hold": None}
    return replace(backtest(max_hold=7, target_atr=1.25), select="validation", candidates=Candidates(**none | lists))  # type: ignore[arg-type]


def test_it_is_the_one_that_earned_most(market: PredictedBars) -> None:
    rules = choosing(threshold=THRESHOLDS, stop_atr=STOPS)
    earned = {}
    for threshold, stop_atr in product(THRESHOLDS, STOPS):
        records = replace(rules, threshold=threshold, stop_atr=stop_atr).run([market]).records
        assert len(records) >= MIN_TRADES
        earned[threshold, stop_atr] = records["pnl_quote"].sum()
    threshold, stop_atr = max(earned, key=lambda pair: earned[pair])
    assert best_bracket(rules, [market]) == Bracket(threshold=threshold, stop_atr=stop_atr, target_atr=1.25, max_hold=7)


def test_one_that_hardly_trades_is_no_choice_however_little_it_loses(market: PredictedBars) -> None:
    rules = choosing(threshold=(0.9999, 0.52))
    assert len(replace(rules, threshold=0.9999).run([market]).records) < MIN_TRADES
    assert replace(rules, threshold=0.52).run([market]).records["pnl_quote"].sum() < 0
    assert best_bracket(rules, [market]).threshold == 0.52


def test_where_none_trades_enough_it_stays_as_set(market: PredictedBars) -> None:
    rules = choosing(threshold=(0.9999, 0.99999))
    assert best_bracket(rules, [market]) == rules.bracket


def test_of_equals_it_is_the_first(market: PredictedBars) -> None:
    never_reached = (1e6, 2e6)
    assert best_bracket(choosing(stop_atr=never_reached[::-1]), [market]).stop_atr == 2e6
    assert best_bracket(choosing(stop_atr=never_reached), [market]).stop_atr == 1e6
    held = choosing(max_hold=(3, 3_000))
    assert isinstance(best_bracket(held, [market]).max_hold, int)
