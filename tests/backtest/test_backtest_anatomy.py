"""The anatomy of a backtest against figures worked out by hand, and against pandas."""

import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from backtest_cases import FIRST, INTERVAL_NS, backtest, noise, predicted_bars

from botscalp.backtest import PredictedBars, Result, anatomy, buy_and_hold, excursions
from botscalp.backtest.anatomy import DayFigures, Drawdown, TradeFigures, drawdown, longest_streak
from botscalp.backtest.performance import utc_day_returns

DAY_NS = 86_400_000_000_000
MONDAY_NS = FIRST * INTERVAL_NS
FREE = {"taker_bps": 0.0, "maker_bps": 0.0, "slippage_bps": 0.0, "contract": 1.0}


def four_trades() -> Result:
    """Free of costs, 1 unit each: +3 at a target, +1 at a timeout, -2 at a stop in the entry bar, +0.2 at the end."""
    rows = [
        (100.0, 100.0, 100.0, 100.0),  # long at the next open
        (100.0, 101.0, 99.0, 100.5),
        (100.5, 104.0, 98.5, 103.0),  # target 103, stop 98; short at the next open
        (103.0, 103.5, 102.0, 103.0),
        (103.0, 104.0, 102.5, 103.5),
        (103.5, 104.5, 101.5, 102.0),
        (102.0, 110.0, 90.0, 102.0),  # out at its open; long at the next one
        (102.0, 102.2, 99.0, 101.0),  # stop 100; long at the next open
        (101.0, 101.5, 100.5, 101.2),
    ]
    p = [0.9, 0.5, 0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.5]
    rules = backtest(threshold=0.6, stop_atr=2.0, target_atr=3.0, max_hold=3, **FREE)
    return rules.run([predicted_bars(rows, p, 1.0)])


def two_symbols() -> Result:
    """Sixty days of two symbols on one account; the second has holes and begins a day later."""
    first, second = noise(seed=11, days=60), noise(seed=12, days=60)
    kept = np.flatnonzero(np.random.default_rng(0).random(len(second.bars)) > 0.02)
    kept = kept[kept >= 288]
    bars = replace(second.bars, symbol="ETHUSDT", **{name: column[kept] for name, column in second.bars.columns()})
    second = PredictedBars(bars=bars, p=second.p[kept], atr=second.atr[kept], window=second.window[kept])
    return backtest(threshold=0.6).run([first, second])


def bars_of(result: Result, symbol: str) -> pd.DataFrame:
    (bars,) = [one.bars for one in result.market if one.bars.symbol == symbol]
    index = pd.to_datetime(bars.open_time_ns, utc=True)
    return pd.DataFrame({"high": bars.high, "low": bars.low}, index)


# By hand


def test_trades_by_hand() -> None:
    assert asdict(anatomy(four_trades()).trades) == pytest.approx(
        {
            "profit_factor": 4.2 / 2,
            "payoff_ratio": 1.4 / 2,
            "expectancy_quote": 0.55,
            "longest_win_streak": 2,
            "longest_loss_streak": 1,
            "mean_bars_held": (2 + 3 + 1 + 1) / 4,
            "median_bars_held": 1.5,
            "winners_median_mae_bps": 1e4 * 1 / 100,  # of 100, 1.5 / 103 and 0
            "losers_median_mae_bps": 1e4 * 2 / 102,
            "winners_median_mfe_bps": 1e4 * 1.5 / 103,  # of 300, 1.5 / 103 and 0.2 / 101
            "losers_median_mfe_bps": 0.0,
        }
    )


def test_excursions_by_hand() -> None:
    """Neither 104 and 98.5 of the target's bar count nor 110 and 90 of the timeout's, nor 99 of the stop's."""
    moved = excursions(four_trades())
    assert moved.adverse_bps == pytest.approx([100.0, 1e4 * 1.5 / 103, 1e4 * 2 / 102, 0.0])
    assert moved.favourable_bps == pytest.approx([300.0, 1e4 * 1.5 / 103, 0.0, 1e4 * 0.2 / 101])


def test_excursions_start_from_the_fill() -> None:
    """Filled at 101 after slippage, the entry bar's own low of 99 is 2 away, its high of 101 nothing."""
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 101.0, 99.0, 100.0), (100.0, 100.0, 100.0, 100.0)]
    rules = backtest(**FREE | {"slippage_ticks": 1.0, "tick": 1.0, "slippage_bps": None}, max_hold=1, stop_atr=9.0)
    moved = excursions(rules.run([predicted_bars(rows, [0.9, 0.5, 0.5], 1.0)]))
    assert moved.adverse_bps == pytest.approx([1e4 * 2 / 101])
    assert moved.favourable_bps == pytest.approx([0.0])


def test_time_in_the_market_and_turnover_by_hand() -> None:
    """All bars but the first and the timeout's, which was left at its open."""
    found = anatomy(four_trades())
    assert found.exposure == 7 / 9
    traded = 100 + 103 + 103 + 102 + 102 + 100 + 101 + 101.2
    assert found.turnover_per_day == pytest.approx(traded / 10_000 / (9 * 5 / (24 * 60)))


