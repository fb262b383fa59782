"""Markets that no one would make up and someone will have: no NaN reaches a model, and no trade happens where there are no bars."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import composed, walk

from botscalp.pipeline.panel import assembled

PRICES = ["open", "high", "low", "close"]
VOLUMES = ["volume", "taker_buy_volume", "quote_volume", "trades"]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def at_price(price: float) -> Change:
    """The same market at another price, exactly, so that only the size of the numbers is odd."""
    return lambda table: table.assign(**{name: table[name] * (price / table["close"].iloc[0]) for name in PRICES})


def in_ticks(table: pd.DataFrame) -> pd.DataFrame:
    """A price of some 20 ticks of 1e-8: most bars are flat."""
    table = at_price(2e-7)(table)
    return table.assign(**{name: np.maximum((table[name] / 1e-8).round(), 1) * 1e-8 for name in PRICES})


def flat(rows: slice) -> Change:
    """One price, and nothing traded, in these bars."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        table.loc[table.index[rows], PRICES] = table["close"].iloc[rows.start - 1]
        names = [name for name in VOLUMES if name in table]
        table[names] = table[names].astype(float)
        table.loc[table.index[rows], names] = 0.0
        return table

    return change


def wicks(table: pd.DataFrame) -> pd.DataFrame:
    """Every hundredth bar touches half its price, every other hundredth half as much again."""
    low = np.where(np.arange(len(table)) % 100 == 0, 0.5, 1.0)
    high = np.where(np.arange(len(table)) % 100 == 50, 1.5, 1.0)
    return table.assign(low=table["low"] * low, high=table["high"] * high)


def jumps(table: pd.DataFrame) -> pd.DataFrame:
    """Ten times the price from one bar to the next, and back a day later."""
    times = np.where((np.arange(len(table)) // 288) % 7 == 3, 10.0, 1.0)
    return table.assign(**{name: table[name] * times for name in PRICES})


def without(rows: Callable[[int], np.ndarray]) -> Change:
    return lambda table: table.drop(index=table.index[rows(len(table))]).reset_index(drop=True)


def volumes_of(**shares: float) -> Change:
    return lambda table: table.assign(**{name: table["volume"] * share for name, share in shares.items()})


MARKETS: dict[str, Change] = {
    "a price of 1e-8": at_price(1e-8),
    "a price of 1e8": at_price(1e8),
    "twenty ticks": in_ticks,
    "a flat hour": flat(slice(8000, 8012)),
    "a flat day in a test": flat(slice(288 * 44, 288 * 45)),
    "a flat start": flat(slice(1, 600)),
    "wicks of half the price": wicks,
    "jumps of ten times": jumps,
    "a day lost": without(lambda n: np.arange(288 * 43, 288 * 44)),
    "a bar in twenty lost": without(
        lambda n: np.random.default_rng(0).choice(np.arange(1, n - 1), n // 20, replace=False)
    ),
    "an hour of each day lost": without(lambda n: np.flatnonzero((np.arange(n) % 288 < 12) & (np.arange(n) > 0))),
    "no volume at all": lambda table: table.assign(**{name: table[name] * 0 for name in VOLUMES if name in table}),
    "takers buy all": lambda table: table.assign(taker_buy_volume=table["volume"]),
    "takers buy nothing": volumes_of(taker_buy_volume=0.0),
    "volumes of 1e-12": volumes_of(volume=1e-12, taker_buy_volume=0.5e-12),
    "volumes of 1e12": volumes_of(volume=1e12, taker_buy_volume=0.5e12),
}


OFTEN = ("a price of 1e-8", "a flat hour", "wicks of half the price", "an hour of each day lost")
"""tried with every change; the others take their turn in `make test-all` and the drill"""


@pytest.mark.parametrize(
    "market", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in MARKETS]
)
def test_an_odd_market_reaches_no_model_as_nan_and_no_trade_leaves_the_bars(
    market: str, make_bars_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_bars_file("odd.parquet", change=MARKETS[market])
    words = ("data=file", f"data.path='{path}'")
    experiment = composed(*words)
    (bars,) = experiment.data.load()
    lags = experiment.features.lags
    panel = assembled((bars,), features=experiment.features, label=experiment.label)
    rows = np.flatnonzero(panel.predictable_N)
    assert len(rows) > 1000
    for back in range(lags):
        assert np.isfinite(panel.x_NF[rows - back]).all(), "what a sample holds"

    run = walk(tmp_path / "run", *words)
    assert np.isfinite(run.predictions[["p_raw", "p"]]).all(axis=None)
    assert run.predictions["p"].between(0, 1).all()

    there = pd.to_datetime(bars.open_time_ns, utc=True)
    trades = run.table("trades")
    print(f"{market}: {len(trades)} trades")
    step = pd.Timedelta(bars.interval_ns)
    assert trades["entry_time"].isin(there).all(), "an entry is at the open of a bar that exists"
    exits = trades["exit_time"]
    assert (exits.isin(there) | exits.isin(there + step)).all(), "an exit is inside or at the end of one"
    assert (trades["entry_time"] - trades["signal_time"] <= step).all(), "no signal waits for the end of a gap"
    money = trades[["gross_quote", "fees_quote", "slippage_quote", "pnl_quote"]]
    assert np.isfinite(money).all(axis=None)
