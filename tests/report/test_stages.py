"""Where the time went: every stage's seconds, and what is left of the whole."""

from typing import Any

import pytest
from matplotlib.patches import Rectangle
from pictures import clipped, foreign_colours, overlapping
from summaries import a_summary

from botscalp.report.drawing import Picture
from botscalp.report.figures.stages import STAGES, stages


def seconds(picture: Picture) -> dict[str, float]:
    (axes,) = picture.figure.axes
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    return dict(zip([label.get_text() for label in axes.get_yticklabels()], widths, strict=True))


def test_the_bars_add_up_to_the_whole() -> None:
    time = a_summary()["time"]
    drawn = seconds(stages({"time": time}))
    assert {name: drawn[name] for name in STAGES.values()} == {name: time[stage] for stage, name in STAGES.items()}
    assert sum(drawn.values()) == pytest.approx(time["total_s"])
    assert drawn["all else"] > 0


def test_every_stage_of_the_summary_has_a_name() -> None:
    assert set(STAGES) | {"total_s", "samples_per_s", "steps_s", "overhead"} == set(a_summary()["time"])


def test_the_reading_names_the_longest_and_the_pace() -> None:
    time = dict.fromkeys(STAGES, 1.0) | {"fit_s": 30.0, "total_s": 40.0, "samples_per_s": 55_991.2}
    reading = stages({"time": time}).reading
    assert reading == "The run took 40 s; fitting took longest, 30.0 s. Fitting went through 55,991 samples a second."


def test_reused_windows_that_took_longer_than_the_run_are_explained() -> None:
    time: dict[str, Any] = dict.fromkeys(STAGES, 1.0) | {"fit_s": 300.0, "total_s": 40.0, "samples_per_s": 1.0}
    picture = stages({"time": time})
    assert "all else" not in seconds(picture) and "windows that were reused" in picture.reading


def test_shares_are_of_the_whole() -> None:
    time = dict.fromkeys(STAGES, 1.0) | {"total_s": 10.0, "samples_per_s": 1.0}
    table = stages({"time": time}).table
    assert table["share"].tolist() == ["10%"] * 7 + ["30%", ""]
    assert table["seconds"].tolist() == ["1.00"] * 7 + ["3.00", "10.00"]


@pytest.mark.parametrize("total_s", [0.0, 83.9, 123_456.7])
def test_it_fits_its_canvas_and_its_palette(total_s: float) -> None:
    picture = stages({"time": a_summary()["time"] | dict.fromkeys(STAGES, total_s / 9) | {"total_s": total_s}})
    assert not clipped(picture.figure) and not overlapping(picture.figure) and not foreign_colours(picture)
