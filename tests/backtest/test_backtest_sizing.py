"""A sizing rule of one's own: it does what the same built-in rule does, and cannot look ahead."""

from typing import Any

import numpy as np
import pytest
from backtest_cases import backtest, random_market
from runs import bits

from botscalp.backtest import Result
from botscalp.backtest.sweep import sweep
from botscalp.errors import CausalityError, UserError
from botscalp.options import trust


@pytest.fixture(autouse=True)
def trusted() -> None:
    trust(["sizing_rules"])


def rule(name: str, **fields: Any) -> dict[str, Any]:
    return {"_target_": f"sizing_rules.{name}", **fields}


def assert_same(one: Result, other: Result) -> None:
    assert bits(one.records) == bits(other.records) and len(one.records) > 0
    assert bits(one.equity_quote) == bits(other.equity_quote)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("own", "built_in"),
    [
        (rule("Constant", share=0.3), {"equity_fraction": 0.3}),
        (rule("Kelly", fraction=0.9), {"kelly_fraction": 0.9}),
    ],
    ids=["constant", "kelly"],
)
def test_it_trades_as_the_built_in_rule_of_the_same_formula(own: Any, built_in: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    market = [random_market(rng)]
    others = {"max_exposure": 0.8, "threshold": 0.5, "step": 0.001, "latency_bars": int(rng.integers(0, 2))}
    with_own = backtest(sizing=own, **others).run(market)
    with_built_in = backtest(**built_in, **others).run(market)
    if len(with_built_in.records):
        assert_same(with_own, with_built_in)
    assert len(with_own.records) == len(with_built_in.records)


def test_a_bar_without_a_stake_sends_no_order() -> None:
    rng = np.random.default_rng(0)
    entries = 0
    for _ in range(10):
        market = random_market(rng)
        result = backtest(sizing=rule("Odd", share=0.5), threshold=0.5).run([market])
        signals = np.asarray(market.bars.number)[result.records["signal"]]
        assert (signals % 2 == 0).all()
        entries += len(signals)
    assert entries > 20


def test_a_sweep_keeps_the_rule() -> None:
    market = [random_market(np.random.default_rng(4))]
    grid = {"threshold": [0.5, 0.6], "max_hold": [3, 5]}
    own = sweep(market, backtest(sizing=rule("Constant", share=0.3)), grid)
    built_in = sweep(market, backtest(equity_fraction=0.3), grid)
    assert own.equals(built_in) and (own["trades"] > 0).any()


def test_a_rule_that_looks_ahead_stops_the_run_by_name() -> None:
    market = random_market(np.random.default_rng(1))
    with pytest.raises(CausalityError, match=r"backtest.sizing=Prophet"):
        backtest(sizing=rule("Prophet"), threshold=0.5).run([market])


@pytest.mark.parametrize(
    ("sizing", "words"),
    [
        ({"_target_": "os.system", "command": "x"}, r"backtest\.sizing\._target_=os\.system"),
        (rule("Constant"), r"backtest\.sizing\.share"),
        (rule("Constant", share=0.1, more=1), r"backtest\.sizing\.more=1: no such key"),
        (rule("Nobody"), r"backtest\.sizing\._target_=sizing_rules\.Nobody"),
    ],
)
def test_what_is_no_rule_is_told_at_once(sizing: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        backtest(sizing=sizing)


def test_it_is_one_of_the_sizes() -> None:
    with pytest.raises(UserError, match=r"a trade needs one size: backtest.notional=1000.0, backtest.sizing="):
        backtest(sizing=rule("Constant", share=0.1), notional=1000.0)
