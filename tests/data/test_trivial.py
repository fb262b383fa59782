"""The trivial market is trivial: twenty lagged returns give its direction away."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from botscalp.data.bars import checked, clipped, digest
from botscalp.data.trivial import TrivialMarket
from botscalp.times import parse_time_ns


def market(*symbols: str, end: str = "2023-07-01", seed: int = 0) -> TrivialMarket:
    return TrivialMarket(symbols=symbols or ("BTCUSDT",), interval="5m", start="2023-01-01", end=end, seed=seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_linear_model_of_twenty_returns_predicts_three_bars_ahead(seed: int) -> None:
    (bars,) = market(seed=seed).load()
    log_close = np.log(bars.close)
    lags = np.lib.stride_tricks.sliding_window_view(np.diff(log_close), 20)[:-3]
    up = log_close[23:] > log_close[20:-3]
    half = len(up) // 2
    scaler = StandardScaler().fit(lags[:half])
    model = LogisticRegression().fit(scaler.transform(lags[:half]), up[:half])
    p = model.predict_proba(scaler.transform(lags[half:]))[:, 1]
    assert roc_auc_score(up[half:], p) > 0.999


def test_it_keeps_the_contract_and_its_past() -> None:
    btc, eth = market("BTCUSDT", "ETHUSDT").load()
    for bars in (btc, eth):
        checked(bars, key="", value="")
        assert bars.taker_buy_volume is not None and np.array_equal(bars.open[1:], bars.close[:-1])
    assert not np.array_equal(btc.close, eth.close)
    (short,) = market(end="2023-02-11T00:35").load()
    assert digest(short) == digest(clipped(btc, None, parse_time_ns("2023-02-11T00:35", key="")))