def test_a_drawdown_by_hand() -> None:
    """The account at closes: 0, 0.5, 3, 3, 2.5, 4, 4, 2, 2.2 above the capital."""
    found = anatomy(four_trades()).drawdown
    assert found == Drawdown(
        start="2024-01-01T00:35:00Z",
        trough="2024-01-01T00:40:00Z",
        recovery=None,
        length_days=pytest.approx(2 / 288),
        longest_under_water_days=pytest.approx(2 / 288),
    )


def test_the_deepest_drawdown_is_not_the_longest_nor_the_dearest() -> None:
    """Below 100 by 10 %, then below 1,000 by 5 % for longer; the deepest starts at the last close at its peak."""
    account = np.array([100.0, 100.0, 90.0, 95.0, 100.0, 1000.0, 950.0, 960.0, 970.0, 999.0])
    found = drawdown(MONDAY_NS + np.arange(10) * DAY_NS, account)
    assert found == Drawdown(
        start="2024-01-02T00:00:00Z",
        trough="2024-01-03T00:00:00Z",
        recovery="2024-01-05T00:00:00Z",
        length_days=3.0,
        longest_under_water_days=4.0,
    )


def test_a_drawdown_from_the_capital_starts_at_the_first_open() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 99.0, 99.0)]
    result = backtest(**FREE).run([predicted_bars(rows, [0.9, 0.5], 10.0)])
    assert anatomy(result).drawdown.start == "2024-01-01T00:05:00Z"  # flat at the first close
    dear = replace(result, equity_quote=result.equity_quote - 1.0)
    assert anatomy(dear).drawdown.start == "2024-01-01T00:00:00Z"


def test_an_account_that_only_rises_has_no_drawdown() -> None:
    assert drawdown(np.arange(3) * DAY_NS, np.array([100.0, 100.0, 101.0])) == Drawdown(longest_under_water_days=0.0)


@pytest.mark.parametrize(("flags", "longest"), [("", 0), ("000", 0), ("1", 1), ("0110111", 3), ("1111011", 4)])
def test_streaks_by_hand(flags: str, longest: int) -> None:
    assert longest_streak(np.array([flag == "1" for flag in flags], bool)) == longest


def test_streaks_go_by_exit_time_whatever_the_symbol() -> None:
    """By entry win, win, loss; but the first is held until after the loss."""
    rows = np.array([(100.0, 100.0, 100.0, 100.0)] * 8)
    slow, fast = rows.copy(), rows.copy()
    slow[6] = 101.0  # in at 1, out at its due bar: the open of 6
    fast[2, 1], fast[4, 2] = 103.0, 97.0  # in at 2 and out at the target, in at 3 and out at the stop of 4
    rules = backtest(threshold=0.6, stop_atr=1.0, target_atr=1.0, max_hold=5, **FREE)
    p_slow, p_fast = [0.9] + [0.5] * 7, [0.5, 0.9, 0.9] + [0.5] * 5
    result = rules.run([predicted_bars(slow, p_slow, 9.0, symbol="A"), predicted_bars(fast, p_fast, 2.0, symbol="B")])
    assert (result.trades.pnl_quote > 0).tolist() == [True, True, False]
    found = anatomy(result).trades
    assert (found.longest_win_streak, found.longest_loss_streak) == (1, 1)


# What is undefined is None


def test_without_trades() -> None:
    result = backtest(threshold=0.99).run([noise(seed=1, days=3)])
    found = anatomy(result)
    assert found.trades == TradeFigures(
        **dict.fromkeys(TradeFigures.__dataclass_fields__) | {"longest_win_streak": 0, "longest_loss_streak": 0}
    )
    assert (found.drawdown, found.days) == (Drawdown(), DayFigures())
    assert found.exposure == found.turnover_per_day == 0.0
    assert excursions(result).adverse_bps.shape == (0,)


@pytest.mark.parametrize("side", [1, -1])
def test_wins_alone_or_losses_alone(side: int) -> None:
    """Long a market that does nothing but rise, or short it."""
    close = 100.0 + np.arange(10)
    rows = np.stack([close - 1, close, close - 1, close], axis=1)
    result = backtest(**FREE, max_hold=1).run([predicted_bars(rows, 0.5 + 0.4 * side * np.ones(10), 9.0)])
    found = anatomy(result).trades
    assert len(result.records) > 3
    assert found.profit_factor == (None if side == 1 else 0.0)
    assert found.payoff_ratio is None
    assert (found.longest_win_streak, found.longest_loss_streak) == (len(result.records), 0)[::side]
    assert (found.winners_median_mae_bps is None, found.losers_median_mae_bps is None) == (side == -1, side == 1)


# Against slow and independent computations


