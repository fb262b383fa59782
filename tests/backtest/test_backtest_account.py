"""Accounts against the independent reference: several symbols and every realism setting, alone and together."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from account_cases import random_account, random_brackets, random_rules
from against_reference import difference, reference_of
from backtest_cases import backtest, random_market, random_settings
from reference_records import ACCOUNT_BUGS

from botscalp.backtest import Bracket, PredictedBars


@pytest.mark.parametrize("accounts", [400, pytest.param(4_000, marks=pytest.mark.slow)])
def test_agrees_with_the_reference_on_random_accounts(accounts: int) -> None:
    rng = np.random.default_rng(20240102)
    reasons: Counter[str] = Counter()
    for case in range(accounts):
        rules, market = random_rules(rng), random_account(rng)
        by_window = random_brackets(rng, rules)
        reference = reference_of(rules, market, by_window)
        found = difference(rules.run(market, by_window), reference)
        assert found is None, f"case {case}: {found}\n{rules}\n{by_window}\n{market}"
        reasons.update(trade.reason for trade in reference.trades)
    assert min(reasons.values()) > accounts / 8, reasons


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


def test_later_bars_of_any_symbol_never_change_the_past() -> None:
    """All symbols cut at one time: what had ended before the first of them ends is the same to the last bit, as is equity.

    (A symbol's last bar closes its position, so from there on the account may differ.)
    """
    rng = np.random.default_rng(12)
    compared = 0
    for _ in range(300):
        rules, market = random_rules(rng), random_account(rng)
        first = min(int(one.bars.open_time_ns[0]) for one in market)
        cut_ns = first + int(rng.integers(10, 60)) * market[0].bars.interval_ns
        if any(one.bars.open_time_ns[0] >= cut_ns for one in market):
            continue
        whole, part = rules.run(market), rules.run([cut(one, cut_ns) for one in market])
        end_ns = min(int(one.bars.open_time_ns[one.bars.open_time_ns < cut_ns][-1]) for one in market)
        end = pd.Timestamp(end_ns, tz="UTC")
        before, after = (table[table.exit_time < end].reset_index(drop=True) for table in (part.trades, whole.trades))
        pd.testing.assert_frame_equal(before, after, check_exact=True)
        n = int((part.close_time_ns <= end_ns).sum())
        assert (whole.equity_quote[:n] == part.equity_quote[:n]).all()
        compared += len(before)
    assert compared > 500


def cut(predicted: PredictedBars, cut_ns: int) -> PredictedBars:
    n = int((predicted.bars.open_time_ns < cut_ns).sum())
    rows = {name: getattr(predicted, name)[:n] for name in ("p", "atr", "window")}
    return replace(predicted, bars=predicted.bars[:n], **rows)


def test_the_account_s_books_balance() -> None:
    """Capital and the PnL of all trades is the last equity; gross less all costs is each trade's PnL."""
    rng = np.random.default_rng(13)
    for _ in range(300):
        rules, market = random_rules(rng), random_account(rng)
        result = rules.run(market)
        records = result.records
        costs = records["slippage_quote"] + records["fees_quote"] + records["funding_quote"]
        assert np.allclose(records["gross_quote"] - costs, records["pnl_quote"], rtol=0, atol=1e-9)
        assert abs(rules.capital + records["pnl_quote"].sum() - result.equity_quote[-1]) < 1e-8


def test_fills_lie_in_their_bar_widened_by_costs_and_never_before_the_next_open() -> None:
    rng = np.random.default_rng(14)
    for _ in range(300):
        rules, market = random_rules(rng), random_account(rng)
        for trade in rules.run(market).records:
            bars = market[trade["symbol"]].bars
            for row, price in ((trade["entry"], trade["entry_price"]), (trade["exit"], trade["exit_price"])):
                wide = bars.high[row] * ((rules.slippage_bps or 0) + rules.spread_bps) / 1e4
                wide += ((rules.slippage_ticks or 0) + rules.round_prices + rules.through_ticks) * (rules.tick or 0)
                assert bars.low[row] - wide - 1e-9 <= price <= bars.high[row] + wide + 1e-9
            late = bars.number[trade["entry"]] - bars.number[trade["signal"]]
            assert late == 1 + rules.latency_bars
            if rules.tick and rules.round_prices:
                ticks = np.array([trade["entry_price"], trade["exit_price"]]) / rules.tick
                assert np.allclose(ticks, np.round(ticks), rtol=0, atol=1e-6)


def test_exposure_never_exceeds_its_limit() -> None:
    """At every signal, the entry notionals of all that is open or ordered, this order included, against equity."""
    rng = np.random.default_rng(15)
    binding = 0
    for _ in range(400):
        rules, market = random_rules(rng), random_account(rng)
        if rules.max_exposure is None:
            continue
        result = rules.run(market)
        trades, equity = result.trades, result.equity.set_index("close_time").equity_quote
        bar = pd.Timedelta(market[0].bars.interval_ns, "ns")
        notional = trades.size_base * trades.entry_price
        for i, signal in enumerate(trades.signal_time):
            here = (trades.signal_time <= signal) & (trades.exit_time > signal) & (trades.index <= i)
            limit = rules.max_exposure * equity[signal + bar]
            assert notional[here].sum() <= limit * (1 + 1e-9)
            binding += notional[here].sum() > limit * 0.9
    assert binding > 50


@pytest.mark.slow
def test_no_index_leaves_its_array(tmp_path: Path) -> None:
    """The kernels compiled anew with numba's bounds checks, over accounts, plain markets, single bars and grids."""
    script = """
import numpy as np
from dataclasses import replace
from account_cases import random_account, random_brackets, random_rules
from backtest_cases import backtest, noise, random_market, random_settings
from botscalp.backtest import summarize, sweep
rng = np.random.default_rng(16)
for _ in range(300):
    rules, market = random_rules(rng), random_account(rng)
    rules.run(market, random_brackets(rng, rules))
    rules, plain = random_settings(rng), random_market(rng)
    result = rules.run([plain])
    summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
    one = replace(plain, bars=plain.bars[:1], p=plain.p[:1], atr=plain.atr[:1], window=plain.window[:1])
    assert len(rules.run([one]).records) == 0
for _ in range(5):
    sweep(random_account(rng), random_rules(rng), {"threshold": [0.5, 0.6], "cooldown_bars": [0, 3]})
    sweep([random_market(rng)], random_settings(rng), {"threshold": [0.5, 0.6], "max_hold": [1, 300], "stop_atr": [0.2, 9.0]})
sweep([noise(seed=0, days=40)], backtest(), {"threshold": [0.5, 0.6], "target_atr": [0.5, 40.0], "max_hold": [10, 400]})
"""
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
