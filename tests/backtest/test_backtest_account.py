"""Accounts against the independent reference: several symbols and every realism setting, alone and together."""

from collections import Counter

import numpy as np
import pytest
from account_cases import random_account, random_brackets, random_rules, reference_of
from backtest_cases import backtest, random_market, random_settings
from backtest_reference import ACCOUNT_BUGS, Reference

from botscalp.backtest import Bracket, Result

TOLERANCE = 1e-9


def difference(result: Result, reference: Reference) -> str | None:
    """The first thing in which the two disagree."""
    records, trades = result.records, reference.trades
    if len(records) != len(trades):
        return f"{len(records)} trades, not {len(trades)}"
    numbers = [one.bars.number for one in result.market]
    for mine, theirs in zip(records, trades, strict=True):
        if mine["symbol"] != theirs.symbol or mine["side"] != theirs.side:
            return f"side or symbol of {theirs}"
        for name in ("signal", "entry", "exit"):
            if numbers[theirs.symbol][mine[name]] != getattr(theirs, name):
                return f"{name} of {theirs}"
        if ("stop", "target", "timeout", "end")[mine["reason"]] != theirs.reason:
            return f"reason of {theirs}"
        for name in ("entry_price", "exit_price", "size_base", "gross_quote", "slippage_quote", "fees_quote"):
            if not abs(mine[name] - getattr(theirs, name)) <= TOLERANCE:
                return f"{name} of {theirs}: {mine[name]}"
        for name in ("funding_quote", "pnl_quote"):
            if not abs(mine[name] - getattr(theirs, name)) <= TOLERANCE:
                return f"{name} of {theirs}: {mine[name]}"
    equity = np.array(list(reference.equity.values()))
    return None if (np.abs(result.equity_quote - equity) <= TOLERANCE).all() else "equity"


def test_agrees_with_the_reference_on_4_000_random_accounts() -> None:
    rng = np.random.default_rng(20240102)
    reasons: Counter[str] = Counter()
    for case in range(4_000):
        rules, market = random_rules(rng), random_account(rng)
        by_window = random_brackets(rng, rules)
        reference = reference_of(rules, market, by_window)
        found = difference(rules.run(market, by_window), reference)
        assert found is None, f"case {case}: {found}\n{rules}\n{by_window}\n{market}"
        reasons.update(trade.reason for trade in reference.trades)
    assert min(reasons.values()) > 500, reasons


@pytest.mark.parametrize("bug", ACCOUNT_BUGS)
def test_every_planted_bug_shows(bug: str) -> None:
    rng = np.random.default_rng(8)
    caught = 0
    for _ in range(800):
        rules, market = random_rules(rng), random_account(rng)
        by_window = random_brackets(rng, rules)
        caught += difference(rules.run(market, by_window), reference_of(rules, market, by_window, bug)) is not None
        if caught == 3:
            return
    pytest.fail(f"{caught} of 800 accounts")


def test_an_account_of_plain_settings_is_the_plain_kernel_bit_for_bit() -> None:
    """The same run through the branches that only accounts have: one window for all is a reason to take them."""
    rng = np.random.default_rng(9)
    for _ in range(300):
        rules, market = random_settings(rng), random_market(rng)
        plain, account = rules.run([market]), rules.run([market], [rules.bracket] * 10)
        assert plain.records.tobytes() == account.records.tobytes()
        assert plain.equity_quote.tobytes() == account.equity_quote.tobytes()


def test_symbols_of_plain_settings_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(10)
    for _ in range(200):
        rules, market = random_settings(rng), random_account(rng)
        together = rules.run(market)
        for position, one in enumerate(market):
            alone = rules.run([one]).records.copy()
            alone["symbol"] = position
            assert alone.tobytes() == together.trades_of[position].tobytes()


def test_windows_follow_the_entry_bar() -> None:
    """The same p in two windows: the first's threshold lets it pass, the second's does not."""
    rng = np.random.default_rng(11)
    market = random_market(rng, missing=False)
    loose = Bracket(threshold=0.5, stop_atr=1.0, target_atr=1.0, max_hold=5)
    never = Bracket(threshold=0.9999999, stop_atr=1.0, target_atr=1.0, max_hold=5)
    result = backtest().run([market], [loose] + [never] * 9)
    assert len(result.records) and (market.window[result.records["entry"]] == 0).all()