def test_trades_agree_with_pandas() -> None:
    result = two_symbols()
    found, trades = anatomy(result), result.trades
    assert trades.symbol.nunique() == 2 and len(trades) > 1_000
    won = trades.pnl_quote > 0
    wins, losses = trades.pnl_quote[won], -trades.pnl_quote[~won]
    assert found.trades.profit_factor == pytest.approx(wins.sum() / losses.sum())
    assert found.trades.payoff_ratio == pytest.approx(wins.mean() / losses.mean())
    assert found.trades.expectancy_quote == pytest.approx(trades.pnl_quote.mean())
    bar = pd.Timedelta(INTERVAL_NS, "ns")
    left = trades.exit_time.where(trades.reason == "timeout", trades.exit_time + bar)
    held = (left - trades.entry_time) / bar
    assert found.trades.mean_bars_held == pytest.approx(held.mean())
    assert found.trades.median_bars_held == held.median()
    by_exit = won.to_numpy()[np.lexsort((trades.symbol, trades.entry_time, left))]
    runs = pd.Series(by_exit).groupby(np.cumsum(np.diff(by_exit, prepend=by_exit[0]))).agg(["first", "size"])
    assert found.trades.longest_win_streak == runs["size"][runs["first"]].max()
    assert found.trades.longest_loss_streak == runs["size"][~runs["first"]].max()
    notional = trades.size_base * (trades.entry_price + trades.exit_price)
    assert found.turnover_per_day == pytest.approx(notional.sum() / 10_000 / 60)
    assert 0 < found.turnover_per_day < 20


def test_excursions_agree_with_pandas() -> None:
    result = two_symbols()
    moved = excursions(result)
    for position, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        bars, rows = bars_of(result, symbol), result.trades[result.trades.symbol == symbol]
        adverse, favourable = [], []
        for trade in rows.itertuples():
            inside = bars[(bars.index >= trade.entry_time) & (bars.index < trade.exit_time)]
            prices = pd.concat([inside.high, inside.low, pd.Series([trade.exit_price])])
            moves = trade.side * (prices / trade.entry_price - 1) * 1e4
            adverse.append(max(-moves.min(), 0))
            favourable.append(max(moves.max(), 0))
        here = result.records["symbol"] == position
        assert moved.adverse_bps[here] == pytest.approx(adverse, abs=1e-9)
        assert moved.favourable_bps[here] == pytest.approx(favourable, abs=1e-9)
    found, won = anatomy(result).trades, result.records["pnl_quote"] > 0
    assert found.winners_median_mae_bps == np.median(moved.adverse_bps[won])
    assert found.losers_median_mae_bps == np.median(moved.adverse_bps[~won])
    assert found.winners_median_mfe_bps == np.median(moved.favourable_bps[won])
    assert found.losers_median_mfe_bps == np.median(moved.favourable_bps[~won])


def test_exposure_agrees_with_a_loop_over_trades() -> None:
    result = two_symbols()
    opens = result.equity.close_time - pd.Timedelta(INTERVAL_NS, "ns")
    busy = np.zeros(len(opens), bool)
    for trade in result.trades.itertuples():
        before_exit = opens < trade.exit_time if trade.reason == "timeout" else opens <= trade.exit_time
        busy |= ((opens >= trade.entry_time) & before_exit).to_numpy()
    assert anatomy(result).exposure == pytest.approx(busy.mean())
    assert 0.3 < busy.mean() < 1


def test_days_agree_with_pandas() -> None:
    result = two_symbols()
    found = anatomy(result).days
    equity = result.equity.set_index("close_time").equity_quote
    equity.index -= pd.Timedelta(1, "ns")
    daily = equity.resample("1D").last()
    returns = daily / daily.shift(fill_value=10_000.0) - 1
    n = len(returns)
    assert n == 60
    assert found.worst == pytest.approx(returns.min())
    assert found.value_at_risk == pytest.approx(returns.quantile(0.05))
    assert found.expected_shortfall == pytest.approx(returns[returns <= returns.quantile(0.05)].mean())
    assert found.tail_ratio == pytest.approx(returns.quantile(0.95) / abs(returns.quantile(0.05)))
    # pandas corrects both moments for the size of the sample.
    assert found.skew == pytest.approx(returns.skew() * (n - 2) / math.sqrt(n * (n - 1)))
    corrected = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * found.excess_kurtosis + 6)
    assert corrected == pytest.approx(returns.kurt())
    assert found.annual_volatility == pytest.approx(returns.std() * math.sqrt(365))
    downside = math.sqrt((returns.clip(upper=0) ** 2).mean())
    assert found.sortino == pytest.approx(returns.mean() / downside * math.sqrt(365))
    deepest = (equity / equity.cummax().clip(lower=10_000.0) - 1).min()
    assert found.calmar == pytest.approx(((equity.iloc[-1] / 10_000) ** (365 / n) - 1) / -deepest)


def test_buying_and_holding_is_in_the_market_all_the_time_it_can_be() -> None:
    market = noise(seed=3, days=40)
    result = buy_and_hold(backtest(), [market])
    found = anatomy(result)
    assert found.exposure == 1 - 1 / len(market.bars)
    assert found.trades.mean_bars_held == len(market.bars) - 1
    worst = utc_day_returns(result.close_time_ns, result.equity_quote, result.capital_quote).min()
    assert found.days.worst == worst
