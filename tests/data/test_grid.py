"""Where bars open: by the calendar where it says so, by the bars' own times where it does not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.data.grid import ANY_TIME, Grid, grid_of
from botscalp.times import DAY_NS, UNITS_NS, parse_interval, parse_time_ns

grids = st.builds(Grid, st.integers(1, 50), st.integers(0, 49))
times = st.integers(-500, 500)
spans = st.lists(st.tuples(times, st.integers(0, 120)).map(lambda one: (one[0], one[0] + one[1])), max_size=8)


@given(grids, times)
def test_each_time_lies_in_one_bar(grid: Grid, time: int) -> None:
    number = grid.number(time)
    assert grid.time_ns(number) <= time < grid.time_ns(number + 1)
    following = grid.next_ns(time)
    assert time <= following < time + grid.step_ns and grid.holds(np.array([following])).all()
    assert grid.number(np.array([time])).tolist() == [number]


@given(grids, spans)
def test_joined_spans_hold_the_bars_that_open_within_any_of_them(grid: Grid, given_: list[tuple[int, int]]) -> None:
    opens = [grid.time_ns(number) for number in range(grid.number(-600), grid.number(700))]
    joined = grid.joined(given_)
    for open_ in opens:
        inside = any(start <= open_ < end for start, end in given_)
        assert inside == any(start <= open_ < end for start, end in joined)
    edges = [edge for span in joined for edge in span]
    assert all(one < other for one, other in pairwise(edges)), "in order, and apart"
    assert grid.holds(np.array(edges, dtype=np.int64)).all()
    assert grid.joined(joined) == joined


@pytest.mark.parametrize(
    ("interval", "phase_ns"),
    [
        *(("1s", 0), ("5m", 0), ("8h", 0), ("1d", 0), ("1w", 4 * DAY_NS), ("2w", 4 * DAY_NS)),
        *(("7m", 3 * UNITS_NS["m"]), ("3d", 2 * DAY_NS + 3 * UNITS_NS["m"])),
    ],
)
def test_the_calendar_decides_where_it_can_and_the_bar_where_it_cannot(interval: str, phase_ns: int) -> None:
    interval_ns = parse_interval(interval)
    opens_ns = 35 * DAY_NS + 3 * UNITS_NS["m"]  # 35 days are a multiple of 7 minutes
    assert grid_of(interval_ns, opens_ns) == Grid(interval_ns, phase_ns)


def test_weeks_open_on_monday() -> None:
    weeks = grid_of(UNITS_NS["w"])
    for day, monday in (("2024-01-01", "2024-01-01"), ("2024-01-02", "2024-01-08"), ("1970-01-01", "1970-01-05")):
        assert weeks.next_ns(parse_time_ns(day, key="")) == parse_time_ns(monday, key="")


def test_any_time_is_on_no_grid() -> None:
    assert ANY_TIME.next_ns(12_345) == 12_345 and ANY_TIME.joined([(5, 9), (1, 3), (8, 11)]) == [(1, 3), (5, 11)]
