"""Another future is wild, keeps the contract of bars, and leaves the past alone."""

import numpy as np
import pytest
from runs import bits, composed

from botscalp.data.bars import checked
from botscalp.data.corruption import CORRUPTIONS, Corruption, corrupted, fork
from botscalp.types import Bars


@pytest.fixture(scope="module")
def bars() -> Bars:
    (market,) = composed().data.load()
    return market[:1_000]


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("first", [1, 500, 998, 999, 1_000])
def test_the_past_stays(bars: Bars, kind: Corruption, first: int) -> None:
    other = corrupted(bars, first, kind, np.random.default_rng(0))
    checked(other, key="kind", value=kind)
    for name, column in bars.columns():
        assert bits(getattr(other, name)[:first]) == bits(column[:first])
    assert other.open_time_ns[-1] == bars.open_time_ns[-1], "ranges of time keep their ends"


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_future_changes_in_every_column(bars: Bars, kind: Corruption) -> None:
    other = corrupted(bars, 500, kind, np.random.default_rng(0))
    if kind == "missing":
        assert bars.open_time_ns[500] not in other.open_time_ns and len(other) == 750
        return
    for name, column in bars.columns():
        if name != "open_time_ns":
            assert (getattr(other, name)[500:] != column[500:]).mean() > 0.9, name
    assert other.taker_buy_volume is not None and bars.taker_buy_volume is not None
    share, before = other.taker_buy_volume / other.volume, bars.taker_buy_volume / bars.volume
    assert np.abs(share - before)[500:].mean() > 0.01, "also what is a share of the volume"


def test_a_fork_agrees_up_to_its_last_common_bar(bars: Bars) -> None:
    one = fork(bars, 700, before=50, after=30, kind="noise", rng=np.random.default_rng(0))
    assert one.last == 50 and one.bars.open_time_ns[50] == bars.open_time_ns[700] and len(one.bars) == 81
    assert bits(one.bars.close[:51]) == bits(one.other.close[:51])
    assert (one.bars.close[51:] != one.other.close[51:]).all()
    assert fork(bars, 10, before=50, after=30, kind="noise", rng=np.random.default_rng(0)).last == 10
