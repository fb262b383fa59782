"""A trade per fill rule, worked out by hand.

Everywhere, unless a test says otherwise: threshold 0.6; ATR 2, so the stop lies 3 from the fill and the target 5;
max_hold 3; slippage one tick of 0.1; 2 base units a trade; taker 5 bps, maker 2 bps; capital 10,000.
A long at an open of 100 fills at 100.1, its stop is 97.1 and its target 105.1.
A short at an open of 100 fills at 99.9, its stop is 102.9 and its target 94.9.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import FIRST, INTERVAL_NS, backtest, predicted_bars

from botscalp.backtest import Result

UP, DOWN, NONE = 0.7, 0.3, np.nan
QUIET = (100, 101, 99, 100)
SETTINGS: dict[str, Any] = {
    "threshold": 0.6,
    "max_hold": 3,
    "slippage_ticks": 1.0,
    "tick": 0.1,
    "contract": 2.0,
}


def run(
    rows: Sequence[tuple[float, ...]], p: list[float], atr: Any = 2.0, numbers: Any = None, **changed: Any
) -> Result:
    market = predicted_bars(rows, p, atr, numbers=numbers)
    return backtest(**SETTINGS | changed).run([market])


def only_trade(result: Result) -> pd.Series:
    assert len(result.trades) == 1
    return result.trades.iloc[0]


def bar_of(time: pd.Timestamp) -> int:
    return time.value // INTERVAL_NS - FIRST


def bars_of(trade: pd.Series) -> tuple[int, int, int]:
    return bar_of(trade.signal_time), bar_of(trade.entry_time), bar_of(trade.exit_time)


def test_enters_long_at_the_next_open_and_leaves_at_the_target() -> None:
    trade = only_trade(run([QUIET, (100, 104, 99, 103), (103, 106, 102, 104)], [UP, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.side, trade.reason) == (1, "target")
    assert trade.entry_price == pytest.approx(100.1)  # open 100 + one tick
    assert trade.exit_price == pytest.approx(105.1)  # fill 100.1 + 2.5 x 2; a limit does not slip
    assert trade.gross_quote == pytest.approx(10.2)  # 2 x (105.1 - 100): before slippage
    assert trade.slippage_quote == pytest.approx(0.2)  # 2 x 0.1, entry alone
    assert trade.fees_quote == pytest.approx(0.14214)  # 2 x 100.1 x 5 bps = 0.1001; 2 x 105.1 x 2 bps = 0.04204
    assert trade.funding_quote == 0
    assert trade.pnl_quote == pytest.approx(9.85786)  # 10.2 - 0.2 - 0.14214


def test_enters_short_and_leaves_at_the_stop() -> None:
    trade = only_trade(run([QUIET, (100, 101, 98, 99), (99, 103, 98, 102)], [DOWN, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.side, trade.reason) == (-1, "stop")
    assert trade.entry_price == pytest.approx(99.9)  # sold a tick below the open
    assert trade.exit_price == pytest.approx(103.0)  # stop 99.9 + 3 = 102.9, bought back a tick above
    assert trade.gross_quote == pytest.approx(-5.8)  # 2 x (100 - 102.9)
    assert trade.slippage_quote == pytest.approx(0.4)  # 2 x (0.1 + 0.1)
    assert trade.fees_quote == pytest.approx(0.2029)  # (2 x 99.9 + 2 x 103) x 5 bps: a stop takes
    assert trade.pnl_quote == pytest.approx(-6.4029)


@pytest.mark.parametrize("p", [0.6, 0.4, 0.5, np.nan])
def test_a_threshold_must_be_passed(p: float) -> None:
    """Long above 0.6, short below 1 - 0.6; 0.4 is 1 - 0.6, in floating point too."""
    assert run([QUIET] * 4, [p] * 4).trades.empty


@pytest.mark.parametrize("atr", [0.0, np.nan, np.inf, -1.0])
def test_no_signal_without_a_finite_positive_atr(atr: float) -> None:
    assert run([QUIET] * 4, [UP] * 4, atr=atr).trades.empty


def test_signals_in_a_position_are_ignored() -> None:
    """In since bar 1; DOWN at 1, 2 and 3 does nothing, and the time-out is 3 bars after the entry: the open of 4."""
    result = run([QUIET] * 5, [UP, DOWN, DOWN, DOWN, NONE])
    assert bars_of(only_trade(result)) == (0, 1, 4)


def test_a_signal_is_void_if_the_next_bar_is_missing() -> None:
    """Bars 0, 2, 3: the entry of p[0] would be bar 1. p[2] is followed by bar 3 and stands."""
    trade = only_trade(run([QUIET] * 3, [UP, DOWN, NONE], numbers=[0, 2, 3]))
    assert (bars_of(trade), trade.side) == ((2, 3, 3), -1)


def test_levels_use_the_fill_and_the_atr_of_the_signal_bar() -> None:
    """ATR 4 at the signal, 2 after it: target 100.1 + 2.5 x 4 = 110.1, so that a high of 110 is not enough."""
    rows = [QUIET, (100, 110, 99, 105), (105, 110.1, 104, 109)]
    trade = only_trade(run(rows, [UP, NONE, NONE], atr=[4, 2, 2]))
    assert bars_of(trade) == (0, 1, 2)
    assert trade.exit_price == pytest.approx(110.1)


def test_the_entry_bar_is_watched() -> None:
    trade = only_trade(run([QUIET, (100, 101, 97, 98), QUIET], [UP, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 1)
    assert (trade.reason, trade.exit_price) == ("stop", pytest.approx(97.0))  # 100.1 - 3, less a tick


def test_the_open_of_the_entry_bar_is_no_exit() -> None:
    """ATR 0.04: stop 100.1 - 0.06 = 100.04 lies above the open of 100, yet it fills at the stop, less a tick."""
    trade = only_trade(run([QUIET, (100, 101, 99, 100), QUIET], [UP, NONE, NONE], atr=0.04))
    assert bars_of(trade) == (0, 1, 1)
    assert (trade.reason, trade.exit_price) == ("stop", pytest.approx(99.94))


def test_an_open_beyond_the_stop_fills_at_that_open() -> None:
    trade = only_trade(run([QUIET, QUIET, (95, 99, 94, 98), QUIET], [UP, NONE, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.reason, trade.exit_price) == ("stop", pytest.approx(94.9))  # open 95 less a tick, not 97.1


def test_an_open_beyond_the_target_fills_at_that_open_as_maker() -> None:
    """And the low of 97 in the same bar, past the stop of 97.1, comes too late."""
    trade = only_trade(run([QUIET, QUIET, (107, 108, 97, 98), QUIET], [UP, NONE, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.reason, trade.exit_price) == ("target", 107.0)  # better than 105.1, and no slippage
    assert trade.fees_quote == pytest.approx(0.1429)  # 0.1001 + 2 x 107 x 2 bps


def test_stop_and_target_in_one_bar_is_a_stop() -> None:
    trade = only_trade(run([QUIET, QUIET, (100, 106, 97, 105), QUIET], [UP, NONE, NONE, NONE]))
    assert (trade.reason, trade.exit_price) == ("stop", pytest.approx(97.0))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((100, 101, 97, 99), "stop"),  # low on the stop
        ((100, 105, 99, 101), "target"),  # high on the target
        ((97, 105, 96, 99), "stop"),  # open on the stop
        ((105, 106, 96, 99), "target"),  # open on the target, before the low gets to the stop
    ],
)
def test_touched_means_reached(row: tuple[float, ...], reason: str) -> None:
    """Without slippage the levels are 97 and 105 exactly."""
    trade = only_trade(run([QUIET, QUIET, row], [UP, NONE, NONE], slippage_ticks=0.0))
    assert (trade.reason, trade.exit_price) == (reason, 97.0 if reason == "stop" else 105.0)


def test_time_out_at_the_open_after_the_watched_bars() -> None:
    """Watched: bars 1, 2, 3. Out at the open of 4; what bar 4 does afterwards (low 90) does not matter."""
    trade = only_trade(run([QUIET, QUIET, QUIET, QUIET, (102, 103, 90, 91)], [UP, NONE, NONE, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 4)
    assert (trade.reason, trade.exit_price) == ("timeout", pytest.approx(101.9))
    assert trade.fees_quote == pytest.approx(0.202)  # (2 x 100.1 + 2 x 101.9) x 5 bps
    assert trade.pnl_quote == pytest.approx(3.398)  # 2 x (101.9 - 100.1) - 0.202


@pytest.mark.parametrize(("open_", "reason", "price"), [(95.0, "stop", 94.9), (106.0, "target", 106.0)])
def test_the_open_rules_come_before_the_time_out(open_: float, reason: str, price: float) -> None:
    rows = [QUIET, QUIET, QUIET, QUIET, (open_, open_, open_, open_)]
    trade = only_trade(run(rows, [UP, NONE, NONE, NONE, NONE]))
    assert (trade.reason, trade.exit_price) == (reason, pytest.approx(price))


def test_the_end_of_the_data_closes_at_the_last_close() -> None:
    trade = only_trade(run([QUIET, QUIET, (100, 102, 99, 101)], [UP, NONE, NONE]))
    assert bars_of(trade) == (0, 1, 2)
    assert (trade.reason, trade.exit_price) == ("end", pytest.approx(100.9))  # close 101 less a tick
    assert trade.fees_quote == pytest.approx(0.201)  # (2 x 100.1 + 2 x 100.9) x 5 bps: the end takes


def test_the_last_bar_may_be_an_entry() -> None:
    trade = only_trade(run([QUIET, (100, 102, 99, 101)], [UP, UP]))
    assert bars_of(trade) == (0, 1, 1)
    assert (trade.reason, trade.pnl_quote) == ("end", pytest.approx(1.399))  # 2 x (100.9 - 100.1) - 0.201


def test_the_first_bar_after_missing_ones_is_a_gapped_open() -> None:
    """In at bar 1, bar 2 is missing (in time for the time-out at 4), bar 3 opens at 96, beyond the stop of 97.1."""
    trade = only_trade(run([QUIET, QUIET, (96, 97, 95, 96), QUIET], [UP, NONE, NONE, NONE], numbers=[0, 1, 3, 4]))
    assert bars_of(trade) == (0, 1, 3)
    assert (trade.reason, trade.exit_price) == ("stop", pytest.approx(95.9))


def test_max_hold_counts_time_and_a_missing_bar_is_replaced_by_the_next() -> None:
    """In at bar 1, due at the open of 4. Bars 3 to 6 are missing: out at the open of 7, the third bar to be seen."""
    rows = [QUIET, QUIET, QUIET, (101, 120, 80, 100), QUIET]
    trade = only_trade(run(rows, [UP, NONE, NONE, NONE, NONE], numbers=[0, 1, 2, 7, 8]))
    assert bars_of(trade) == (0, 1, 7)
    assert (trade.reason, trade.exit_price) == ("timeout", pytest.approx(100.9))


def test_the_open_rules_come_before_a_time_out_that_fell_into_a_gap() -> None:
    rows = [QUIET, QUIET, (110, 111, 109, 110)]
    trade = only_trade(run(rows, [UP, NONE, NONE], numbers=[0, 1, 9]))
    assert (trade.reason, trade.exit_price) == ("target", 110.0)


def test_the_exit_bar_may_signal_and_the_bar_before_it_may_not() -> None:
    """Time-out at the open of 4. DOWN at 3 was a signal in a position; UP at 4 is one of a flat account: in at 5."""
    trades = run([QUIET] * 6, [UP, NONE, NONE, DOWN, UP, NONE]).trades
    assert [bars_of(trade) for _, trade in trades.iterrows()] == [(0, 1, 4), (4, 5, 5)]
    assert trades.side.tolist() == [1, 1]


def test_equity_is_marked_at_every_close_and_costs_when_they_fall_due() -> None:
    """In at the open of 1: 2 at 100.1, fee 0.1001. Time-out at the open of 4 (102): 2 at 101.9, fee 0.1019."""
    rows = [QUIET, (100, 101, 99, 100), (100, 103, 99, 102), (102, 102, 98, 99), (102, 103, 101, 103), QUIET]
    result = run(rows, [UP, NONE, NONE, NONE, NONE, NONE])
    assert result.equity_quote == pytest.approx(
        [
            10_000.0,  # flat: nothing is due at the signal
            9_999.6999,  # 2 x (100 - 100.1) - 0.1001: entry slippage and entry fee
            10_003.6999,  # 2 x (102 - 100.1) - 0.1001
            9_997.6999,  # 2 x (99 - 100.1) - 0.1001
            10_003.398,  # 2 x (101.9 - 100.1) - 0.1001 - 0.1019: out, whatever the close
            10_003.398,
        ]
    )
    assert result.equity.close_time.iloc[0] == pd.Timestamp("2024-01-01 00:05", tz="UTC")


def test_slippage_in_bps_and_size_in_quote() -> None:
    """20 bps of 100 are 0.2: long 1,000 of quote at 100.2, stop 97.2, out at 97.2 x (1 - 0.002) = 97.0056."""
    trade = only_trade(
        run(
            [QUIET, (100, 101, 97, 98), QUIET],
            [UP, NONE, NONE],
            contract=None,
            notional=1000.0,
            slippage_ticks=None,
            tick=None,
            slippage_bps=20.0,
        )
    )
    size = 1000 / 100.2
    assert trade.size_base == pytest.approx(size)
    assert trade.exit_price == pytest.approx(97.0056)
    assert trade.gross_quote == pytest.approx(size * -2.8)  # 97.2 - 100
    assert trade.slippage_quote == pytest.approx(size * 0.3944)  # 0.2 + 0.1944
    assert trade.fees_quote == pytest.approx(0.5 + size * 97.0056 * 5e-4)  # the entry's notional is 1,000 exactly
