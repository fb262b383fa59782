"""Figures of daily returns, drawdown and the Sharpe ratio against empyrical, on random equity and on real bars.

Its definitions are ours but for two, which are asserted as relations: its tail ratio forgets the sign of the upper
quantile, and its Calmar ratio knows the drawdown of the returns that it is given, daily ones, where ours is that of all closes.
And where ours is None it says NaN or infinity.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import backtest, noise
from oracle_markets import predicted, real_bars

from botscalp.backtest import Result, anatomy, buy_and_hold, summarize
from botscalp.backtest.performance import utc_day_returns

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("empyrical") is None, reason="needs empyrical (the extra `bench`)"),
]
YEAR = {"annualization": 365}


def theirs(name: str, returns: pd.Series, **settings: Any) -> float:
    """The figure by that name; the package warns about things that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import empyrical

        figure: Callable[..., float] = getattr(empyrical, name)
        return float(figure(returns, **settings))


def daily(result: Result) -> pd.Series:
    """The returns of UTC days, by their midnights."""
    returns = utc_day_returns(result.close_time_ns, result.equity_quote, result.capital_quote)
    first = pd.Timestamp(int(result.close_time_ns[0]) - 1, tz="UTC").floor("D")
    return pd.Series(returns, pd.date_range(first, periods=len(returns)))


def of_closes(result: Result) -> pd.Series:
    """The return from each close to the next, the first one from the capital."""
    account = np.append(result.capital_quote, result.equity_quote)
    return pd.Series(account[1:] / account[:-1] - 1, pd.to_datetime(result.close_time_ns, utc=True))


def compare(result: Result) -> None:
    """Every figure that empyrical has, to 1e-9 of itself."""
    summary = summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
    days, returns = anatomy(result).days, daily(result)
    assert summary.sharpe == pytest.approx(theirs("sharpe_ratio", returns, **YEAR), rel=1e-9)
    assert summary.max_drawdown == pytest.approx(theirs("max_drawdown", of_closes(result)), rel=1e-9)
    assert days.annual_volatility == pytest.approx(theirs("annual_volatility", returns, **YEAR), rel=1e-9)
    assert days.sortino == pytest.approx(theirs("sortino_ratio", returns, **YEAR), rel=1e-9)
    assert days.value_at_risk == pytest.approx(theirs("value_at_risk", returns), rel=1e-9)
    assert days.expected_shortfall == pytest.approx(theirs("conditional_value_at_risk", returns), rel=1e-9)
    sign = np.sign(np.quantile(returns, 0.95))
    assert days.tail_ratio == pytest.approx(sign * theirs("tail_ratio", returns), rel=1e-9)
    of_days = theirs("max_drawdown", returns)
    assert summary.max_drawdown <= of_days < 0
    expected = theirs("calmar_ratio", returns, **YEAR) * of_days / summary.max_drawdown
    assert days.calmar == pytest.approx(expected, rel=1e-9)


def random_equity(seed: int, *, days: int, drift: float, idle_days: float = 0.2) -> Result:
    """An account that gains `drift` a day and moves 3 % beside, with a share of days on which nothing happens."""
    rng = np.random.default_rng(seed)
    idle = np.repeat(rng.random(days) < idle_days, 288)
    steps = rng.standard_t(4, days * 288) * 0.03 / np.sqrt(2 * 288) + drift / 288
    equity = 10_000 * np.exp(np.cumsum(np.where(idle, 0.0, steps)))
    flat = backtest(threshold=0.99).run([noise(seed=0, days=days)])
    return replace(flat, equity_quote=equity)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("days", [30, 41, 365])
@pytest.mark.parametrize("drift", [-0.05, 0.0, 0.01])
def test_same_figures_on_random_equity(seed: int, days: int, drift: float) -> None:
    compare(random_equity(seed, days=days, drift=drift))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_same_figures_on_real_bars(real_data: Path, symbol: str) -> None:
    """Three months of 2023 round an outage, traded without knowledge, and held."""
    market = predicted(real_bars(real_data, symbol, "2023-02-01", "2023-05-01"), seed=5)
    compare(backtest(threshold=0.6).run([market]))
    compare(buy_and_hold(backtest(), [market]))


def test_an_upper_quantile_below_zero() -> None:
    """The relation of the tail ratios is no idle one."""
    sinking = random_equity(0, days=30, drift=-0.2, idle_days=0.0)
    assert np.quantile(daily(sinking), 0.95) < 0 < theirs("tail_ratio", daily(sinking))
    compare(sinking)


def test_where_ours_is_none_theirs_is_no_number_or_infinite() -> None:
    still = backtest(threshold=0.99).run([noise(seed=0, days=40)])
    days, returns = anatomy(still).days, daily(still)
    assert (days.sortino, days.calmar, days.tail_ratio) == (None, None, None)
    for name, settings in {"sharpe_ratio": YEAR, "sortino_ratio": YEAR, "calmar_ratio": YEAR, "tail_ratio": {}}.items():
        assert not np.isfinite(theirs(name, returns, **settings)), name
    assert days.expected_shortfall == theirs("conditional_value_at_risk", returns) == 0.0


def test_another_account_differs() -> None:
    """The comparison can fail: the first day from a capital 1 % larger, and the drawdown of days alone."""
    result = random_equity(3, days=41, drift=-0.01)
    richer = replace(result, capital_quote=10_100.0)
    for name in ("annual_volatility", "sortino", "calmar"):
        ours = getattr(anatomy(result).days, name)
        assert ours != pytest.approx(getattr(anatomy(richer).days, name), rel=1e-9), name
    summary = summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote)
    assert summary.sharpe != pytest.approx(theirs("sharpe_ratio", daily(richer), **YEAR), rel=1e-9)
    assert summary.max_drawdown != pytest.approx(theirs("max_drawdown", daily(result)), rel=1e-9)
