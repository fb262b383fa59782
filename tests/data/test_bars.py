"""The contract of Bars: what keeps it passes, each way to break it is refused by row; cuts and digests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.data.bars import checked, clipped, digest, inferred_interval_ns, prefix_digests
from botscalp.errors import UserError
from botscalp.times import UNITS_NS, parse_time_ns
from botscalp.types import Bars

MINUTE_NS = UNITS_NS["m"]


@st.composite
def valid_bars(draw: st.DrawFn, min_size: int = 2) -> Bars:
    """Bars with gaps, flat bars and bars without volume."""
    numbers = sorted(draw(st.sets(st.integers(0, 400), min_size=min_size, max_size=30)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = len(numbers)
    open_, close = 10 ** rng.uniform(-8, 5, (2, rows))
    close = np.where(rng.random(rows) < 0.3, open_, close)
    volume = np.where(rng.random(rows) < 0.3, 0.0, rng.lognormal(size=rows))
    return Bars(
        symbol="BTCUSDT",
        interval_ns=5 * MINUTE_NS,
        open_time_ns=np.array(numbers, dtype=np.int64) * 5 * MINUTE_NS + parse_time_ns("2024-01-01", key=""),
        open=open_,
        high=np.maximum(open_, close) * np.where(rng.random(rows) < 0.3, 1, 1.01),
        low=np.minimum(open_, close) * np.where(rng.random(rows) < 0.3, 1, 0.99),
        close=close,
        volume=volume,
        quote_volume=volume * close,
        trades=np.ceil(volume),
        taker_buy_volume=volume * rng.choice([0.0, 0.5, 1.0], rows),
    )


def with_value(bars: Bars, column: str, row: int, value: float) -> Bars:
    changed = getattr(bars, column).copy()
    changed[row] = value
    return replace(bars, **{column: changed})


@given(valid_bars())
@settings(deadline=None)
def test_bars_that_keep_the_contract_come_back_unchanged(bars: Bars) -> None:
    assert checked(bars, key="data.path", value="x.csv") is bars


FAULTS = {
    "open": [0.0, -1.0, np.nan, np.inf],
    "high": [-1.0, np.nan, np.inf, 1e-9],
    "low": [0.0, np.nan, np.inf, 1e6],
    "close": [0.0, np.nan, np.inf],
    "volume": [-1e-9, np.nan, np.inf],
    "quote_volume": [-1.0, np.nan, np.inf],
    "trades": [-1.0, np.nan],
    "taker_buy_volume": [-1.0, np.nan, np.inf, 1e9],
}


@pytest.mark.parametrize(("column", "value"), [(column, value) for column in FAULTS for value in FAULTS[column]])
@given(bars=valid_bars(), data=st.data())
@settings(deadline=None, max_examples=15)
def test_one_bad_value_is_refused_with_its_row_and_time(
    column: str, value: float, bars: Bars, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(bars) - 1))
    with pytest.raises(UserError) as refusal:
        checked(with_value(bars, column, row, value), key="data.path", value="x.csv")
    message = str(refusal.value)
    time = str(bars.open_time_ns[row].astype("datetime64[ns]").astype("datetime64[s]")).replace("T", " ")
    assert message.startswith(f"data.path=x.csv: row {row} of BTCUSDT, counted from 0, at {time} UTC")
    assert f"{column} " in message.splitlines()[0], "the column is named with its value"


@given(bars=valid_bars(min_size=3), data=st.data())
@settings(deadline=None)
def test_times_out_of_order_repeated_or_off_the_grid_are_refused(bars: Bars, data: st.DataObject) -> None:
    row = data.draw(st.integers(1, len(bars) - 1))
    times = bars.open_time_ns
    for wrong, reason in (
        (times[row - 1], "repeats the time"),
        (times[row - 1] - bars.interval_ns, "goes back in time"),
        (times[row - 1] + MINUTE_NS, "lies off the grid of 5m"),
    ):
        with pytest.raises(UserError, match=f"row {row} of .*{reason}"):
            checked(with_value(bars, "open_time_ns", row, wrong), key="data.path", value="x.csv")


@given(valid_bars(min_size=4))
@settings(deadline=None, max_examples=20)
def test_the_first_bad_row_is_the_one_reported(bars: Bars) -> None:
    bars = with_value(with_value(with_value(bars, "close", 3, np.nan), "volume", 1, -1), "volume", 2, -1)
    with pytest.raises(UserError, match=r"row 1 of .*volume -1.*so do 1 later rows"):
        checked(bars, key="data.path", value="x.csv")


@pytest.mark.parametrize(("open_", "close"), [(10.0, 20.0), (20.0, 10.0)])
@pytest.mark.parametrize(("low", "high", "wrong"), [(15.0, 20.0, "low"), (10.0, 15.0, "high")])
def test_an_extreme_between_open_and_close_is_refused(
    open_: float, close: float, low: float, high: float, wrong: str
) -> None:
    bars = bars_at(0)
    for name, price in (("open", open_), ("close", close), ("low", low), ("high", high)):
        bars = with_value(bars, name, 0, price)
    with pytest.raises(UserError, match=f"has its {wrong} between open and close"):
        checked(bars, key="data.path", value="x.csv")


def test_taker_volume_may_exceed_volume_by_float_dust_only() -> None:
    bars = bars_at(0, 1)
    checked(replace(bars, taker_buy_volume=bars.volume * (1 + 1e-12)), key="", value="")
    with pytest.raises(UserError, match="takers buy more than was traded"):
        checked(replace(bars, taker_buy_volume=bars.volume * 1.001), key="", value="")


def test_no_bars_are_refused() -> None:
    with pytest.raises(UserError, match="no bars of BTCUSDT"):
        checked(bars_at(0)[:0], key="data.path", value="x.csv")


def test_weekly_bars_open_on_mondays() -> None:
    monday = parse_time_ns("2024-01-01", key="")
    bars = replace(bars_at(0, 1), interval_ns=UNITS_NS["w"], open_time_ns=np.array([monday, monday + UNITS_NS["w"]]))
    checked(bars, key="", value="")
    with pytest.raises(UserError, match="off the grid of 1w"):
        checked(replace(bars, open_time_ns=bars.open_time_ns + UNITS_NS["d"]), key="", value="")


def test_bars_of_three_days_open_wherever_the_first_does() -> None:
    three_ns, day_ns = UNITS_NS["d"] * 3, UNITS_NS["d"]
    for first_ns in (0, day_ns, 2 * day_ns):
        bars = replace(bars_at(0, 1), interval_ns=three_ns, open_time_ns=np.array([first_ns, first_ns + 2 * three_ns]))
        checked(bars, key="", value="")
        with pytest.raises(UserError, match=r"row 1 of .*off the grid of 3d"):
            checked(with_value(bars, "open_time_ns", 1, first_ns + three_ns + day_ns), key="", value="")


def bars_at(*minutes: int) -> Bars:
    one = np.ones(len(minutes))
    times = np.array(minutes, dtype=np.int64) * MINUTE_NS
    return Bars(
        symbol="BTCUSDT", interval_ns=MINUTE_NS, open_time_ns=times, open=one, high=one, low=one, close=one, volume=one
    )


def test_the_interval_is_the_most_common_step() -> None:
    times = np.array([0, 5, 10, 45, 50, 60, 65], dtype=np.int64) * MINUTE_NS
    assert inferred_interval_ns(times, key="data.path", value="x.csv") == 5 * MINUTE_NS
    for times, reason in (
        (np.array([7], dtype=np.int64), "no row follows another"),
        (np.array([3, 2, 1], dtype=np.int64) * MINUTE_NS, "no row follows another"),
        (np.array([0, 59_999, 119_998], dtype=np.int64) * 1_000_000, "59.999 s"),
    ):
        with pytest.raises(UserError, match=reason):
            inferred_interval_ns(times, key="data.path", value="x.csv")


def test_clipped_takes_the_start_and_leaves_the_end() -> None:
    bars = bars_at(0, 1, 2, 5, 6)

    def minutes(start: int | None, end: int | None) -> list[int]:
        cut = clipped(bars, *(None if t is None else t * MINUTE_NS for t in (start, end)))
        return [int(time) // MINUTE_NS for time in cut.open_time_ns]

    assert minutes(1, 5) == [1, 2]
    assert minutes(3, None) == [5, 6]
    assert minutes(None, 6) == [0, 1, 2, 5]
    assert minutes(None, None) == [0, 1, 2, 5, 6]
    assert minutes(7, 9) == minutes(5, 1) == []


@given(bars=valid_bars(), data=st.data())
@settings(deadline=None)
def test_the_digest_of_a_prefix_is_that_of_the_bars_cut_there(bars: Bars, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(-2, 405), min_size=1, max_size=6).map(sorted))
    ends_ns = [parse_time_ns("2024-01-01", key="") + number * bars.interval_ns for number in numbers]
    prefixes = prefix_digests(bars, ends_ns)
    assert prefixes == [digest(clipped(bars, None, end_ns)) for end_ns in ends_ns]
    assert prefix_digests(bars, [2**62])[0] == digest(bars)


@given(bars=valid_bars(), data=st.data())
@settings(deadline=None)
def test_the_digest_sees_one_bit_in_any_column(bars: Bars, data: st.DataObject) -> None:
    column, values = data.draw(st.sampled_from(list(bars.columns())))
    row = data.draw(st.integers(0, len(bars) - 1))
    next_value = values[row] + 1 if column == "open_time_ns" else np.nextafter(values[row], np.inf)
    changed = with_value(bars, column, row, next_value)
    digests = {digest(b) for b in (bars, changed, replace(bars, symbol="ETHUSDT"), replace(bars, trades=None))}
    assert len(digests) == 4 and all(len(text) == 64 for text in digests)
    other_name = replace(bars, trades=None, quote_volume=bars.trades)
    assert digest(other_name) != digest(replace(bars, quote_volume=None))
    exchanged = replace(bars, open=bars.close, close=bars.open)
    assert digest(exchanged) != digest(bars) or np.array_equal(bars.open, bars.close)
