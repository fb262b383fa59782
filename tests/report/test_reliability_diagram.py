"""The reliability diagram draws the summary's bins and says whether the probabilities are to be believed."""

from typing import Any

import numpy as np
import pytest
from pictures import clipped, foreign_colours, overlapping, twins
from summaries import a_summary, undefined

from botscalp.report.drawing import Picture
from botscalp.report.figures.reliability import reliability


def drawn(**changes: Any) -> Picture:
    picture = reliability(a_summary(**changes))
    assert picture is not None
    return picture


def a_bin(mean_p: float, share_up: float, half_width: float = 0.02) -> dict[str, float]:
    return {
        "rows": 100,
        "mean_p": mean_p,
        "share_up": share_up,
        "low": max(0.0, mean_p - half_width),
        "high": min(1.0, mean_p + half_width),
    }


def test_points_are_the_bins() -> None:
    calibration, lines = a_summary()["calibration"], drawn().figure.axes[0].lines
    for line, name, key in zip(lines, ("calibrated", "raw"), ("reliability", "reliability_raw"), strict=False):
        assert line.get_label() == name
        assert list(line.get_xdata()) == [one["mean_p"] for one in calibration[key]]
        assert list(line.get_ydata()) == [one["share_up"] for one in calibration[key]]


def test_the_band_is_that_of_the_calibrated_bins_and_reaches_to_the_raw_ones() -> None:
    calibrated = [a_bin(0.48, 0.5), a_bin(0.52, 0.5)]
    raw = [a_bin(0.3, 0.4, 0.05), a_bin(0.5, 0.5, 0.05), a_bin(0.7, 0.6, 0.05)]
    (band,) = drawn(calibration={"reliability": calibrated, "reliability_raw": raw}).figure.axes[0].collections
    corners = {(round(x, 9), round(y, 9)) for x, y in band.get_paths()[0].vertices.tolist()}
    expected = {(one["mean_p"], one[end]) for one in (raw[0], *calibrated, raw[2]) for end in ("low", "high")}
    assert corners == {(round(x, 9), round(y, 9)) for x, y in expected}


def test_everything_lies_in_view_and_the_view_is_no_wider() -> None:
    axes = drawn().figure.axes[0]
    bins = [one for key in ("reliability", "reliability_raw") for one in a_summary()["calibration"][key]]
    low, high = min(one["low"] for one in bins), max(one["high"] for one in bins)
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[0] < low and high < axes.get_xlim()[1]
    assert axes.get_xlim()[1] - axes.get_xlim()[0] < 1.1 * (high - low)


def test_the_density_below_has_the_area_1() -> None:
    below = drawn().figure.axes[1]
    heights, edges, _ = below.patches[0].get_data()
    histogram = a_summary()["histogram"]
    np.testing.assert_allclose(heights * np.diff(edges) * sum(histogram["counts"]), histogram["counts"])
    assert float(heights @ np.diff(edges)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ece", "meaning"),
    [
        (0.0099, "no miscalibration to be seen"),
        (0.0301, "the probabilities are miscalibrated"),
        (0.0001, "too good to be true"),
    ],
)
def test_the_reading_holds_the_error_against_what_chance_gives(ece: float, meaning: str) -> None:
    reading = drawn(calibration={"ece_apart": ece}).reading
    assert f"The expected calibration error (ECE) of rows a label apart is {ece:.5f}" in reading
    assert "[0.00160, 0.01340]" in reading and meaning in reading
    assert "Brier score 0.24910 = 0.00038 miscalibration - 0.00127 discrimination + 0.24994 uncertainty" in reading


def test_the_reading_counts_points_in_the_band() -> None:
    bins = [a_bin(0.4, 0.4), a_bin(0.5, 0.6), a_bin(0.6, 0.61)]
    reading = drawn(calibration={"reliability": bins, "reliability_raw": bins[1:2]}).reading
    assert "2 of 3 calibrated and 0 of 1 raw points lie in the band" in reading


def test_saturated_or_constant_probabilities_are_drawn() -> None:
    assert not clipped(
        drawn(calibration={"reliability": [a_bin(0.0, 0.0, 0), a_bin(1.0, 1.0, 0)], "reliability_raw": []}).figure
    )
    axes = drawn(calibration={"reliability": [a_bin(0.5, 0.5, 0)], "reliability_raw": []}).figure.axes[0]
    assert axes.get_xlim() == pytest.approx((0.49, 0.51))


def test_undefined_figures_are_said_to_be() -> None:
    picture = reliability(undefined(a_summary()))
    assert picture is not None
    assert "(ECE) is undefined" in picture.reading and "Brier" not in picture.reading


def test_there_is_none_without_labelled_rows() -> None:
    assert reliability(a_summary(calibration={"reliability": [], "reliability_raw": []})) is None


def test_it_fits_its_canvas_its_palette_and_tells_its_lines_apart() -> None:
    picture = drawn()
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    assert not foreign_colours(picture)
    assert not twins(picture.figure.axes[0])
    assert len(picture.table) == 20
