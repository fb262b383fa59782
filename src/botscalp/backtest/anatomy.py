"""What stands behind the figures of a backtest: its drawdown, its days, its trades, its time in the market.

Pure functions of a result: fractions and quote currency, times as UTC text, None where undefined. Figures of days follow
`performance`: UTC days, zeros included, none of them below 30 days or once the account is lost.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.performance import (
    MIN_SHARPE_DAYS,
    max_drawdown,
    utc_day_returns,
)
from botscalp.backtest.records import TIMEOUT
from botscalp.backtest.result import Result
from botscalp.times import DAY_NS, DAYS_PER_YEAR, utc_text
from botscalp.types import Bars, Bool, Float64, Int64


@dataclass(frozen=True, kw_only=True)
class Drawdown:
    """When the account was below its peak, marked at closes. Without a drawdown only the last figure is defined."""

    start: str | None = None
    """last close at the peak that the deepest fall, as a fraction, is measured from; the first bar's open for the capital"""
    trough: str | None = None
    """close at its deepest point; `max_drawdown` of `performance` says how deep"""
    recovery: str | None = None
    """first close back at that peak; None if the data ends before"""
    length_days: float | None = None
    """from start to recovery, or to the end of the data"""
    longest_under_water_days: float = 0.0
    """longest time from a peak to the first close back at it, or to the end of the data; of any drawdown"""


@dataclass(frozen=True, kw_only=True)
class TradeFigures:
    """What a trade was like; a winner is one with net PnL above 0, a loser any other."""

    profit_factor: float | None
    """net PnL of the winners to that lost by the losers"""
    payoff_ratio: float | None
    """mean win to mean loss"""
    expectancy_quote: float | None
    """mean net PnL"""
    longest_win_streak: int
    """winners in a row, by exit time"""
    longest_loss_streak: int
    mean_bars_held: float | None
    """time from entry to exit in bars, see `positions_ns`"""
    median_bars_held: float | None
    winners_median_mae_bps: float | None
    """maximum adverse excursion from the entry price, in 0.01 % of it, see `excursions`"""
    losers_median_mae_bps: float | None
    winners_median_mfe_bps: float | None
    """maximum favourable excursion, likewise"""
    losers_median_mfe_bps: float | None


