"""The histogram by outcome counts every row once and says how much is beyond the threshold, and at exactly 0 or 1."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from materials import a_material
from pictures import clipped, foreign_colours, overlapping
from summaries import a_summary, undefined

from botscalp.report.drawing import Picture
from botscalp.report.figures.histogram import histogram


def drawn(p: Any = None, label: Any = None, **changes: Any) -> Picture:
    if p is not None:
        changes["predictions"] = pd.DataFrame({"p_raw": p, "p": p, "label": label}, dtype=np.float64)
    picture = histogram(a_summary(), a_material(**changes))
    assert picture is not None
    return picture


def rows_of(picture: Picture, outcome: str) -> int:
    return int(picture.table[f"rows that {outcome}"].str.replace(",", "").astype(int).sum())


def test_each_outcome_has_the_area_1_and_the_counts_of_its_rows() -> None:
    picture, predictions = drawn(), a_material().predictions
    for step, name, label in zip(picture.figure.axes[0].patches, ("rose", "fell"), (1, 0), strict=True):
        chosen = predictions.loc[predictions["label"] == label, "p"]
        heights, edges, _ = step.get_data()
        np.testing.assert_allclose(heights * np.diff(edges) * len(chosen), np.histogram(chosen, edges)[0])
        assert step.get_label() == f"{name} ({len(chosen):,} rows)"
        assert rows_of(picture, name) == len(chosen)


@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=30), threshold=st.sampled_from([0.5, 0.54, 0.99]), data=st.data()
)
@settings(max_examples=15, deadline=None)
def test_no_row_is_lost_whatever_the_probabilities(p: list[float], threshold: float, data: st.DataObject) -> None:
    label = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(p), max_size=len(p)))
    picture = drawn(p, label, threshold=threshold)
    assert rows_of(picture, "rose") + rows_of(picture, "fell") == len(p)


def test_the_reading_says_how_far_apart_how_much_beyond_and_how_right() -> None:
    p, label = [0.40, 0.45, 0.50, 0.55, 0.60, 0.50, 0.50, 0.50], [0, 1, 0, 1, 1, 0, 1, 0]
    reading = drawn(p, label, threshold=0.54).reading
    assert "The mean p is 0.5250 where it rose and 0.4750 where it fell, +0.0500 apart" in reading
    assert "(AUC 0.5348 [0.5260, 0.5428]; 0.5 is no separation)" in reading
    assert "50.0% of the rows lie above 0.54 or below 0.46; 75.0% of these went that way" in reading
    assert "None is exactly 0 or 1" in reading


def test_the_reading_names_probabilities_of_exactly_0_or_1() -> None:
    assert "25.00% are exactly 0 or 1" in drawn([0.0, 0.4, 0.6, 0.999], [0, 1, 0, 1]).reading


def test_the_reading_says_where_windows_chose_thresholds_of_their_own() -> None:
    summary = a_summary()
    for window, threshold in zip(summary["windows"], (0.52, 0.56, 0.54, 0.54), strict=True):
        window["bracket"]["threshold"] = threshold
    picture = histogram(summary, a_material(threshold=0.54))
    assert picture is not None and "(windows chose 0.52 to 0.56)" in picture.reading


def test_both_thresholds_are_marked_or_said_to_lie_off_the_scale() -> None:
    def marks(picture: Picture) -> tuple[list[float], list[str]]:
        axes = picture.figure.axes[0]
        return [line.get_xdata()[0] for line in axes.lines], [text.get_text() for text in axes.texts]

    places, words = marks(drawn(threshold=0.54))
    assert places == pytest.approx([0.46, 0.54]) and words == ["short below 0.46", "long above 0.54"]
    places, words = marks(drawn(threshold=0.95))
    assert places == [] and words == ["short below 0.05, off the scale", "long above 0.95, off the scale"]


@pytest.mark.parametrize("threshold", [0.5, 0.54, 0.95])
def test_it_fits_its_canvas_and_its_palette(threshold: float) -> None:
    picture = drawn(threshold=threshold)
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    assert not foreign_colours(picture)


def test_the_two_outcomes_differ_in_colour_and_in_dash() -> None:
    rose, fell = drawn().figure.axes[0].patches
    assert rose.get_edgecolor() != fell.get_edgecolor() and rose.get_linestyle() != fell.get_linestyle()


def test_one_outcome_alone_is_drawn() -> None:
    assert "All rows rose" in drawn([0.5, 0.6], [1, 1]).reading


def test_undefined_figures_do_not_keep_it_from_being_drawn() -> None:
    picture = histogram(undefined(a_summary()), a_material())
    assert picture is not None and "(AUC n/a; 0.5 is no separation)" in picture.reading


def test_there_is_none_without_rows() -> None:
    assert histogram(a_summary(), a_material(predictions=a_material().predictions.iloc[:0])) is None
