"""Markets to compute features on, and the two feature sets as conf/ defines them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydantic import TypeAdapter

from botscalp.features.feature_set import FeatureSet
from botscalp.types import Bars

MINUTE_NS = 60 * 10**9
CONF = Path(__file__).resolve().parents[2] / "conf"


def option(name: str) -> FeatureSet:
    """conf/features/<name>.yaml, composed and checked the way an entry point does it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose(overrides=[f"+features={name}"]).features)
    assert isinstance(values, dict)
    assert values.pop("_target_") == "botscalp.features.feature_set.FeatureSet"
    return TypeAdapter(FeatureSet).validate_python(values)


@pytest.fixture(scope="session")
def technical() -> FeatureSet:
    return option("technical")


@pytest.fixture(scope="session")
def ohlcv() -> FeatureSet:
    return option("ohlcv")


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., Bars]:
    """make_bars(rows, seed=0, level=60_000.0): a random walk of 5m bars without gaps."""

    def make(rows: int, seed: int = 0, level: float = 60_000.0) -> Bars:
        rng = np.random.default_rng(seed)
        close = level * np.exp(np.cumsum(rng.normal(0, 0.0015, rows)))
        opened = np.append(level, close[:-1])[:rows]
        volume = rng.exponential(50.0, rows)
        return Bars(
            symbol="BTCUSDT",
            interval_ns=5 * MINUTE_NS,
            open_time_ns=np.arange(rows) * 5 * MINUTE_NS + 1_704_067_200 * 10**9,  # 2024-01-01
            open=opened,
            high=np.maximum(opened, close) * np.exp(rng.exponential(0.0005, rows)),
            low=np.minimum(opened, close) * np.exp(-rng.exponential(0.0005, rows)),
            close=close,
            volume=volume,
            taker_buy_volume=volume * rng.beta(5, 5, rows),
        )

    return make


@pytest.fixture(scope="session")
def btc(real_data: Path) -> Bars:
    """Three years of BTCUSDT 5m bars, with the outage of 2023-03-24."""
    table = pd.read_parquet(real_data / "binance-spot-BTCUSDT-5m.parquet")
    names = ["open", "high", "low", "close", "volume", "taker_buy_volume"]
    return Bars(
        symbol="BTCUSDT",
        interval_ns=5 * MINUTE_NS,
        open_time_ns=table["open_time"].to_numpy("datetime64[ns]").astype(np.int64),
        **{name: table[name].to_numpy(np.float64, copy=True) for name in names},
    )
