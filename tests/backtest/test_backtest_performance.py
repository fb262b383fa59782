"""The summary against figures worked out by hand and against pandas."""

import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from backtest_cases import FIRST, INTERVAL_NS, backtest, noise

from botscalp.backtest import Result, Summary, summarize
from botscalp.backtest.performance import max_drawdown, sharpe_ratio, utc_day_returns
from botscalp.backtest.records import END, STOP, TARGET, TIMEOUT, TRADE, Trades

DAY_NS = 86_400_000_000_000
MONDAY_NS = FIRST * INTERVAL_NS


def summary_of(result: Result) -> Summary:
    return summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)


def four_trades() -> Trades:
    """Entries of 2 units at 500, a notional of 1,000: net +10, +4, -6, -4."""
    trades = np.zeros(4, TRADE)
    trades["entry_price"], trades["size_base"] = 500.0, 2.0
    trades["gross_quote"] = [12.0, 6.0, -4.0, -2.0]
    trades["fees_quote"] = [1.0, 1.5, 1.5, 1.5]
    trades["slippage_quote"] = [1.0, 0.5, 0.25, 0.5]
    trades["funding_quote"] = [0.0, 0.0, 0.25, 0.0]
    trades["pnl_quote"] = [10.0, 4.0, -6.0, -4.0]
    trades["reason"] = [TARGET, TIMEOUT, STOP, END]
    return trades


def test_a_summary_by_hand() -> None:
    closes_ns = MONDAY_NS + np.arange(1, 5) * INTERVAL_NS
    summary = summarize(four_trades(), closes_ns, np.array([10_010.0, 10_014.0, 10_008.0, 10_004.0]), 10_000.0)
    assert asdict(summary) == {
        "trades": 4,
        "win_rate": 0.5,
        "break_even": pytest.approx(5 / 12),  # mean win 7, mean loss 5: 5 / (7 + 5)
        "targets": 1,
        "stops": 1,
        "timeouts": 1,
        "ends": 1,
        "gross_pnl": 12.0,
        "net_pnl": 4.0,
        "fees": 5.5,
        "slippage": 2.25,
        "funding": 0.25,
        "mean_net_bps": pytest.approx(10.0),  # (100 + 40 - 60 - 40) / 4
        "mean_gross_bps": pytest.approx(30.0),  # (120 + 60 - 40 - 20) / 4
        "roi": pytest.approx(0.0004),
        "max_drawdown": pytest.approx(-10 / 10_014),
        "max_drawdown_quote": -10.0,
        "sharpe": None,
        "sharpe_undefined": "n/a (1 days < 30)",
        "days": 1,
    }


def test_without_trades_what_is_undefined_is_none() -> None:
    summary = summarize(np.zeros(0, TRADE), np.arange(1, 4) * INTERVAL_NS, np.full(3, 10_000.0), 10_000.0)
    undefined = {name for name, value in asdict(summary).items() if value is None}
    assert undefined == {
        *("win_rate", "break_even", "mean_net_bps", "mean_gross_bps"),
        "sharpe",
    }
    assert not any(isinstance(value, float) and math.isnan(value) for value in asdict(summary).values())
    assert summary.max_drawdown == 0.0


@pytest.mark.parametrize("pnl", [[1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, 0.0, -4.0]])
def test_break_even_needs_wins_and_losses(pnl: list[float]) -> None:
    trades = four_trades()
    trades["pnl_quote"] = pnl
    assert summarize(trades, np.array([INTERVAL_NS]), np.array([10_000.0]), 10_000.0).break_even is None


def test_drawdown_starts_from_the_capital() -> None:
    """Below the capital from the first close: 90 of 100. Later 110 -> 99.5 is more money and a smaller fraction."""
    assert max_drawdown(np.array([90.0, 95.0, 110.0, 99.5]), 100.0) == pytest.approx((-0.1, -10.5))
    assert max_drawdown(np.array([101.0, 102.0]), 100.0) == (0.0, 0.0)


