"""The picture of the account draws what it was given, and says what came of the capital."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from materials import CAPITAL_QUOTE, a_band, a_curve, a_material
from pictures import clipped, foreign_colours, overlapping, twins
from summaries import a_summary, undefined

from botscalp.report.drawing import Picture
from botscalp.report.figures.equity import drawdown, equity
from botscalp.report.figures.line_ends import apart
from botscalp.report.material import Curve, Material


def drawn(material: Material, **changes: object) -> Picture:
    picture = equity(a_summary(**changes), material)
    assert picture is not None
    return picture


def a_short_curve(*equity_quote: float, name: str = "costs_x1") -> Curve:
    hours = np.arange(1, len(equity_quote) + 1) * 3_600_000_000_000
    return Curve(name=name, close_time_ns=hours, equity_quote=np.array(equity_quote))


@given(steps=st.lists(st.floats(-50, 50), min_size=1, max_size=60), capital_quote=st.floats(100, 10_000))
def test_drawdown_is_what_a_loop_over_the_closes_finds(steps: list[float], capital_quote: float) -> None:
    account = capital_quote + np.cumsum(steps)
    peak, expected = capital_quote, []
    for quote in account.tolist():
        peak = max(peak, quote)
        expected.append(quote / peak - 1)
    np.testing.assert_allclose(drawdown(account, capital_quote), expected, atol=1e-12)


def test_lines_lie_on_the_accounts_and_keep_their_extremes() -> None:
    material = a_material()
    lines = {line.get_label(): line for line in drawn(material).figure.axes[0].lines}
    for name, curve in zip(
        ("costs as set", "no costs", "twice the costs", "buy and hold"), material.curves, strict=True
    ):
        time, quote = lines[name].get_xdata(orig=True), lines[name].get_ydata(orig=True)
        rows = np.searchsorted(curve.close_time_ns, np.asarray(time).astype(np.int64))
        np.testing.assert_array_equal(curve.equity_quote[rows], quote)
        assert (min(quote), max(quote)) == (curve.equity_quote.min(), curve.equity_quote.max())
        assert quote[-1] == curve.equity_quote[-1]
    assert set(lines["always flat"].get_ydata()) == {CAPITAL_QUOTE}


def test_the_drawdown_is_that_of_every_close_though_few_are_drawn() -> None:
    rising = CAPITAL_QUOTE + np.arange(50_000.0)
    rising[31_280] -= 40.0  # one close, neither the lowest nor the highest of those about it
    curve = a_short_curve(*rising)
    line = drawn(a_material(curves=(curve,), band=None)).figure.axes[1].lines[0]
    assert min(line.get_ydata()) == rising[31_280] / rising[31_279] - 1
    assert len(line.get_xdata()) < 2_000


def test_the_band_is_drawn_day_by_day() -> None:
    band = a_band()
    (area,) = drawn(a_material(band=band)).figure.axes[0].collections
    heights = area.get_paths()[0].vertices[:, 1]
    assert {band.low_quote.min(), band.high_quote.max()} <= set(heights)
    assert not drawn(a_material(band=None)).figure.axes[0].collections


def test_the_reading_says_what_was_lost_and_at_which_costs() -> None:
    curves = (
        a_short_curve(10_000, 10_500, 945, 950),
        a_short_curve(10_100, 11_240, name="costs_x0"),
        a_short_curve(9_000, 100, name="costs_x2"),
        a_short_curve(9_900, 9_500, name="buy_and_hold"),
    )
    reading = drawn(a_material(curves=curves, band=None), intervals={"backtest": {"roi": [-0.95, -0.85]}}).reading
    assert "10,000 became 950: it lost 90.5% of the capital, 95 % interval [-95.0%, -85.0%]" in reading
    assert "at no costs it would have gained 12.4%" in reading
    assert "at twice the costs it would have lost 99.0%" in reading
    assert "buying and holding the same notional lost 5.0%" in reading
    assert "The deepest fall below a peak was 91.0% of it" in reading and "not made good by the end" in reading


def test_a_fall_that_was_made_good_is_dated() -> None:
    days = [10_000.0] * 24 + [9_000.0] * 24 + [10_100.0] * 24
    reading = drawn(a_material(curves=(a_short_curve(*days),), band=None)).reading
    assert "was 10.0% of it, from 1970-01-02 to 1970-01-02, and made good by 1970-01-03" in reading


def test_without_a_trade_it_says_so() -> None:
    flat = a_short_curve(10_000, 10_000, 10_000)
    free = a_short_curve(10_000, 10_000, 10_000, name="costs_x0")
    reading = drawn(a_material(curves=(flat, free), band=None), backtest={"trades": 0}).reading
    assert reading == "No trade was made, so the account stayed at 10,000. It never closed below its peak."


def test_there_is_none_without_a_close() -> None:
    assert equity(a_summary(), a_material(curves=())) is None
    assert equity(a_summary(), a_material(curves=(a_short_curve(),))) is None


def test_undefined_figures_and_a_single_close_are_drawn_all_the_same() -> None:
    picture = equity(undefined(a_summary()), a_material(curves=(a_short_curve(10_000.0),), band=None))
    assert picture is not None and len(picture.table) == 1


@pytest.mark.parametrize("days", [1, 40, 400, 2_000])
def test_the_table_tells_of_the_whole_account_in_few_rows(days: int) -> None:
    curve = a_curve("costs_x1", drift_quote=-500.0, seed=1, bars=days * 24)
    curve = Curve(
        name=curve.name, close_time_ns=np.arange(1, days * 24 + 1) * 3_600 * 10**9, equity_quote=curve.equity_quote
    )
    table = drawn(a_material(curves=(curve,), band=None)).table
    assert 1 <= len(table) <= 36
    assert table["costs as set"].iloc[-1] == f"{curve.equity_quote[-1]:,.2f}"
    deepest = drawdown(curve.equity_quote, CAPITAL_QUOTE).min()
    assert f"{deepest:.2%}" in set(table["deepest below its peak"])


def test_it_fits_its_canvas_its_palette_and_tells_its_lines_apart() -> None:
    picture = drawn(a_material())
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    assert not foreign_colours(picture)
    assert not twins(picture.figure.axes[0])


def test_names_at_the_ends_stay_legible_where_the_lines_end_together() -> None:
    curves = tuple(a_short_curve(10_000, 10_001, name=name) for name in ("costs_x1", "costs_x0", "costs_x2", "other"))
    assert not overlapping(drawn(a_material(curves=curves, band=None)).figure)


@given(wanted=st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_places_are_a_gap_apart_in_order_and_moved_only_where_need_be(wanted: list[float]) -> None:
    places = apart(np.array(wanted), 0.1)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(places[order]) >= 0.1 - 1e-9).all()
    assert places.mean() == pytest.approx(np.mean(wanted))
    if (np.diff(np.sort(wanted)) >= 0.1).all():
        np.testing.assert_allclose(places, wanted)