@dataclass(frozen=True, kw_only=True)
class DayFigures:
    """How the returns of UTC days are spread."""

    worst: float | None = None
    value_at_risk: float | None = None
    """their 5 % quantile, between the two days next to it; a loss is below 0"""
    expected_shortfall: float | None = None
    """mean of the worst days up to that quantile, 1 + floor((days - 1) / 20) of them"""
    tail_ratio: float | None = None
    """95 % quantile to the size of the 5 % quantile"""
    skew: float | None = None
    """third standardised moment of the sample"""
    excess_kurtosis: float | None = None
    """fourth standardised moment of the sample, less the normal distribution's 3"""
    annual_volatility: float | None = None
    """their deviation (n - 1) x sqrt(365)"""
    sortino: float | None = None
    """annualised mean to annualised downside deviation, see `sortino_ratio`"""
    calmar: float | None = None
    """compound return a year to the maximum drawdown at closes, see `calmar_ratio`"""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The figures of one backtest that its summary leaves out."""

    drawdown: Drawdown
    trades: TradeFigures
    days: DayFigures
    exposure: float
    """share of the bars in which some symbol had a position, be it for a part of the bar"""
    turnover_per_day: float
    """notional of all entries and exits to the capital, per day of 24 h between first open and last close"""


@dataclass(frozen=True, kw_only=True)
class Excursions:
    """How far the price went from each entry while the trade was open, in 0.01 % of the entry price; shapes (n_trades,)."""

    adverse_bps: Float64
    favourable_bps: Float64


def anatomy(result: Result) -> Anatomy:
    """All figures of one backtest."""
    account_ns = np.append(_start_ns(result), result.close_time_ns)
    account_quote = np.append(result.capital_quote, result.equity_quote)
    daily_returns = utc_day_returns(result.close_time_ns, result.equity_quote, result.capital_quote)
    return Anatomy(
        drawdown=drawdown(account_ns, account_quote),
        trades=trade_figures(result),
        days=day_figures(daily_returns, max_drawdown(result.equity_quote, result.capital_quote)[0]),
        exposure=exposure(result),
        turnover_per_day=turnover_per_day(result),
    )


def drawdown(time_ns: Int64, account_quote: Float64) -> Drawdown:
    """The dates of the deepest fall below the running peak, and the longest; both arguments have shape (T,)."""
    peak_quote = np.maximum.accumulate(account_quote)
    peak_rows = np.flatnonzero(account_quote == peak_quote)
    back_ns = np.append(time_ns[peak_rows[1:]], time_ns[-1])
    under_ns = np.where(np.diff(np.append(peak_rows, len(time_ns))) > 1, back_ns - time_ns[peak_rows], 0)
    longest_days = float(under_ns.max()) / DAY_NS
    if longest_days == 0.0:
        return Drawdown()
    trough = int(np.argmin(account_quote / peak_quote))
    deepest = int(np.searchsorted(peak_rows, trough)) - 1
    return Drawdown(
        start=utc_text(time_ns[peak_rows[deepest]]),
        trough=utc_text(time_ns[trough]),
        recovery=utc_text(back_ns[deepest]) if deepest + 1 < len(peak_rows) else None,
        length_days=float(under_ns[deepest]) / DAY_NS,
        longest_under_water_days=longest_days,
    )


def trade_figures(result: Result) -> TradeFigures:
    """Wins against losses, how long trades lasted, and how far the price went meanwhile."""
    pnl_quote = result.records["pnl_quote"]
    won = pnl_quote > 0.0
    wins, losses = pnl_quote[won], pnl_quote[~won]
    opened_ns, closed_ns = positions_ns(result)
    won_by_exit = won[np.lexsort((opened_ns, closed_ns))]
    bars_held = (closed_ns - opened_ns) / result.market[0].bars.interval_ns
    moved = excursions(result)
    return TradeFigures(
        profit_factor=_ratio(float(wins.sum()), -float(losses.sum())),
        payoff_ratio=_ratio(float(wins.mean()), -float(losses.mean())) if len(wins) and len(losses) else None,
        expectancy_quote=float(pnl_quote.mean()) if len(pnl_quote) else None,
        longest_win_streak=longest_streak(won_by_exit),
        longest_loss_streak=longest_streak(~won_by_exit),
        mean_bars_held=float(bars_held.mean()) if len(bars_held) else None,
        median_bars_held=_median(bars_held),
        winners_median_mae_bps=_median(moved.adverse_bps[won]),
        losers_median_mae_bps=_median(moved.adverse_bps[~won]),
        winners_median_mfe_bps=_median(moved.favourable_bps[won]),
        losers_median_mfe_bps=_median(moved.favourable_bps[~won]),
    )


def day_figures(daily_returns: Float64, max_drawdown: float) -> DayFigures:
    """Of returns of shape (days,), and the drawdown that the Calmar ratio is to."""
    if len(daily_returns) < MIN_SHARPE_DAYS or not (daily_returns > -1.0).all():
        return DayFigures()
    fourth = standardised_moment(daily_returns, 4)
    low, high = (float(quantile) for quantile in np.quantile(daily_returns, (0.05, 0.95)))
    return DayFigures(
        worst=float(daily_returns.min()),
        value_at_risk=low,
        expected_shortfall=float(np.sort(daily_returns)[: 1 + (len(daily_returns) - 1) // 20].mean()),
        tail_ratio=_ratio(high, abs(low)),
        skew=standardised_moment(daily_returns, 3),
        excess_kurtosis=None if fourth is None else fourth - 3.0,
        annual_volatility=float(daily_returns.std(ddof=1)) * math.sqrt(DAYS_PER_YEAR),
        sortino=sortino_ratio(daily_returns),
        calmar=calmar_ratio(daily_returns, max_drawdown),
    )


def standardised_moment(values: Float64, order: int) -> float | None:
    """m_k / m_2^(k/2) with central moments m of the sample, not corrected for its size."""
    if np.ptp(values) == 0.0:
        return None
    centred = values - values.mean()
    return _ratio(float((centred**order).mean()), float((centred**2).mean()) ** (order / 2))


def sortino_ratio(daily_returns: Float64) -> float | None:
    """Mean return to downside deviation sqrt(mean(min(r, 0)^2)) over all days, x sqrt(365); Sortino and Price (1994)."""
    downside = float(np.sqrt(np.mean(np.minimum(daily_returns, 0.0) ** 2)))
    return _ratio(float(daily_returns.mean()) * math.sqrt(DAYS_PER_YEAR), downside)


def calmar_ratio(daily_returns: Float64, max_drawdown: float) -> float | None:
    """Compound return a year to the size of the drawdown, a fraction; Young (1991), over the whole span instead of 36 months."""
    with np.errstate(over="ignore"):
        growth = np.prod(1.0 + daily_returns) ** (DAYS_PER_YEAR / len(daily_returns))
    return _ratio(float(growth) - 1.0, -max_drawdown)


def longest_streak(flags: Bool) -> int:
    """The most consecutive True of an array of shape (n,)."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def exposure(result: Result) -> float:
    """Share of the account's rows, the union of the symbols' bars, in which at least one position was open."""
    opened, closed = (np.searchsorted(result.close_time_ns, time_ns, "right") for time_ns in positions_ns(result))
    rows = len(result.close_time_ns)
    change = np.bincount(opened, minlength=rows + 1) - np.bincount(closed, minlength=rows + 1)
    return float(np.mean(np.cumsum(change[:rows]) > 0))


