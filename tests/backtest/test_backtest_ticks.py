"""The price step that prices show."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from backtest_cases import noise, predicted_bars
from hypothesis import given
from hypothesis import strategies as st

from botscalp.backtest import inferred_tick
from botscalp.types import Bars

COLUMNS = ["open", "high", "low", "close"]


def bars_at(prices: np.ndarray) -> Bars:
    """Bars that each stand at one price."""
    return predicted_bars(np.repeat(prices[:, None], 4, axis=1), np.full(len(prices), 0.5), 1.0).bars


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.integers(-8, 3))
def test_prices_as_a_file_holds_them_show_their_step(steps: list[int], exponent: int) -> None:
    """One price ends in a 1, so that no larger power fits; read from decimals, as a file is."""
    prices = np.array([float(f"{one}e{exponent}") for one in [*steps, 10 * steps[0] + 1]])
    assert inferred_tick(bars_at(prices)) == float(f"1e{exponent}")


def test_simulated_prices_have_no_step() -> None:
    assert inferred_tick(noise(seed=0, days=10).bars) is None


def test_one_price_off_the_step_is_enough() -> None:
    """Wherever it stands: the rows that are asked first are not the last word."""
    prices = np.round(noise(seed=0, days=10).bars.close, 1)
    assert inferred_tick(bars_at(prices)) == 0.1
    for row in range(1000, 1030):
        changed = prices.copy()
        changed[row] += 0.01
        assert inferred_tick(bars_at(changed)) == 0.01
        changed[row] += np.pi * 1e-5
        assert inferred_tick(bars_at(changed)) is None


@pytest.mark.parametrize(
    ("name", "tick"),
    [
        *((f"binance-spot-{symbol}USDT-5m", 0.01) for symbol in ("BTC", "ETH", "SOL")),
        *((f"binance-spot-{symbol}USDT-1m-2024-01_04", 0.01) for symbol in ("BTC", "ETH", "SOL")),
        ("binance-um-BTCUSDT-15m-2024", 0.1),
        ("binance-um-ETHUSDT-15m-2024", 0.01),
        ("binance-um-SOLUSDT-15m-2024", 0.001),
    ],
)
def test_the_exchange_s_step_is_found(real_data: Path, name: str, tick: float) -> None:
    table = pd.read_parquet(real_data / f"{name}.parquet", columns=COLUMNS)
    bars = predicted_bars(table, np.full(len(table), 0.5), 1.0).bars
    assert inferred_tick(bars) == tick
