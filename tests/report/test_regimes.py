"""The states of the market are drawn with the figures, intervals and counts that the summary has."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from pictures import clipped, foreign_colours, overlapping
from summaries import a_summary, estimate, undefined

from botscalp.report.drawing import SURFACE, Picture
from botscalp.report.figures.regimes import regimes


def state(kind: str, name: str, trades: int = 100, net: Any = None, auc: Any = None) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "rows": 1_000,
        "trades": trades,
        "auc": auc or estimate(0.52, 0.01),
        "mean_net_bps": net or estimate(-1.0, 2.0),
        "win_rate": estimate(0.4, 0.05),
    }


def months(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [state("month", f"{2019 + place // 12}-{place % 12 + 1:02d}", **changes) for place in range(count)]


def drawn(states: list[dict[str, Any]]) -> Picture:
    picture = regimes({"regimes": states})
    assert picture is not None
    return picture


def points(axes: Axes) -> dict[int, float]:
    return {int(line.get_xdata()[0]): line.get_ydata()[0] for line in axes.lines if line.get_marker() != "None"}


def whiskers(axes: Axes) -> dict[int, tuple[float, float]]:
    (lines,) = (one for one in axes.collections if isinstance(one, LineCollection))
    return {int(one[0, 0]): (one[0, 1], one[1, 1]) for one in lines.get_segments()}


def bars(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]


def test_points_whiskers_and_bars_are_the_summarys() -> None:
    summary = a_summary()
    picture = regimes(summary)
    assert picture is not None
    panels = np.array(picture.figure.axes).reshape(3, 2)
    for column, kind in enumerate(("volatility", "month")):
        mine = [one for one in summary["regimes"] if one["kind"] == kind]
        for row, name in enumerate(("mean_net_bps", "auc")):
            axes = panels[row, column]
            assert points(axes) == {place: one[name]["value"] for place, one in enumerate(mine)}
            assert whiskers(axes) == {place: (one[name]["low"], one[name]["high"]) for place, one in enumerate(mine)}
            (null,) = (line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--")
            assert null == {"mean_net_bps": 0.0, "auc": 0.5}[name]
        assert bars(panels[2, column]) == [one["trades"] for one in mine]
        assert [text.get_text() for text in panels[2, column].texts] == [f"{one['trades']:,}" for one in mine]
    assert panels[0, 0].get_ylim() == panels[0, 1].get_ylim()
    assert len(picture.table) == 3 + len([one for one in summary["regimes"] if one["kind"] == "month"])


def test_a_figure_without_interval_is_hollow_and_one_that_is_unknown_is_not_drawn() -> None:
    given = [
        state("month", "2024-01"),
        state("month", "2024-02", net=estimate(3.0)),
        state("month", "2024-03", trades=0, net=estimate(None)),
    ]
    picture = drawn(given)
    axes = picture.figure.axes[0]
    assert points(axes) == {0: -1.0, 1: 3.0} and whiskers(axes) == {0: (-3.0, 1.0)}
    hollow = [line.get_markerfacecolor() == SURFACE for line in axes.lines if line.get_marker() != "None"]
    assert hollow == [False, True]
    assert picture.table["net bps a trade"].tolist() == ["-1.00 [-3.00, +1.00]", "+3.00", "n/a"]


def test_without_trades_the_auc_is_drawn_alone_and_without_either_nothing() -> None:
    alone = drawn([state("volatility", name, trades=0, net=estimate(None)) for name in ("low", "middle", "high")])
    assert [axes.get_ylabel() for axes in alone.figure.axes] == ["AUC", "trades"]
    assert regimes(undefined(a_summary())) is None
    assert regimes({"regimes": []}) is None


def test_the_reading_counts_the_months() -> None:
    given = [
        state("volatility", "low", net=estimate(-4.0, 1.0)),
        state("volatility", "high", net=estimate(2.0, 1.0)),
        state("month", "2024-01", net=estimate(3.0, 1.0), auc=estimate(0.49, 0.02)),
        state("month", "2024-02", net=estimate(1.0, 5.0)),
        state("month", "2024-03", net=estimate(9.0)),
        state("month", "2024-04", net=estimate(-2.0, 1.0)),
    ]
    reading = drawn(given).reading
    assert "-4.00 bps at low, +2.00 bps at high volatility" in reading
    assert "mean net trade is above 0 in 3 of 4, with its whole 95 % interval in 1; wholly below in 1." in reading
    assert "AUC is above 0.5 in 3 of 4, with its whole 95 % interval in 3; wholly below in 0." in reading


def test_years_are_named_where_they_change() -> None:
    axes = drawn([state("month", name) for name in ("2023-11", "2023-12", "2024-01", "2024-02")]).figure.axes[-1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["11\n2023", "12", "01\n2024", "02"]


@pytest.mark.parametrize("count", [1, 12, 60])
def test_many_months_fit_as_do_few(count: int) -> None:
    terciles = [state("volatility", name, trades=123_456) for name in ("low", "middle", "high")]
    picture = drawn([*terciles, *months(count, trades=1_234)])
    assert not clipped(picture.figure) and not overlapping(picture.figure)
    assert not foreign_colours(picture)
