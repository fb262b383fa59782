"""When a trial is not worth another window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botscalp.pipeline.search.order import TrialOrder

WINDOWS = 8
scores = st.lists(st.floats(-0.01, 0.01), min_size=WINDOWS, max_size=WINDOWS).map(tuple)
months = st.lists(st.floats(-0.1, 0.1), min_size=WINDOWS, max_size=WINDOWS)


def order(incumbent: tuple[float, ...] | None) -> TrialOrder:
    return TrialOrder(
        number=9,
        objective="brier_skill",
        incumbent=None if incumbent is None else 4,
        scores=incumbent or (),
        timeout_s=None,
    )


def stops(one: TrialOrder, scores: tuple[float, ...]) -> list[bool]:
    return [one.reason_to_stop(scores[:seen]) is not None for seen in range(1, WINDOWS + 1)]


@given(scores, scores, months)
def test_an_easy_month_deceives_nobody(mine: tuple[float, ...], best: tuple[float, ...], ease: list[float]) -> None:
    """What a month adds to both changes no decision."""
    mine, best = np.round(mine, 6), np.round(best, 6)
    gaps = np.subtract(mine, best)
    if all(np.ptp(gaps[:seen]) > 1e-4 for seen in range(3, WINDOWS)):  # else rounding decides
        plain, eased = order(tuple(best)), order(tuple(best + ease))
        near = [abs((_p(gaps[:seen])) - 0.05) < 1e-6 for seen in range(3, WINDOWS)]
        if not any(near):
            assert stops(plain, tuple(mine)) == stops(eased, tuple(mine + ease))


def _p(gaps: np.ndarray) -> float:
    from botscalp.statistics.paired import worse_p

    p = worse_p(gaps)
    assert p is not None
    return p


@given(scores)
def test_the_first_trial_runs_to_its_end(mine: tuple[float, ...]) -> None:
    assert not any(stops(order(None), mine))


@given(scores, st.floats(1e-4, 1e-2))
def test_whoever_is_worse_everywhere_ends_after_three_windows(best: tuple[float, ...], gap: float) -> None:
    mine = tuple(np.subtract(best, gap * np.linspace(1.0, 1.1, WINDOWS)))
    assert stops(order(best), mine) == [False, False, *[True] * 5, False]


@given(scores, st.floats(0, 1e-2))
def test_whoever_is_as_good_everywhere_never_ends(best: tuple[float, ...], gap: float) -> None:
    assert not any(stops(order(best), tuple(np.add(best, gap))))


@given(scores, scores)
def test_the_estimate_of_all_windows_is_their_mean(mine: tuple[float, ...], best: tuple[float, ...]) -> None:
    assert order(best).estimate(mine) == pytest.approx(np.mean(mine))
    assert order(None).estimate(mine) == pytest.approx(np.mean(mine))


def test_the_estimate_of_the_first_windows_does_not_take_their_ease_for_skill() -> None:
    best = (0.03, 0.03, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0)  # three easy months
    assert order(best).estimate((0.02, 0.02, 0.02)) == pytest.approx(np.mean(best) - 0.01)
