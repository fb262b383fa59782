"""Surrogate bars keep what is no direction, and have exactly the directions that they are given."""

from dataclasses import replace

import numpy as np
import pytest
from runs import composed

from botscalp.data.bars import checked
from botscalp.pipeline.panel import Panel, assembled
from botscalp.sentinels.surrogates import (
    drawn_rows,
    last_sign,
    martingale_bars,
    momentum_bars,
    resigned,
    reversed_labels,
    shuffled_labels,
)
from botscalp.types import Bars

EXPERIMENT = composed("data.edge=0.3")


@pytest.fixture(scope="module")
def bars() -> Bars:
    """Bars with a strong signal, a tenth of them missing."""
    (whole,) = EXPERIMENT.data.load()
    kept = np.random.default_rng(0).random(len(whole)) > 0.1
    return replace(whole, **{name: column[kept] for name, column in whole.columns()})


@pytest.fixture(scope="module")
def panel() -> Panel:
    return assembled(EXPERIMENT.data.load(), features=EXPERIMENT.features, label=EXPERIMENT.label)


def test_unmirrored_bars_in_their_own_order_are_the_original(bars: Bars) -> None:
    same = resigned(bars, np.arange(len(bars)), np.zeros(len(bars), bool))
    for name, column in bars.columns():
        np.testing.assert_allclose(getattr(same, name), column, rtol=1e-9)


def test_mirrored_twice_is_the_original(bars: Bars) -> None:
    rows, all_of_them = np.arange(len(bars)), np.ones(len(bars), bool)
    once = resigned(bars, rows, all_of_them)
    np.testing.assert_allclose(np.log(once.close / once.open), -np.log(bars.close / bars.open), atol=1e-12)
    np.testing.assert_allclose(np.log(once.high / once.close), np.log(bars.close / bars.low), atol=1e-12)
    assert once.taker_buy_volume is not None and bars.taker_buy_volume is not None
    np.testing.assert_allclose(once.taker_buy_volume, bars.volume - bars.taker_buy_volume)
    twice = resigned(once, rows, all_of_them)
    for name, column in bars.columns():
        np.testing.assert_allclose(getattr(twice, name), column, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("repeat", [None, 0.2, 0.8])
def test_surrogates_keep_the_contract_times_and_ranges(bars: Bars, repeat: float | None) -> None:
    rng = np.random.default_rng(1)
    made = martingale_bars(bars, rng) if repeat is None else momentum_bars(bars, rng, repeat=repeat)
    checked(made, key="made", value=repeat)
    assert np.array_equal(made.open_time_ns, bars.open_time_ns)
    rows = drawn_rows(bars, np.random.default_rng(1))
    np.testing.assert_allclose(made.high / made.low, (bars.high / bars.low)[rows])
    np.testing.assert_array_equal(made.volume, bars.volume[rows])


def test_blocks_are_days(bars: Bars) -> None:
    rows = drawn_rows(bars, np.random.default_rng(0))
    assert len(rows) == len(bars) and rows.min() >= 0 and rows.max() < len(bars)
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    assert set(breaks) <= set(range(288, len(bars), 288)) and len(breaks) > 20


def test_signs_of_martingale_bars_are_coins(bars: Bars) -> None:
    """Neither the last return nor the takers, whom the original's next return follows, tell the next sign."""
    made = martingale_bars(bars, np.random.default_rng(2))
    assert made.taker_buy_volume is not None
    sign = last_sign(made)
    flow = np.sign(2 * made.taker_buy_volume - made.volume)
    for known in (sign, flow):
        assert abs(np.mean(known[:-1] * sign[1:])) < 4 / np.sqrt(len(sign))


@pytest.mark.parametrize("repeat", [0.1, 0.5, 0.7])
def test_momentum_repeats_signs_as_often_as_asked(bars: Bars, repeat: float) -> None:
    sign = last_sign(momentum_bars(bars, np.random.default_rng(3), repeat=repeat))
    assert np.mean(sign[1:] == sign[:-1]) == pytest.approx(repeat, abs=0.02)


def test_labels_are_shuffled_where_a_window_fits_and_real_on_test(panel: Panel) -> None:
    window = EXPERIMENT.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=3 * panel.interval_ns)[-1]
    labels = shuffled_labels(panel, window, np.random.default_rng(0), block=3)
    for part in (window.train, window.stopping, window.calibration):
        rows = panel.labelled_rows(part)
        assert labels[rows].mean() == panel.label_N[rows].mean()
        assert 0.4 < np.mean(labels[rows] == panel.label_N[rows]) < 0.6
    rest = np.ones(len(labels), bool)
    rest[np.concatenate([panel.labelled_rows(p) for p in (window.train, window.stopping, window.calibration)])] = False
    assert np.array_equal(labels[rest], panel.label_N[rest], equal_nan=True)
    turned = reversed_labels(panel, window, labels)
    assert np.array_equal(turned[~rest], 1 - labels[~rest])
    assert np.array_equal(turned[rest], labels[rest], equal_nan=True)
