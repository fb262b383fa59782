"""The causality check finds planted leaks by name and lets clean features pass."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from botscalp.errors import CausalityError
from botscalp.features.causality import check_causality
from botscalp.features.feature_set import FeatureSet
from botscalp.types import Bars, Float32, Float64


def _last_row(bars: Bars) -> Float64:
    x = bars.close / bars.open - 1
    x[-1] = 0.0
    return x


LEAKS: dict[str, Callable[[Bars], Any]] = {
    "shifted": lambda bars: pd.Series(bars.close).shift(-1).to_numpy() / bars.close,
    "next_or_last": lambda bars: np.append(bars.close[1:], bars.close[-1:]) / bars.close,
    "centred_window": lambda bars: pd.Series(bars.close).rolling(5, center=True).mean().to_numpy() / bars.close,
    "full_sample_z": lambda bars: (bars.volume - bars.volume.mean()) / bars.volume.std(),
    "full_sample_rank": lambda bars: pd.Series(bars.volume).rank(pct=True).to_numpy(),
    "last_row": _last_row,
    "interpolated": lambda bars: pd.Series(np.where(np.arange(len(bars)) % 2, np.nan, bars.close)).interpolate(
        limit_direction="both"
    ).to_numpy(),
    "high_of_day": lambda bars: pd.Series(bars.high).groupby(bars.open_time_ns // 86_400_000_000_000).transform("max")
    .to_numpy(),
    "smoothed_both_ways": lambda bars: pd.Series(bars.close[::-1]).ewm(span=9).mean().to_numpy()[::-1],
}  # fmt: skip


def names(features: FeatureSet) -> list[str]:
    return [feature.name for feature in features.columns]


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_caught_by_name(technical: FeatureSet, make_bars: Callable[..., Bars], leak: str) -> None:
    def compute(bars: Bars) -> Float32:
        clean_TF = technical.compute(bars)
        return np.insert(clean_TF, 3, LEAKS[leak](bars).astype(np.float32), axis=1)

    columns = names(technical)
    columns.insert(3, leak)
    bars = make_bars(3_000)
    for seed in range(10):
        with pytest.raises(CausalityError) as error:
            check_causality(compute, bars, compute(bars), names=columns, seed=seed)
        message = str(error.value)
        assert message.startswith(f"features={leak}: BTCUSDT at the bar of 2024-01-") and "remedy" in message
        assert not any(name in message for name in names(technical))


def test_the_message_names_the_first_bar_that_changes(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(1_000)

    def compute(bars: Bars) -> Float32:
        z = bars.volume - bars.volume.mean()
        z[:144] = 0  # the first half of the first day is clean
        return np.column_stack([bars.volume, z, -z]).astype(np.float32)

    with pytest.raises(CausalityError, match=r"features=two, three: .* 2024-01-01T12:00:00Z "):
        check_causality(compute, bars, compute(bars), names=["one", "two", "three"], seed=0)


@pytest.mark.parametrize("seed", range(10))
def test_clean_features_pass(technical: FeatureSet, make_bars: Callable[..., Bars], seed: int) -> None:
    bars = make_bars(2_000, seed)
    check_causality(technical.compute, bars, technical.compute(bars), names=names(technical), seed=seed)


def test_clean_features_pass_on_real_bars(technical: FeatureSet, btc: Bars) -> None:
    check_causality(technical.compute, btc, technical.compute(btc), names=names(technical), seed=0)


def test_an_error_in_another_process_comes_from_the_same_cuts(make_bars: Callable[..., Bars]) -> None:
    bars = make_bars(500)
    rows: list[int] = []

    def compute(bars: Bars) -> Float32:
        rows.append(len(bars))
        return bars.close[:, None].astype(np.float32)

    for _ in range(2):
        check_causality(compute, bars, bars.close[:, None].astype(np.float32), names=["close"], seed=3, cuts=5)
    assert rows[:5] == rows[5:] == sorted(rows[:5]) and len(set(rows)) == 5
    assert all(0 < n < 500 for n in rows)


def test_nan_equals_nan_however_it_is_written(make_bars: Callable[..., Bars]) -> None:
    def compute(bars: Bars) -> Float32:
        x_TF = np.zeros((len(bars), 1), dtype=np.float32)
        x_TF[:5] = np.uint32(0x7FC00000 + len(bars)).view(np.float32)
        return x_TF

    bars = make_bars(100)
    check_causality(compute, bars, compute(bars), names=["x"], seed=0)


@pytest.mark.parametrize("rows", [1, 2, 100, 380, 381])
def test_few_bars_are_no_obstacle(technical: FeatureSet, make_bars: Callable[..., Bars], rows: int) -> None:
    bars = make_bars(rows)
    check_causality(technical.compute, bars, technical.compute(bars), names=names(technical), seed=0)
