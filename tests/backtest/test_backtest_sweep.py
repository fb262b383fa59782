"""A sweep against one run after the other: the same figures, to the last bit."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from account_cases import random_account, random_rules
from backtest_cases import backtest, noise, predicted_bars, random_market, random_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from botscalp.backtest import Backtest, PredictedBars, Summary, summarize, sweep
from botscalp.backtest.settings import SIZES
from botscalp.backtest.sweep import SWEPT
from botscalp.errors import UserError

many = settings(max_examples=150, deadline=None)


def one_by_one(market: Sequence[PredictedBars], base: Backtest, grid: dict[str, Sequence[float]]) -> pd.DataFrame:
    """The table as loops over the keys, the engine and the summary make it."""
    combinations: list[dict[str, Any]] = [{}]
    for name, values in grid.items():
        combinations = [one | {name: value} for one in combinations for value in values]
    rows = []
    for one in combinations:
        result = replace(base, **one).run(market)
        summary = asdict(summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote))
        del summary["sharpe_undefined"]
        rows.append(one | summary)
    return pd.DataFrame(rows).astype({name: float for name in grid})


def assert_same_bits(market: Sequence[PredictedBars], base: Backtest, grid: dict[str, Sequence[float]]) -> pd.DataFrame:
    table, expected = sweep(market, base, grid), one_by_one(market, base, grid)
    assert list(table) == list(expected) == [*grid, *(f.name for f in fields(Summary) if f.name != "sharpe_undefined")]
    for name in table:
        same = np.array_equal(table[name].to_numpy(float), expected[name].to_numpy(float), equal_nan=True)
        assert same, f"{name}\n{table[name]}\n{expected[name]}"
    return table


def random_grid(rng: np.random.Generator, base: Backtest) -> dict[str, Sequence[float]]:
    """One to three values of some of the settings, in any order and with repetitions."""
    slippage = "slippage_bps" if base.slippage_bps is not None else "slippage_ticks"
    size = "notional" if base.notional is not None else "contract"
    choices: dict[str, list[float]] = {
        "threshold": [0.5, 0.51, 0.54, 0.7, 0.9],
        "stop_atr": [0.2, 0.5, 1.0, 2.0, 40.0],
        "target_atr": [0.2, 0.5, 1.0, 2.0, 40.0],
        "max_hold": [1, 2, 5, 29, 300],
        "taker_bps": [0.0, 5.0],
        "maker_bps": [0.0, 2.0],
        slippage: [0.0, 1.0, 2.0],
        size: [0.1, 7.0],
        "capital": [10.0, 1e4],
    }
    names = rng.permutation(list(choices))[: rng.integers(1, 6)]
    return {str(name): rng.choice(choices[name], rng.integers(1, 4)).tolist() for name in names}


def whole(grid: dict[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    return grid | {"max_hold": [int(value) for value in grid["max_hold"]]} if "max_hold" in grid else grid


@many
@given(st.integers(0, 2**32 - 1))
def test_equals_one_run_after_the_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = random_settings(rng)
    assert_same_bits([random_market(rng)], base, whole(random_grid(rng, base)))


def test_equals_them_over_months_with_days_missing() -> None:
    """Long enough for a Sharpe ratio; three days and single bars are missing."""
    market = noise(seed=3, days=45)
    keep = np.ones(len(market.bars), bool)
    keep[2000:2900] = False
    keep[::97] = False
    columns = ("open", "high", "low", "close")
    ohlc = np.stack([getattr(market.bars, name)[keep] for name in columns], axis=1)
    gappy = predicted_bars(ohlc, market.p[keep], market.atr[keep], numbers=np.flatnonzero(keep))
    grid = {"threshold": [0.5, 0.6], "stop_atr": [0.5, 2], "target_atr": [1, 3], "max_hold": [2, 20]} | {
        "capital": [2_000, 100_000]
    }
    table = assert_same_bits([gappy], backtest(), grid)
    assert table.sharpe.notna().any() and table.sharpe.isna().any()  # the cheap live, the dear lose the account
    assert (table.trades > 500).all()


def test_equals_them_where_a_position_outlives_a_byte() -> None:
    """Brackets that 255 bars do not reach, and holds of 254 to 1,000 bars, over missing bars."""
    market = noise(seed=4, days=20)
    keep = np.ones(len(market.bars), bool)
    keep[700:720] = False
    columns = ("open", "high", "low", "close")
    ohlc = np.stack([getattr(market.bars, name)[keep] for name in columns], axis=1)
    gappy = predicted_bars(ohlc, market.p[keep], market.atr[keep], numbers=np.flatnonzero(keep))
    grid = {"stop_atr": [8.0, 15.0, np.inf], "target_atr": [8.0, np.inf], "max_hold": [254, 255, 256, 1000]}
    table = assert_same_bits([gappy], backtest(), grid)
    assert (table.stops + table.targets).iloc[:8].min() > 5


@many
@given(st.integers(0, 2**32 - 1))
def test_equals_them_for_any_account(seed: int) -> None:
    """Several symbols, funding, finer bars, and grids over what only accounts have."""
    rng = np.random.default_rng(seed)
    base, market = random_rules(rng), random_account(rng)
    choices: dict[str, list[float]] = {
        "threshold": [0.5, 0.55],
        "stop_atr": [0.5, 2.0],
        "spread_bps": [0.0, 5.0],
        "latency_bars": [0, 3],
        "step": [0.01, 0.3],
        "min_notional": [0.0, 500.0],
        "max_exposure": [0.1, 2.0],
        "cooldown_bars": [0, 4],
        "daily_loss_stop": [0.001, 0.5],
        "capital": [500.0, 5_000.0],
        **({"through_ticks": [0.0, 2.0]} if base.tick else {}),
        next(name for name in SIZES if getattr(base, name) is not None): [0.2, 3.0],
    }
    names = rng.permutation(list(choices))[: rng.integers(1, 5)]
    assert_same_bits(market, base, {str(name): choices[str(name)] for name in names})


def test_a_grid_may_hold_every_number_but_those_that_bars_come_with() -> None:
    settings = {field.name for field in fields(Backtest)}
    aside = {"atr_span", "tick", "round_prices", "select", "candidates", "funding", "finer", "filters", "sizing"}
    assert set(SWEPT) == settings - aside


def test_equals_them_for_several_symbols() -> None:
    first, second = noise(seed=1, days=3), noise(seed=2, days=2)
    second = replace(second, bars=replace(second.bars, symbol="ETHUSDT"))
    assert_same_bits([first, second], backtest(), {"threshold": [0.55, 0.6], "stop_atr": [0.5, 1.5]})


def test_no_signal_at_all() -> None:
    table = sweep([noise(seed=0, days=1)], backtest(), {"threshold": [0.97, 0.99]})
    assert table.trades.tolist() == [0, 0]
    assert table.win_rate.isna().all() and (table.net_pnl == 0).all()


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UserError, match="slippage"):
        sweep([noise(seed=0, days=1)], backtest(), {"slippage_ticks": [1.0]})


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to forget a high-water mark")
def test_a_thousand_configs_over_three_years_take_little_memory() -> None:
    """The high-water mark of a fresh process during the sweep, above what it held before."""
    script = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from backtest_cases import backtest, noise
from botscalp.backtest import sweep
market, ten = [noise(seed=0, days=1096)], np.linspace(0.5, 3, 10)
held = lambda name: int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]) / 1024
sweep(market, backtest(), {"threshold": [0.6, 0.7]})
Path("/proc/self/clear_refs").write_text("5")
before = held("VmRSS")
table = sweep(market, backtest(), {"threshold": np.linspace(0.52, 0.7, 10), "stop_atr": ten, "target_atr": ten})
assert len(table) == 1_000
print(held("VmHWM") - before)
"""
    here = str(Path(__file__).parent)
    shown = subprocess.run([sys.executable, "-c", script, here], capture_output=True, text=True, check=True)
    assert 0 < float(shown.stdout) < 50