def turnover_per_day(result: Result) -> float:
    """Notional bought and sold a day, as a multiple of the capital."""
    records = result.records
    traded_quote = float((records["size_base"] * (records["entry_price"] + records["exit_price"])).sum())
    days = float(result.close_time_ns[-1] - _start_ns(result)) / DAY_NS
    return traded_quote / result.capital_quote / days


def positions_ns(result: Result) -> tuple[Int64, Int64]:
    """From when to when each position was open, in the order of the records.

    From the entry bar's open to the exit bar's close, for when in that bar it was is not known. A timeout's exit is known
    to be at the open.
    """
    opened_ns, closed_ns = np.empty((2, len(result.records)), np.int64)
    for bars, rows in _by_symbol(result):
        trades = result.records[rows]
        left_at_open = trades["reason"] == TIMEOUT
        opened_ns[rows] = bars.open_time_ns[trades["entry"]]
        closed_ns[rows] = bars.open_time_ns[trades["exit"]] + np.where(left_at_open, 0, bars.interval_ns)
    return opened_ns, closed_ns


def excursions(result: Result) -> Excursions:
    """Of each trade, in the order of the records: from its fill to the highs and lows of its bars, and to its exit price.

    The entry bar counts whole, the exit bar by the exit price alone, also where it is the entry bar: what else happened in
    it perhaps came after the exit. So both figures are what is certain, and a bar's range can add to them.
    """
    from botscalp.backtest.excursion_kernel import excursions_nb

    adverse, favourable = np.empty((2, len(result.records)))
    for bars, rows in _by_symbol(result):
        high, low = (np.ascontiguousarray(price, np.float64) for price in (bars.high, bars.low))
        here = np.empty((2, len(rows)))
        excursions_nb(high, low, result.records[rows], here[0], here[1])
        adverse[rows], favourable[rows] = here
    return Excursions(adverse_bps=adverse * 1e4, favourable_bps=favourable * 1e4)


def _by_symbol(result: Result) -> Iterator[tuple[Bars, Int64]]:
    """Each symbol's bars, and which of the records are its trades."""
    for symbol, predicted in enumerate(result.market):
        yield predicted.bars, np.flatnonzero(result.records["symbol"] == symbol)


def _start_ns(result: Result) -> int:
    """The first bar's open, when there was the capital and nothing else."""
    return int(result.close_time_ns[0]) - result.market[0].bars.interval_ns


def _ratio(part: float, whole: float) -> float | None:
    """None where the denominator is 0 or the quotient beyond what a float holds."""
    quotient = part / whole if whole else math.inf
    return quotient if math.isfinite(quotient) else None


def _median(values: Float64) -> float | None:
    return float(np.median(values)) if len(values) else None
