"""The pictures of the trades draw just the trades they were given, whatever their order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from heat_maps import drawn_values, key, marked
from hypothesis import given, settings
from hypothesis import strategies as st
from materials import a_material
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from pictures import clipped, foreign_colours, overlapping

from botscalp.report.drawing import DIVERGING, Picture, svg
from botscalp.report.figures.anatomy import MAX_BARS, MAX_POINTS, clock, excursions, exits, holding
from botscalp.report.material import Material

PICTURES = (exits, holding, excursions, clock)
Draw = Callable[[Material], Picture | None]


def drawn(draw: Draw, trades: pd.DataFrame) -> Picture:
    picture = draw(a_material(trades=trades))
    assert picture is not None
    return picture


def some_trades(count: int = 400, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "symbol": rng.choice(["BTCUSDT", "ETHUSDT"], count),
            "side": rng.choice([1, -1], count),
            "reason": rng.choice(["stop", "target", "timeout", "end"], count, p=[0.5, 0.3, 0.15, 0.05]),
            "entry_time": pd.Timestamp("2024-02-27T22:00Z")
            + pd.to_timedelta(rng.integers(0, 9_000, count), unit="min"),
            "bars_held": rng.integers(1, 21, count).astype(float),
            "net_bps": rng.normal(-3, 30, count),
            "gross_bps": 0.0,
            "mae_atr": rng.exponential(1.0, count),
            "mfe_atr": rng.exponential(1.0, count),
        }
    )
    return table.assign(**columns)


def heights(axes: Axes, label: str) -> list[float]:
    (bars,) = (one for one in axes.containers if one.get_label() == label)
    return [bar.get_height() for bar in bars]


@pytest.mark.parametrize("draw", PICTURES)
def test_the_order_of_the_trades_does_not_matter(draw: Draw) -> None:
    trades = some_trades(2_000)
    one, other = (drawn(draw, table) for table in (trades, trades.sample(frac=1, random_state=3)))
    assert svg(one) == svg(other) and one.reading == other.reading
    pd.testing.assert_frame_equal(one.table, other.table)


@pytest.mark.parametrize("draw", PICTURES)
def test_without_trades_there_is_no_picture(draw: Draw) -> None:
    assert draw(a_material(trades=some_trades().iloc[:0])) is None


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("trades", [some_trades(1), some_trades(2, net_bps=[5.0, -5.0]), a_material().trades])
def test_they_fit_their_canvas_and_their_palette(draw: Draw, trades: pd.DataFrame) -> None:
    picture = drawn(draw, trades)
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    if draw is not clock:
        assert not foreign_colours(picture)
    assert len(picture.table) <= 40


def test_exits_are_counted_and_their_spread_is_that_of_the_trades() -> None:
    trades = some_trades()
    counts, boxes = drawn(exits, trades).figure.axes
    named = [label.get_text() for label in counts.get_yticklabels()]
    assert named == ["target", "stop", "timeout", "end"]
    for place, name in enumerate(named):
        mine = np.sort([row.net_bps for row in trades.itertuples() if row.reason == name])
        bar = counts.patches[place]
        assert isinstance(bar, Rectangle) and bar.get_width() == len(mine) and round(bar.get_y() + 0.3) == place
        assert f"{len(mine):,} ({len(mine) / 400:.0%})" in [text.get_text() for text in counts.texts]
        box = boxes.patches[place].get_path().vertices[:, 0]
        assert (box.min(), box.max()) == pytest.approx(tuple(np.quantile(mine, [0.25, 0.75])))
        lines = [line for line in boxes.lines if set(np.round(line.get_ydata())) == {place}]
        at = [float(x) for line in lines for x in np.atleast_1d(line.get_xdata())]
        assert (min(at), max(at)) == pytest.approx(tuple(np.quantile(mine, [0.05, 0.95])))
        (mean,) = (line.get_xdata()[0] for line in lines if line.get_marker() == "D")
        assert mean == pytest.approx(mine.mean())


def test_the_parts_of_the_exits_add_up_to_the_mean_trade() -> None:
    trades = some_trades()
    picture = drawn(exits, trades)
    parts = picture.table["part of the mean trade, bps"].astype(float)
    assert parts.sum() == pytest.approx(trades.net_bps.mean(), abs=0.03)
    assert f"all: {trades.net_bps.mean():+.2f} bps" in picture.reading and "not how sure the mean is" in picture.reading


def test_an_exit_that_is_not_known_is_shown_last() -> None:
    picture = drawn(exits, some_trades(3, reason=["liquidated", "stop", "stop"]))
    assert picture.table["ended by"].tolist() == ["stop", "liquidated"]


@settings(max_examples=10, deadline=None)
@given(
    held=st.lists(st.tuples(st.integers(0, 400), st.floats(-50, 50)), min_size=1, max_size=60),
    last=st.integers(1, 400),
)
def test_bars_held_are_counted_in_bins_of_whole_bars(held: list[tuple[int, float]], last: int) -> None:
    held = [(min(bars, last), net_bps) for bars, net_bps in held]
    bars, net_bps = (np.array(column, float) for column in zip(*held, strict=True))
    picture = drawn(holding, some_trades(len(held), bars_held=bars, net_bps=net_bps))
    won, lost = (heights(picture.figure.axes[0], label) for label in ("won", "lost"))
    assert len(won) <= MAX_BARS
    assert (sum(won), sum(lost)) == ((net_bps > 0).sum(), (net_bps <= 0).sum())
    for name, ups, downs in zip(picture.table["bars held"], won, lost, strict=True):
        first, _, end = name.partition("-")
        inside = (bars >= int(first)) & (bars <= int(end or first))
        assert (ups, downs) == ((inside & (net_bps > 0)).sum(), (inside & (net_bps <= 0)).sum())


def test_the_reading_of_the_time_held_says_who_is_held_longer() -> None:
    trades = some_trades(5, bars_held=[1.0, 2.0, 3.0, 20.0, 20.0], net_bps=[-1.0, -1.0, -1.0, 1.0, 1.0])
    expected = "20 by trades that won and 2 by trades that lost. 2 of 5 trades (40%) lasted the longest, 20 bars."
    assert expected in drawn(holding, trades).reading
    assert "won" not in drawn(holding, trades.assign(net_bps=-1.0)).reading


@pytest.mark.parametrize("count", [1, 50, MAX_POINTS, 3 * MAX_POINTS + 7])
def test_excursions_are_points_of_the_trades_and_never_too_many(count: int) -> None:
    trades = some_trades(count)
    figure = drawn(excursions, trades).figure
    points = 0
    for axes in figure.axes:
        won = axes.get_title(loc="left").startswith("won")
        group = trades[(trades.net_bps > 0) == won]
        cloud, *_, median = axes.lines
        there = list(zip(cloud.get_xdata(), cloud.get_ydata(), strict=True))
        assert set(there) <= set(zip(group.mae_atr, group.mfe_atr, strict=True))
        assert cloud.get_marker() == ("o" if won else "x")
        assert axes.get_title(loc="left").endswith(f": {len(group):,} trades")
        (x,), (y,) = median.get_xdata(), median.get_ydata()
        assert (x, y) == pytest.approx((np.median(group.mae_atr), np.median(group.mfe_atr)))
        points += len(there)
    assert min(count, MAX_POINTS // 2) <= points <= MAX_POINTS + 1


def test_excursions_without_an_atr_are_left_out() -> None:
    trades = some_trades(4, mae_atr=[np.nan, 1.0, np.inf, 2.0])
    assert sum(len(axes.lines[0].get_xdata()) for axes in drawn(excursions, trades).figure.axes) == 2
    assert excursions(a_material(trades=trades.assign(mae_atr=np.nan))) is None


def test_losers_that_were_ahead_are_counted() -> None:
    trades = some_trades(4, net_bps=[-1.0, -1.0, -1.0, 1.0], mfe_atr=[0.5, 1.0, 1.5, 9.0])
    assert "Of those that lost, 67% were once 1 ATR ahead." in drawn(excursions, trades).reading


@settings(max_examples=8, deadline=None)
@given(count=st.integers(1, 4_000), seed=st.integers(0, 100))
def test_the_clock_shows_the_mean_of_each_part_of_the_week(count: int, seed: int) -> None:
    trades = some_trades(count, seed)
    picture = drawn(clock, trades)
    shown = drawn_values(picture.figure)
    days, parts = shown.shape
    assert days == 7 and 24 % parts == 0
    net_bps: dict[tuple[int, int], list[float]] = {}
    for then, earned in zip(trades.entry_time.dt.to_pydatetime(), trades.net_bps, strict=True):
        net_bps.setdefault((then.isoweekday() - 1, then.hour * parts // 24), []).append(earned)
    for at in np.ndindex(shown.shape):
        mine = net_bps.get(at, [])
        assert bool(np.ma.getmaskarray(shown)[at]) == (len(mine) < 30)
        if len(mine) >= 30:
            assert shown[at] == pytest.approx(np.mean(mine))
    assert not marked(picture.figure, "unsure") | marked(picture.figure, "own")


def test_the_week_begins_on_monday_at_the_top_and_hours_are_utc() -> None:
    monday = datetime(2024, 1, 1, 23, 59, tzinfo=UTC)
    times = [monday] * 40 + [monday + timedelta(minutes=2)] * 50
    entry_time = pd.to_datetime(pd.Series(times)).dt.tz_convert("Asia/Tokyo")
    trades = some_trades(90, entry_time=entry_time, net_bps=[3.0] * 40 + [-7.0] * 50)
    picture = drawn(clock, trades)
    shown = drawn_values(picture.figure)
    assert shown[0, -1] == pytest.approx(3.0) and shown[1, 0] == pytest.approx(-7.0)
    bottom, top = picture.figure.axes[0].get_ylim()
    assert bottom > top
    assert picture.figure.axes[0].get_yticklabels()[0].get_text() == "Mon"
    assert picture.table.iloc[0, 3] == "+3.00 (40)" and picture.table.iloc[1, 1] == "-7.00 (50)"


@pytest.mark.parametrize(("a_cell_of_an_hour", "parts"), [(30, 24), (29, 12), (10, 8), (4, 3), (1, 3)])
def test_hours_are_told_apart_as_far_as_there_are_trades_for(a_cell_of_an_hour: int, parts: int) -> None:
    hours = pd.date_range("2024-01-01", periods=168, freq="h", tz="UTC").repeat(a_cell_of_an_hour)
    picture = drawn(clock, some_trades(len(hours), entry_time=hours))
    assert drawn_values(picture.figure).shape == (7, parts)
    few = a_cell_of_an_hour == 1
    assert key(picture.figure) == (["fewer than 30 trades"] if few else [])
    assert ("too few to tell" if few else f"of {7 * parts} parts of the week") in picture.reading
    assert few or "by luck alone" in picture.reading


def test_the_clock_has_the_diverging_colours() -> None:
    (mesh,) = drawn(clock, some_trades(9_000)).figure.axes[0].collections
    low, high = mesh.get_clim()
    assert mesh.get_cmap().name == DIVERGING and low == -high
