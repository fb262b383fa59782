"""A heat map shows each value in its cell, and marks the cells that say little, and the run's own."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from heat_maps import drawn_values, key, marked, numbers_in
from hypothesis import given, settings
from hypothesis import strategies as st
from materials import a_material
from matplotlib import colormaps
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from pictures import clipped, foreign_colours, overlapping

from botscalp.report.drawing import DIVERGING, GRID, PALETTE, Picture
from botscalp.report.figures.cells import DARK_TEXT, LIGHT_TEXT
from botscalp.report.figures.heat_map import MIN_TRADES, aligned, grid, threshold_costs

OF_CELLS = {to_hex(colormaps[DIVERGING](place)) for place in range(256)} | {DARK_TEXT, LIGHT_TEXT}
THRESHOLDS, MULTIPLES = (0.5, 0.52, 0.54, 0.56), (0.0, 1.0, 2.0)


def a_table(**columns: object) -> pd.DataFrame:
    """Every threshold with every multiple, all of 100 trades and 1 bps [0.5, 1.5], unless said otherwise."""
    table = pd.DataFrame(list(product(THRESHOLDS, MULTIPLES)), columns=["threshold", "multiple"])
    return table.assign(**({"trades": 100, "mean_net_bps": 1.0, "low": 0.5, "high": 1.5} | columns))


def of_table(table: pd.DataFrame, threshold: float = 0.54) -> Picture:
    picture = threshold_costs(a_material(threshold=threshold, threshold_costs=table))
    assert picture is not None
    return picture


cells_of_any_kind = st.lists(
    st.tuples(st.integers(0, 80), st.one_of(st.floats(-40, 40), st.just(np.nan)), st.floats(0.01, 20), st.booleans()),
    min_size=12,
    max_size=12,
)


@settings(max_examples=10, deadline=None)
@given(cells_of_any_kind, st.randoms(use_true_random=False))
def test_cells_show_the_table_and_grey_and_hatched_are_those_that_should_be(rows: Any, random: Any) -> None:
    trades, mean, width, has_interval = map(np.array, zip(*rows, strict=True))
    half = np.where(has_interval, width, np.nan)
    table = a_table(trades=np.maximum(trades, 1), mean_net_bps=mean, low=mean - half, high=mean + half)
    figure = of_table(table.sample(frac=1, random_state=random.randrange(1000))).figure
    shown = drawn_values(figure)
    for place, (count, value, low, high) in enumerate(
        zip(table.trades, table.mean_net_bps, table.low, table.high, strict=True)
    ):
        at = divmod(place, len(MULTIPLES))
        known = count >= 30 and not np.isnan(value)
        assert bool(np.ma.getmaskarray(shown)[at]) == (not known)
        assert (at in marked(figure, "unsure")) == (known and not (low > 0 or high < 0))
        if known:
            assert shown[at] == value
            assert float(numbers_in(figure)[at].replace("−", "-")) == pytest.approx(value, abs=0.051)  # noqa: RUF001
        else:
            assert at not in numbers_in(figure)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_outlined_cell_is_the_runs(threshold: float) -> None:
    figure = of_table(a_table(), threshold).figure
    assert marked(figure, "own") == {(THRESHOLDS.index(threshold), MULTIPLES.index(1.0))}
    axes = figure.axes[0]
    assert axes.get_yticklabels()[THRESHOLDS.index(threshold)].get_text() == f"{threshold:.2f} (100)"
    assert axes.get_xticklabels()[1].get_text() == "as set"
    (bold,) = (text for text in axes.texts if text.get_fontweight() == "bold")
    assert bold.get_position() == (1, THRESHOLDS.index(threshold))


def test_without_the_runs_threshold_none_is_outlined() -> None:
    picture = of_table(a_table(), threshold=0.53)
    assert not marked(picture.figure, "own") and "this run" not in key(picture.figure)
    assert picture.reading.startswith("The best threshold at the costs as set is 0.5 ")


def test_the_key_explains_what_is_there_and_nothing_else() -> None:
    plain = {"trades": 100, "mean_net_bps": 1.0, "low": 0.5, "high": 1.5}
    assert key(of_table(a_table(**plain)).figure) == ["this run"]
    assert key(of_table(a_table(**plain | {"low": -0.5})).figure) == ["this run", "not told apart from 0 (95 %)"]
    few = [3, *[100] * 11]
    assert key(of_table(a_table(**plain | {"trades": few})).figure) == ["this run", f"fewer than {MIN_TRADES} trades"]


def test_the_reading_says_what_the_run_has_and_what_it_would_mean_to_choose() -> None:
    table = a_table(mean_net_bps=[4, -9, -9, 5, 1, -9, 6, 2, -9, 7, 3, -9], low=[3, -10, -10, 4, -1, -10] * 2, high=9.0)
    reading = of_table(table, threshold=0.54).reading
    assert (
        "At the run's threshold, 0.54, and the costs as set the mean net trade is +2.00 [-10.00, +9.00] bps" in reading
    )
    assert "above 0 up to 1 x the costs, with its whole 95 % interval only without costs." in reading
    assert "The best threshold at the costs as set is 0.56 with +3.00 [-1.00, +9.00] bps." in reading
    assert "choose on the test bars: one more search" in reading


def test_a_run_with_few_trades_is_not_read_as_a_result() -> None:
    picture = of_table(a_table(trades=[100] * 6 + [7] * 3 + [100] * 3), threshold=0.54)
    assert "there are 7 trades, too few to tell." in picture.reading
    assert picture.table.loc[2].tolist() == ["0.54", "7", *["n/a (7 trades)"] * 3]
    assert "No threshold has 30 trades" in of_table(a_table(trades=7)).reading


def test_the_table_holds_the_numbers() -> None:
    table = of_table(a_table(mean_net_bps=np.arange(12.0), low=-1.0, high=[np.nan, *[20.0] * 11])).table
    assert table.columns.tolist() == [
        *("threshold", "trades", "net bps, costs 0 x", "net bps, costs as set", "net bps, costs 2 x")
    ]
    assert table.loc[0].tolist() == ["0.50", "100", "+0.00", "+1.00 [-1.00, +20.00]", "+2.00 [-1.00, +20.00]"]


def test_a_level_of_costs_that_cannot_be_is_a_column_less_and_a_missing_cell_is_grey() -> None:
    table = a_table()
    figure = of_table(table[table.multiple < 2]).figure
    assert drawn_values(figure).shape == (4, 2)
    assert np.ma.getmaskarray(drawn_values(of_table(table.drop(index=5)).figure)).nonzero() == ([1], [2])


def test_without_any_trade_there_is_no_picture() -> None:
    nothing = a_table(trades=0, mean_net_bps=np.nan, low=np.nan, high=np.nan)
    assert threshold_costs(a_material(threshold_costs=nothing)) is None
    assert threshold_costs(a_material(threshold_costs=nothing.iloc[:0])) is None


def test_on_a_dark_page_cells_keep_their_colours_and_all_else_changes() -> None:
    trades = [5, *[100] * 11]
    picture = of_table(a_table(mean_net_bps=np.arange(-5.0, 7.0), low=-1.0, high=1.0, trades=trades))
    assert foreign_colours(picture) <= OF_CELLS
    assert not OF_CELLS & set(PALETTE.values())
    (mesh,) = picture.figure.axes[0].collections
    assert isinstance(mesh, QuadMesh) and to_hex(mesh.get_cmap().get_bad()) == GRID


def test_the_runs_picture_fits_and_nothing_lies_on_anything() -> None:
    picture = threshold_costs(a_material())
    assert picture is not None and not clipped(picture.figure) and not overlapping(picture.figure)


a_grid = st.dictionaries(
    st.sampled_from(["threshold", "stop_atr", "target_atr", "max_hold"]), st.integers(1, 5), min_size=1
)


@settings(max_examples=10, deadline=None)
@given(a_grid, st.integers(0, 1000))
def test_a_grids_cells_are_medians_over_all_but_its_two_longest_keys(lengths: dict[str, int], seed: int) -> None:
    values = {name: [0.5 + place / 2 for place in range(length)] for name, length in lengths.items()}
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(list(product(*values.values())), columns=list(values))
    table["trades"], table["mean_net_bps"] = rng.integers(20, 80, len(table)), rng.normal(0, 5, len(table))
    table.loc[rng.random(len(table)) < 0.1, ["mean_net_bps"]] = np.nan
    picture = grid(table.sample(frac=1, random_state=seed), values)
    shown = drawn_values(picture.figure)
    column, *rest = sorted(values, key=lambda name: -len(values[name]))
    for at, value in np.ndenumerate(np.ma.filled(shown, np.nan)):
        cell = table[table[column] == values[column][at[1]]]
        if rest:
            cell = cell[cell[rest[0]] == values[rest[0]][at[0]]]
        expected = np.nan if cell.trades.median() < 30 else cell.mean_net_bps.median()
        np.testing.assert_equal(value, expected)
    assert shown.shape == (len(values[rest[0]]) if rest else 1, len(values[column]))
    assert not marked(picture.figure, "own") | marked(picture.figure, "unsure")
    assert not clipped(picture.figure)


def test_a_grids_reading_names_the_best_cell_and_that_it_is_no_evidence() -> None:
    values = {"threshold": [0.5, 0.55], "stop_atr": [1.0, 1.5, 2.0]}
    table = pd.DataFrame(list(product(*values.values())), columns=list(values))
    table = table.assign(trades=[50, 50, 50, 50, 50, 9], mean_net_bps=[-1.0, 2.0, -1.0, 4.0, -2.0, 99.0])
    picture = grid(table, values)
    assert "Of 6 settings 3 have a mean net trade above 0 bps. Of 5 cells" in picture.reading
    assert "2 are above 0, and stop_atr 1.0, threshold 0.55 is the best with +4.00 bps" in picture.reading
    assert picture.reading.endswith("The best of so many is no evidence by itself.")
    assert picture.table.iloc[1].tolist() == ["0.55", "+4.00", "-2.00", "n/a"]
    nothing = grid(table.assign(trades=3), values)
    assert nothing.reading.startswith("None of 6 settings can be told anything of")
    assert np.ma.getmaskarray(drawn_values(nothing.figure)).all()


def test_values_are_written_with_the_decimals_of_the_finest() -> None:
    assert aligned([0.5, 0.55, 1]) == ["0.50", "0.55", "1.00"]
    assert aligned([6.0, 12.0]) == ["6", "12"]
    assert aligned([1e-9, 0.5]) == ["1e-09", "0.5"]
