"""A trade per realism setting, worked out by hand; the settings are those of test_backtest_golden.py.

Threshold 0.6; ATR 2, so the stop lies 3 from the fill and the target 5; max_hold 3; slippage one tick of 0.1; 2 base units
a trade; taker 5 bps, maker 2 bps; capital 10,000. A long at an open of 100 fills at 100.1, its stop is 97.1, its target 105.1.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backtest_cases import FIRST, INTERVAL_NS, backtest, predicted_bars
from test_backtest_golden import DOWN, NONE, QUIET, SETTINGS, UP, bars_of, only_trade, run

from botscalp.backtest import Bracket, Funding, PredictedBars, Result
from botscalp.types import Bars

FREE: dict[str, Any] = {"slippage_ticks": 0.0, "taker_bps": 0.0, "maker_bps": 0.0}


def run_market(*market: PredictedBars, **changed: Any) -> Result:
    return backtest(**SETTINGS | changed).run(market)


def test_an_order_two_bars_late_enters_at_the_third_open() -> None:
    """Signal at bar 0, entry at the open of 3. DOWN at 1 comes while the order is under way; UP at 2 too."""
    rows = [QUIET, QUIET, QUIET, (101, 102, 100, 101), (101, 107, 100, 106)]
    trade = only_trade(run(rows, [UP, DOWN, UP, NONE, NONE], latency_bars=2))
    assert bars_of(trade) == (0, 3, 4)
    assert trade.entry_price == pytest.approx(101.1)
    assert (trade.reason, trade.exit_price) == ("target", pytest.approx(106.1))  # no latency at the exit


def test_a_late_order_is_void_where_its_bar_is_missing() -> None:
    """Due at bar 2, which is missing, though 1 and 3 are there. The close of 3 is the next that may signal: in at 5."""
    trade = only_trade(run([QUIET] * 5, [UP, DOWN, DOWN, NONE, NONE], numbers=[0, 1, 3, 4, 5], latency_bars=1))
    assert (bars_of(trade), trade.side) == ((3, 5, 5), -1)


def test_a_spread_is_crossed_twice_and_stops_and_targets_see_its_near_side() -> None:
    """200 bps: ask = mid x 1.01, bid = mid x 0.99. In at 101, stop 98, target 106, no slippage.

    The bid is at the target when the mid is at 106 / 0.99 = 107.07: a high of 107 is not enough, one of 107.1 is.
    """
    rows = [QUIET, (100, 107, 99.5, 106), (106, 107.1, 105, 106)]
    trade = only_trade(run(rows, [UP, NONE, NONE], spread_bps=200.0, **FREE))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.reason, trade.entry_price, trade.exit_price) == ("target", 101.0, pytest.approx(106.0))
    assert trade.gross_quote == pytest.approx(2 * (106 / 0.99 - 100))  # from mid to mid
    assert trade.slippage_quote == pytest.approx(2 * (1 + 106 / 0.99 - 106))  # half the spread at either end
    assert trade.pnl_quote == pytest.approx(10.0)  # 2 x (106 - 101)


def test_the_bid_touches_a_long_s_stop_before_the_mid_does() -> None:
    """Stop 98: the mid is at 98 / 0.99 = 98.99 then, so a low of 98.9 is enough."""
    trade = only_trade(run([QUIET, (100, 101, 98.9, 100), QUIET], [UP, NONE, NONE], spread_bps=200.0, **FREE))
    assert (bars_of(trade), trade.reason) == ((0, 1, 1), "stop")
    assert trade.exit_price == pytest.approx(98.0)


def test_a_spread_past_the_stop_leaves_at_once() -> None:
    """In at the ask of 103; the stop at 100 is above the bid of 97: out at that bid, whatever the bar does."""
    trade = only_trade(run([QUIET, (100, 120, 99, 119), QUIET], [UP, NONE, NONE], spread_bps=600.0, **FREE))
    assert (trade.entry_price, trade.exit_price, trade.reason) == (103.0, pytest.approx(97.0), "stop")
    assert trade.pnl_quote == pytest.approx(-12.0)  # 2 x (97 - 103): the spread and nothing else


def funding_at(*bars: float, rate: float = 0.01) -> Funding:
    return Funding(((FIRST + np.array(bars)) * INTERVAL_NS).astype(np.int64), np.full(len(bars), rate))


def test_funding_is_paid_by_who_holds_at_the_close_before() -> None:
    """In at the open of 1, out by time at the open of 4. Funding of 1 % at bars 1 (just entered: nothing), 3 and 4
    (held at the close of 3: pays, though it leaves at that open) and 5 (flat).
    """
    rows = [QUIET, QUIET, QUIET, (101, 102, 100, 101), (102, 103, 101, 102), QUIET]
    market = replace(predicted_bars(rows, [UP] + [NONE] * 5, 2.0), funding=funding_at(1, 3, 4, 5))
    result = run_market(market, **FREE)
    trade = only_trade(result)
    assert (bars_of(trade), trade.reason) == ((0, 1, 4), "timeout")
    assert trade.funding_quote == pytest.approx(2 * 1.01 + 2 * 1.02)  # 2 x 101 x 1 %, 2 x 102 x 1 %
    assert trade.pnl_quote == pytest.approx(4 - 4.06)
    assert result.equity_quote == pytest.approx([10_000, 10_000, 10_000, 9_999.98, 9_999.94, 9_999.94])


def test_shorts_are_paid_by_funding_and_a_gap_delays_it() -> None:
    """The rate of bar 3, which is missing, falls due at the open of 4."""
    rows = [QUIET, QUIET, QUIET, (101, 102, 100, 101), QUIET]
    market = predicted_bars(rows, [DOWN] + [NONE] * 4, 2.0, numbers=[0, 1, 2, 4, 5])
    trade = only_trade(run_market(replace(market, funding=funding_at(3)), max_hold=20, **FREE))
    assert trade.funding_quote == pytest.approx(-2 * 1.01)


def test_levels_round_away_and_fills_against_us() -> None:
    """Tick 0.5: bought at 100 + 0.1 % = 100.1, so 100.5. Stop 97.5 lies on the grid; ATR 1.9 makes it 97.65, so 97.5, and the
    target 105.25, so 105.5. Sold at the stop: 97.5 - 0.1 % = 97.4, so 97.
    """
    changed = {"slippage_ticks": None, "slippage_bps": 10.0, "tick": 0.5, "round_prices": True}
    rows = [QUIET, (100, 105.4, 99, 100), (100, 101, 97.6, 100), (100, 101, 97.5, 100)]
    trade = only_trade(run(rows, [UP, NONE, NONE, NONE], atr=1.9, **changed))
    assert bars_of(trade) == (0, 1, 3)
    assert (trade.entry_price, trade.exit_price, trade.reason) == (100.5, 97.0, "stop")


def test_a_tick_of_a_tenth_gives_the_price_that_a_file_holds() -> None:
    """Target 100.1 + 2.5 x 0.08 = 100.3, and 100.3 as a number is touched by a high of 100.3 as a number."""
    trade = only_trade(run([QUIET, (100, 100.3, 99.95, 100), QUIET], [UP, NONE, NONE], atr=0.08, round_prices=True))
    assert (trade.reason, trade.exit_price) == ("target", 100.3)


def test_sizes_round_down_to_the_step_and_small_orders_are_not_sent() -> None:
    """1,000 / 100.1 = 9.99 units, in steps of 0.4: 9.6, worth 960.96."""
    rows, p = [QUIET] * 3, [UP, NONE, NONE]
    changed = {"contract": None, "notional": 1000.0, "step": 0.4}
    assert only_trade(run(rows, p, min_notional=960.0, **changed)).size_base == pytest.approx(9.6)
    assert run(rows, p, min_notional=961.0, **changed).trades.empty


def test_an_order_that_is_not_sent_leaves_the_next_close_free() -> None:
    """At an open of 100 the 2 units are worth 200.2, too little; p of bar 1 enters at 2, at 105, where they are worth 210.2."""
    rows = [QUIET, QUIET, (105, 106, 104, 105)]
    assert bars_of(only_trade(run(rows, [UP, UP, NONE], min_notional=205.0))) == (1, 2, 2)


@pytest.mark.parametrize(
    ("size", "notional"),
    [
        ({"equity_fraction": 0.5}, 5_000.0),
        ({"volatility_target": 0.01}, 0.01 * 10_000 * 100.1 / 2),  # a move by the ATR of 2 is worth 100
        ({"kelly_fraction": 0.25, "max_exposure": 1.0}, 0.25 * 0.4 * 10_000),  # 2 x 0.7 - 1 = 0.4
        ({"kelly_fraction": 0.25, "max_exposure": 0.05}, 500.0),
        ({"notional": 1000.0, "max_exposure": 0.05}, 500.0),
        ({"contract": 2.0, "max_exposure": 0.01}, 100.0),
    ],
)
def test_sizes(size: dict[str, float], notional: float) -> None:
    trade = only_trade(run([QUIET] * 3, [UP, NONE, NONE], **{"contract": None} | size))
    assert trade.size_base * trade.entry_price == pytest.approx(notional)


def test_kelly_stakes_the_probability_of_the_side_taken() -> None:
    trade = only_trade(run([QUIET] * 3, [DOWN, NONE, NONE], contract=None, kelly_fraction=1.0, max_exposure=1.0))
    assert trade.size_base * trade.entry_price == pytest.approx(0.4 * 10_000)


def test_equity_counts_what_the_other_symbol_s_open_position_stands_at() -> None:
    """The first is 2 units long from 100 and stands at 150 when the second signals: equity 10,100, of which a tenth."""
    first = predicted_bars([QUIET, (100, 101, 99, 100), (150, 151, 149, 150), QUIET], [UP] + [NONE] * 3, 60.0)
    second = predicted_bars([QUIET] * 4, [NONE, NONE, UP, NONE], 60.0, symbol="ETHUSDT")
    result = run_market(first, second, contract=None, equity_fraction=0.02, **FREE)
    sizes = (result.trades.size_base * result.trades.entry_price).tolist()
    assert sizes == pytest.approx([200.0, 0.02 * 10_100])


def test_exposure_is_shared_and_an_order_is_cut_to_the_rest() -> None:
    """Both signal at once; a tenth of equity may be at stake: 700 for the first, 300 for the second, nothing for the third."""
    market = [predicted_bars([QUIET] * 4, [UP, NONE, NONE, NONE], 20.0, symbol=name) for name in ("A", "B", "C")]
    result = run_market(*market, contract=None, notional=700.0, max_exposure=0.1, **FREE)
    assert result.trades.symbol.tolist() == ["A", "B"]
    assert (result.trades.size_base * result.trades.entry_price).tolist() == pytest.approx([700.0, 300.0])


def test_a_cooldown_of_two_silences_the_exit_bar_and_the_next() -> None:
    """Out by time at the open of 4. UP at 4 and 5 are not heard, DOWN at 6 is."""
    trades = run([QUIET] * 8, [UP, NONE, NONE, NONE, UP, UP, DOWN, NONE], cooldown_bars=2).trades
    assert [bars_of(trade) for _, trade in trades.iterrows()] == [(0, 1, 4), (6, 7, 7)]
    assert trades.side.tolist() == [1, -1]


def test_a_day_s_loss_ends_the_day() -> None:
    """Capital 1,000, limit 5 %. Long 2 from 100, marked at 70 at the close of bar 1: -60. It recovers and leaves at the open of
    4 with nothing lost, but the day is over: UP at 4 is not heard. Bar 5 ends at midnight: UP there enters at 6.
    """
    crash = (100, 101, 69, 70)
    rows = [QUIET, crash, QUIET, QUIET, QUIET, QUIET, QUIET]
    p = [UP, NONE, NONE, NONE, UP, UP, NONE]
    market = predicted_bars(rows, p, 60.0, numbers=282 + np.arange(7))
    trades = run_market(market, capital=1_000.0, daily_loss_stop=0.05, **FREE).trades
    assert [bars_of(trade) for _, trade in trades.iterrows()] == [(282, 283, 286), (287, 288, 288)]
    trades = run_market(market, capital=1_000.0, daily_loss_stop=0.07, **FREE).trades
    assert [bars_of(trade)[0] for _, trade in trades.iterrows()] == [282, 286]


@pytest.mark.parametrize(
    ("row", "reason", "price"),
    [
        ((100, 105.2, 99, 101), "timeout", 100.9),  # a tick short of 105.3: the order may not have had its turn
        ((100, 105.3, 99, 101), "target", 105.1),  # traded through, filled where it rests
        ((105.2, 105.2, 104, 105), "timeout", 100.9),  # an open beyond the target by a tick is no better than a touch
        ((105.2, 106, 104, 105), "target", 105.1),
        ((105.3, 105.3, 104, 105), "target", 105.3),  # an open that far beyond is a better price
        ((100, 105.3, 97, 101), "stop", 97.0),  # both in one bar
    ],
)
def test_a_target_must_be_traded_through(row: tuple[float, ...], reason: str, price: float) -> None:
    """Two ticks beyond the target of 105.1; else out by time at the open of 4, 101, less a tick."""
    rows = [QUIET, QUIET, row, QUIET, (101, 102, 100, 101)]
    trade = only_trade(run(rows, [UP] + [NONE] * 4, through_ticks=2.0, round_prices=True))
    assert (trade.reason, trade.exit_price) == (reason, pytest.approx(price))
    assert trade.slippage_quote == pytest.approx(0.2 if reason == "target" else 0.4)


def test_a_short_s_target_is_traded_through_downwards() -> None:
    """94.9 less two ticks, 94.7: not at bar 1, at bar 2. Filled at 94.9 by a maker: 2 x 99.9 x 5 bps + 2 x 94.9 x 2 bps."""
    rows = [QUIET, (100, 101, 94.8, 99), (99, 100, 94.7, 99)]
    trade = only_trade(run(rows, [DOWN, NONE, NONE], through_ticks=2.0, round_prices=True))
    assert (bars_of(trade), trade.reason, trade.exit_price) == ((0, 1, 2), "target", pytest.approx(94.9))
    assert trade.fees_quote == pytest.approx(0.13786)


@pytest.mark.parametrize(("high", "reason"), [(105.1, "timeout"), (105.2, "target")])
def test_half_a_tick_beyond_a_target_is_a_whole_one(high: float, reason: str) -> None:
    """Prices come in ticks of 0.1: beyond 105.1 by half of one is 105.2."""
    rows = [QUIET, QUIET, (100, high, 99, 101), QUIET, (101, 102, 100, 101)]
    trade = only_trade(run(rows, [UP] + [NONE] * 4, through_ticks=0.5, round_prices=True))
    assert trade.reason == reason


def test_the_bid_trades_through_a_long_s_target() -> None:
    """Spread 200 bps: in at 101, target 106, a tick of 1 beyond it 107, which the bid touches at a mid of 107 / 0.99 = 108.08."""
    rows = [QUIET, (100, 108, 99.5, 106), (106, 108.1, 105, 106)]
    changed = FREE | {"tick": 1.0, "through_ticks": 1.0, "spread_bps": 200.0}
    trade = only_trade(run(rows, [UP, NONE, NONE], **changed))
    assert (bars_of(trade), trade.reason, trade.exit_price) == ((0, 1, 2), "target", pytest.approx(106.0))


def test_finer_bars_see_whether_a_target_was_traded_through() -> None:
    """Target 105, a tick of 1 beyond it 106. The first minute touches it, the second is stopped, the third trades through."""
    changed = FREE | {"tick": 1.0, "through_ticks": 1.0}
    market = predicted_bars([QUIET, (100, 106, 96, 100), QUIET], [UP, NONE, NONE], 2.0)
    finer = finer_bars((105, 99), (101, 96), (106, 101))
    assert only_trade(run_market(replace(market, finer=finer), **changed)).reason == "stop"
    assert only_trade(run_market(replace(market, finer=finer), **changed | {"through_ticks": 0.0})).reason == "target"


def finer_bars(*rows: tuple[float, float], bar: int = 1, minute: int = 0) -> Bars:
    """One-minute bars (high, low) inside that bar of five minutes, from that minute on."""
    high, low = np.array(rows, float).T
    times_ns = (FIRST + bar) * INTERVAL_NS + (minute + np.arange(len(rows))) * (INTERVAL_NS // 5)
    return Bars(
        symbol="BTCUSDT",
        interval_ns=INTERVAL_NS // 5,
        open_time_ns=times_ns,
        open=low,
        high=high,
        low=low,
        close=high,
        volume=low,
    )


@pytest.mark.parametrize(
    ("finer", "reason"),
    [
        (None, "stop"),  # the worse comes first
        (finer_bars((102, 99), (106, 101), (101, 96)), "target"),
        (finer_bars((102, 99), (101, 96), (106, 101)), "stop"),
        (finer_bars((106, 101), bar=1, minute=1), "stop"),  # the minute before it is missing
        (finer_bars((102, 99), (106, 96)), "stop"),  # both in one minute: the worse again
        (finer_bars((102, 99), (103, 98)), "stop"),  # the minutes that touch them are missing
        (finer_bars((106, 101), bar=2), "stop"),  # those of another bar say nothing
    ],
)
def test_finer_bars_tell_which_came_first(finer: Bars | None, reason: str) -> None:
    market = replace(predicted_bars([QUIET, (100, 106, 96, 100), QUIET], [UP, NONE, NONE], 2.0), finer=finer)
    trade = only_trade(run_market(market, **FREE))
    assert (bars_of(trade), trade.reason) == ((0, 1, 1), reason)
    assert trade.exit_price == (97.0 if reason == "stop" else 105.0)


def test_finer_bars_tell_a_short_s_target_that_is_just_touched() -> None:
    """In at 100, stop 103, target 95: the first minute touches 95 to the last digit, the second is beyond the stop."""
    bars = predicted_bars([QUIET, (100, 104, 95, 100), QUIET], [DOWN, NONE, NONE], 2.0)
    trade = only_trade(run_market(replace(bars, finer=finer_bars((101, 95), (104, 100))), **FREE))
    assert (bars_of(trade), trade.reason, trade.exit_price) == ((0, 1, 1), "target", 95.0)


def test_a_window_s_bracket_is_that_of_the_entry_bar() -> None:
    """Bar 1 begins window 1: the signal of bar 0 enters there, so its target is 1 ATR (102) and not 2.5."""
    brackets = [
        Bracket(threshold=0.65, stop_atr=1.5, target_atr=2.5, max_hold=3),
        Bracket(threshold=0.6, stop_atr=1.5, target_atr=1.0, max_hold=3),
    ]
    market = predicted_bars([QUIET, (100, 102, 99, 101), QUIET], [UP, NONE, NONE], 2.0, window=[0, 1, 1])
    trade = only_trade(backtest(**SETTINGS | FREE).run([market], brackets))
    assert (trade.window, trade.reason, trade.exit_price) == (1, "target", 102.0)


def test_the_earlier_signal_comes_first_whatever_the_order_of_the_symbols() -> None:
    """Room for one position: B signals at bar 0, A at bar 1."""
    first = predicted_bars([QUIET] * 4, [NONE, UP, NONE, NONE], 20.0, symbol="A")
    second = predicted_bars([QUIET] * 4, [UP, NONE, NONE, NONE], 20.0, symbol="B")
    result = run_market(first, second, contract=None, notional=700.0, max_exposure=0.07, **FREE)
    assert result.trades.symbol.tolist() == ["B"]