def test_days_end_at_midnight_and_days_without_bars_return_zero() -> None:
    """Closes at 23:55 and 00:00 of Monday, 12:00 of Tuesday, none on Wednesday, 00:05 on Thursday."""
    closes_ns = MONDAY_NS + np.array([DAY_NS - INTERVAL_NS, DAY_NS, int(1.5 * DAY_NS), 3 * DAY_NS + INTERVAL_NS])
    returns = utc_day_returns(closes_ns, np.array([90.0, 110.0, 99.0, 198.0]), 100.0)
    assert returns == pytest.approx([0.1, -0.1, 0.0, 1.0])


def test_sharpe_by_hand() -> None:
    """30 days of +2 % and -1 % in turn: mean 0.005, deviation 0.015 x sqrt(30 / 29)."""
    sharpe, undefined = sharpe_ratio(np.tile([0.02, -0.01], 15))
    expected = 0.005 / (0.015 * math.sqrt(30 / 29)) * math.sqrt(365)
    assert undefined is None
    assert sharpe == pytest.approx(expected)


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.full(29, 0.01), "n/a (29 days < 30)"),
        (np.zeros(40), "n/a (equity never moves)"),
        (np.r_[np.zeros(39), -1.2], "n/a (the account is lost)"),
    ],
)
def test_no_sharpe_without_its_reason(returns: np.ndarray, reason: str) -> None:
    assert sharpe_ratio(returns) == (None, reason)


def test_the_summary_agrees_with_pandas() -> None:
    rules, market = backtest(threshold=0.57), noise(seed=11, days=60)
    result = rules.run([market])
    summary, trades = summary_of(result), result.trades
    equity = result.equity.equity_quote
    daily = equity.groupby((result.equity.close_time - pd.Timedelta(1, "ns")).dt.floor("1D")).last()
    returns = daily / daily.shift(fill_value=10_000.0) - 1
    peak = equity.cummax().clip(lower=10_000.0)
    losses = trades.pnl_quote[trades.pnl_quote <= 0]
    wins = trades.pnl_quote[trades.pnl_quote > 0]
    assert summary.trades == len(trades) > 1_000
    assert summary.days == len(returns) == 60
    reasons = trades.reason.value_counts()
    counts = {"target": summary.targets, "stop": summary.stops, "timeout": summary.timeouts, "end": summary.ends}
    assert reasons.to_dict() == {reason: count for reason, count in counts.items() if count}
    assert summary.win_rate == pytest.approx(len(wins) / len(trades))
    assert summary.break_even == pytest.approx(-losses.mean() / (wins.mean() - losses.mean()))
    assert summary.net_pnl == pytest.approx(equity.iloc[-1] - 10_000.0)
    assert summary.roi == pytest.approx(equity.iloc[-1] / 10_000.0 - 1)
    assert summary.mean_net_bps == pytest.approx((trades.pnl_quote / 1000).mean() * 1e4)
    assert summary.max_drawdown == pytest.approx((equity / peak - 1).min())
    assert summary.max_drawdown_quote == pytest.approx((equity - peak).min())
    assert summary.sharpe == pytest.approx(returns.mean() / returns.std() * math.sqrt(365))


def test_a_week_of_noise_has_no_sharpe() -> None:
    """The trap: per-trade returns of a lucky week, annualised with the bars of a year, show 20 and more."""
    rules = backtest(taker_bps=0.0, maker_bps=0.0, slippage_bps=0.0)
    trapped = []
    for seed in range(20):
        result = rules.run([noise(seed=seed, days=7)])
        summary = summary_of(result)
        assert (summary.sharpe, summary.sharpe_undefined) == (None, "n/a (7 days < 30)")
        per_trade = result.trades.pnl_quote
        trapped.append(abs(per_trade.mean() / per_trade.std() * math.sqrt(365 * 288)))
    assert max(trapped) > 20
