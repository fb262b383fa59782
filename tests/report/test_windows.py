"""The timeline draws each window where it was and each figure with its interval, for one window as for sixty."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pictures import clipped, foreign_colours, overlapping
from summaries import a_summary, a_window, undefined

from botscalp.report.drawing import Picture
from botscalp.report.figures.windows import rows_of, windows


def drawn(**changes: Any) -> Picture:
    picture = windows(a_summary(**changes))
    assert picture is not None
    return picture


def some_windows(count: int) -> list[dict[str, Any]]:
    """Weekly windows, each trained for eight weeks."""
    weeks = [time.strftime("%Y-%m-%dT00:00:00Z") for time in pd.date_range("2023-01-02", periods=count + 10, freq="7D")]
    return [a_window(n, weeks[n], weeks[n + 8], weeks[n + 9], weeks[n + 10]) for n in range(count)]


def marked(picture: Picture, row: int) -> dict[str, list[tuple[str, float]]]:
    """By the marker's meaning: the day and the height of each point of that row."""
    axes = picture.figure.axes[1 + row]
    return {
        str(line.get_label()): [
            (str(np.datetime64(time, "D")), height)
            for time, height in zip(line.get_xdata(orig=True), line.get_ydata(orig=True), strict=True)
        ]
        for line in axes.lines
        if line.get_label() in ("above", "below", "undecided")
    }


@pytest.mark.parametrize("count", [1, 4, 60])
def test_it_fits_its_canvas_and_its_palette_however_many_windows(count: int) -> None:
    picture = drawn(windows=some_windows(count))
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    assert not foreign_colours(picture)
    assert len(picture.table) == count + 1


def test_bars_span_the_ranges() -> None:
    summary = a_summary()
    bars = drawn().figure.axes[0].containers
    assert [bar.get_label() for bar in bars] == ["train", "validation", "test"]
    for bar in bars:
        for window, patch in zip(summary["windows"], bar.patches, strict=True):
            start, end = (np.datetime64(time[:-1]) for time in window[bar.get_label()])
            day = np.datetime64("1970-01-01")
            assert patch.get_x() == (start - day) / np.timedelta64(1, "D")
            assert patch.get_width() == pytest.approx((end - start) / np.timedelta64(1, "D"))
    assert len({patch.get_hatch() for bar in bars for patch in bar.patches}) == 3


def test_points_stand_in_the_middle_of_their_test_marked_by_their_interval() -> None:
    found = some_windows(3)
    for window, ends in zip(found, ([0.51, 0.54], [0.46, 0.49], [0.49, 0.52]), strict=True):
        window["metrics"]["auc"], window["intervals"]["auc"] = sum(ends) / 2, ends
    points = marked(drawn(windows=found), 0)
    assert points == {
        "above": [("2023-03-09", pytest.approx(0.525))],
        "undecided": [("2023-03-23", pytest.approx(0.505))],
        "below": [("2023-03-16", pytest.approx(0.475))],
    }


def test_whiskers_are_the_intervals_and_the_band_is_that_of_all() -> None:
    summary = a_summary()
    for axes, key in zip(drawn().figure.axes[1:], ("auc", "brier_skill", "mean_net_bps"), strict=True):
        whiskers = [path.vertices[:, 1].tolist() for lines in axes.collections for path in lines.get_paths()]
        assert sorted(whiskers) == sorted(window["intervals"][key] for window in summary["windows"])
        pooled = summary["intervals"]["backtest" if key == "mean_net_bps" else "test"][key]
        (band,) = axes.patches
        assert [band.get_y(), band.get_y() + band.get_height()] == pytest.approx(pooled)


def test_each_row_has_its_null_and_holds_it_in_view() -> None:
    for row, axes in zip(rows_of(a_summary()), drawn().figure.axes[1:], strict=True):
        assert [row.null, row.null] in [list(line.get_ydata()) for line in axes.lines]
        assert axes.get_ylim()[0] <= row.null <= axes.get_ylim()[1]


def test_the_reading_counts_windows_and_what_is_more_than_luck() -> None:
    found = some_windows(4)
    for window, value in zip(found, (0.53, 0.51, 0.49, None), strict=True):
        window["metrics"]["auc"] = value
        window["intervals"]["auc"] = None if value is None else [value - 0.02, value + 0.02]
        window["mean_net_bps"], window["intervals"]["mean_net_bps"] = -5.0, [-6.0, -4.0]
    reading = drawn(windows=found).reading
    assert (
        "AUC is above 0.5 in 2 of 3 windows, undefined in 1 (0.4900 to 0.5300; the whole interval is above in 1)"
        in reading
    )
    assert "net bps a trade is above 0 in 0 of 4 windows (-5.00; the whole interval is below in 4)" in reading


def test_undefined_figures_leave_gaps_and_are_said() -> None:
    picture = windows(undefined(a_summary()))
    assert picture is not None
    assert picture.reading.count("is undefined in every window") == 3
    assert not clipped(picture.figure)
    assert (picture.table["AUC"] == "n/a").all()


def test_a_figure_without_an_interval_is_undecided() -> None:
    found = some_windows(2)
    found[0]["intervals"]["auc"] = None
    points = marked(drawn(windows=found), 0)
    assert len(points["undecided"]) == 1 and len(points["above"]) + len(points["below"]) <= 1


def test_there_is_none_without_windows() -> None:
    assert windows(a_summary(windows=[])) is None
