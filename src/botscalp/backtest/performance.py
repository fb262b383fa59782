"""Figures drawn from trades and equity: pure functions, fractions and quote currency, None where undefined.

`trades` are the kernel's records, `equity_quote` (T,) is marked at `close_time_ns` (T,).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from botscalp.times import DAY_NS, DAYS_PER_YEAR
from botscalp.types import Float64, Int64

if TYPE_CHECKING:
    from botscalp.backtest.records import Trades

MIN_SHARPE_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The block of figures of one backtest; money in the quote currency."""

    trades: int
    win_rate: float | None
    """share of trades with net PnL above 0"""
    break_even: float | None
    """win rate at which the mean net trade is 0, given the mean win and the mean loss"""
    targets: int
    stops: int
    timeouts: int
    ends: int
    gross_pnl: float
    """at prices before slippage"""
    net_pnl: float
    """gross - slippage - fees - funding"""
    fees: float
    slippage: float
    funding: float
    mean_net_bps: float | None
    """mean over trades of net PnL to entry notional, in 0.01 %"""
    mean_gross_bps: float | None
    roi: float
    """net PnL to capital"""
    max_drawdown: float
    """deepest fall below the running peak as a fraction of that peak, marked at closes; never above 0"""
    max_drawdown_quote: float
    """deepest fall below the running peak in money; its peak may be another"""
    sharpe: float | None
    """annualised, from equity at the end of each UTC day"""
    sharpe_undefined: str | None
    """why there is no Sharpe ratio"""
    days: int
    """UTC days that the bars touch"""


def summarize(trades: "Trades", close_time_ns: Int64, equity_quote: Float64, capital_quote: float) -> Summary:
    """All figures of one backtest."""
    from botscalp.backtest.performance_kernel import day_figures_nb, totals_nb
    from botscalp.backtest.records import TOTALS

    total = np.zeros(1, TOTALS)
    totals_nb(trades, total[0])
    total["drawdown"], total["drawdown_quote"] = max_drawdown(equity_quote, capital_quote)
    daily_returns = utc_day_returns(close_time_ns, equity_quote, capital_quote)
    total["day_mean"], total["day_deviation"], total["days_lost"] = day_figures_nb(daily_returns)
    found = figures_of(total, capital_quote, len(daily_returns))
    figures: dict[str, Any] = {name: None if np.isnan(one) else one.item() for name, (one,) in found.items()}
    return Summary(**figures, sharpe_undefined=sharpe_ratio(daily_returns)[1])


def figures_of(total: NDArray[np.void], capital_quote: Float64 | float, days: int) -> dict[str, NDArray[Any]]:
    """The figures of `Summary` for each record of TOTALS, NaN for None; the reason why there is no Sharpe ratio is left out."""
    trades, wins = total["trades"], total["wins"]
    with np.errstate(divide="ignore", invalid="ignore"):
        win, loss = total["won"] / wins, -total["lost"] / (trades - wins)
        defined = (days >= MIN_SHARPE_DAYS) & (total["days_lost"] == 0) & (total["day_deviation"] > 0)
        return {
            "trades": trades,
            "win_rate": wins / trades,
            "break_even": np.where((wins > 0) & (wins < trades), loss / (win + loss), np.nan),
            "targets": total["targets"],
            "stops": total["stops"],
            "timeouts": total["timeouts"],
            "ends": total["ends"],
            "gross_pnl": total["gross"],
            "net_pnl": total["net"],
            "fees": total["fees"],
            "slippage": total["slippage"],
            "funding": total["funding"],
            "mean_net_bps": total["net_to_notional"] / trades * 1e4,
            "mean_gross_bps": total["gross_to_notional"] / trades * 1e4,
            "roi": total["net"] / capital_quote,
            "max_drawdown": total["drawdown"],
            "max_drawdown_quote": total["drawdown_quote"],
            "sharpe": np.where(defined, _annualised(total["day_mean"], total["day_deviation"]), np.nan),
            "days": np.full(len(total), days),
        }


def max_drawdown(equity_quote: Float64, capital_quote: float) -> tuple[float, float]:
    """The deepest fall below the running peak, as a fraction of it and in money; the first peak is the capital."""
    from botscalp.backtest.performance_kernel import max_drawdown_nb

    fraction, money = max_drawdown_nb(equity_quote, float(capital_quote))
    return float(fraction), float(money)


def midnight_rows(close_time_ns: Int64) -> Int64:
    """The last row of every UTC day from the first row's to the last's, shape (days,); of a day without rows, the one before."""
    first, last = (close_time_ns[[0, -1]] - 1) // DAY_NS
    midnights_ns = np.arange(first + 1, last + 2) * DAY_NS
    return np.searchsorted(close_time_ns, midnights_ns, side="right") - 1


def utc_day_returns(close_time_ns: Int64, equity_quote: Float64, capital_quote: float) -> Float64:
    """The return of every UTC day from the first bar's to the last's, shape (days,); a day without bars returns 0.

    A close at midnight belongs to the day that it ends. The first day starts from the capital.
    """
    at_midnight = equity_quote[midnight_rows(close_time_ns)]
    before = np.empty_like(at_midnight)
    before[0], before[1:] = capital_quote, at_midnight[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        returns: Float64 = at_midnight / before - 1.0
    return returns


def utc_days_ns(close_time_ns: Int64) -> Int64:
    """When each of those days begins, shape (days,)."""
    first, last = (close_time_ns[[0, -1]] - 1) // DAY_NS
    return np.arange(first, last + 1) * DAY_NS


def utc_day_pnl(close_time_ns: Int64, equity_quote: Float64, capital_quote: float) -> Float64:
    """What each of those days adds to equity, shape (days,), quote currency."""
    pnl_quote: Float64 = np.diff(equity_quote[midnight_rows(close_time_ns)], prepend=capital_quote)
    return pnl_quote


def sharpe_ratio(daily_returns: Float64) -> tuple[float | None, str | None]:
    """Annualised Sharpe ratio at no risk-free rate, or else the reason why there is none.

    A week of anything annualises to +-14, so fewer than 30 days give no figure.
    """
    from botscalp.backtest.performance_kernel import day_figures_nb

    days = len(daily_returns)
    if days < MIN_SHARPE_DAYS:
        return None, f"n/a ({days} days < {MIN_SHARPE_DAYS})"
    mean, deviation, lost = day_figures_nb(daily_returns)
    if lost:
        return None, "n/a (the account is lost)"
    if deviation == 0.0:
        return None, "n/a (equity never moves)"
    return float(_annualised(mean, deviation)), None


def _annualised(mean: Any, deviation: Any) -> Any:
    return mean / deviation * np.sqrt(DAYS_PER_YEAR)
