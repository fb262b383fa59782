"""The simulated market keeps its published law. Seeds are fixed; tolerances are four standard errors or more."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from runs import composed_plainly
from scipy import stats
from sklearn.metrics import roc_auc_score

from botscalp.data.bars import checked, clipped, digest, joined
from botscalp.data.simulated import SimulatedMarket, _bridge_maximum, rise_probability, signal
from botscalp.errors import UserError
from botscalp.times import parse_time_ns
from botscalp.types import Bars, Float64


def market(**changes: Any) -> SimulatedMarket:
    default = SimulatedMarket(
        symbols=("BTCUSDT",),
        interval="5m",
        start="2023-01-01",
        end="2024-03-01",
        edge=0.08,
        seed=0,
        volatility_bps=15.0,
        signal_persistence=0.8,
    )
    return replace(default, **changes)


def log_returns(bars: Bars) -> Float64:
    """Of bars 1 and later."""
    return np.diff(np.log(bars.close))


def test_fourteen_months_keep_the_contract() -> None:
    for edge in (0.0, 0.08, 0.8):
        (bars,) = market(edge=edge).load()
        checked(bars, key="data.edge", value=edge)
        assert len(bars) == 425 * 288 and np.all(np.diff(bars.number) == 1)
        assert np.array_equal(bars.open[1:], bars.close[:-1])
        assert bars.quote_volume is not None
        assert np.all((bars.quote_volume >= bars.low * bars.volume) & (bars.quote_volume <= bars.high * bars.volume))


def test_weeks_keep_the_contract() -> None:
    (weeks,) = market(interval="1w").load()
    checked(weeks, key="", value="")
    assert weeks.open_time_ns[0] == parse_time_ns("2023-01-02", key=""), "a Monday"


@pytest.mark.parametrize("end", ["2023-01-01T01:25", "2023-01-02T00:35", "2023-03-01T00:05", "2023-06-17"])
def test_a_later_end_or_another_symbol_changes_no_bar(end: str) -> None:
    long = market(symbols=("BTCUSDT", "ETHUSDT"), end="2024-01-01").load()[0]
    (short,) = market(end=end).load()
    assert digest(short) == digest(clipped(long, None, parse_time_ns(end, key="")))


@pytest.mark.parametrize("most_bars", [1, 7, 288, 10_000])
def test_bars_are_the_same_however_many_are_made_at_a_time(most_bars: int) -> None:
    short = market(end="2023-01-09")
    (whole,) = short.load()
    stretches = list(short.stretches("BTCUSDT", most_bars))
    assert len(stretches) == -(-len(whole) // most_bars)
    assert digest(joined(stretches)) == digest(whole)


def test_symbols_and_seeds_have_their_own_histories() -> None:
    btc, eth = market(symbols=("BTCUSDT", "ETHUSDT")).load()
    (other,) = market(seed=1).load()
    for a, b in ((btc, eth), (btc, other)):
        assert abs(np.corrcoef(log_returns(a), log_returns(b))[0, 1]) < 4 / np.sqrt(len(btc))
        assert abs(np.corrcoef(signal(a), signal(b))[0, 1]) < 4 * 3 / np.sqrt(len(btc))


def test_another_edge_keeps_signal_volume_and_volatility() -> None:
    (none,), (some,) = market(edge=0).load(), market(edge=0.2).load()
    assert np.array_equal(signal(none), signal(some)) and np.array_equal(none.volume, some.volume)
    assert np.corrcoef(log_returns(none), log_returns(some))[0, 1] > 0.9


def test_the_edge_is_the_correlation_with_the_next_return() -> None:
    for edge in (0.08, 0.4):
        measured = [
            np.corrcoef(signal(bars)[:-1], log_returns(bars))[0, 1]
            for bars in market(edge=edge, symbols=tuple("ABCDEFGH")).load()
        ]
        assert np.mean(measured) == pytest.approx(edge, abs=0.005)


def test_the_edge_holds_where_a_day_has_few_bars() -> None:
    for interval in ("12h", "1d"):
        bars = market(interval=interval, start="1971-01-01", end="2261-01-01", edge=0.4, volatility_bps=100).load()[0]
        assert np.corrcoef(signal(bars)[:-1], log_returns(bars))[0, 1] == pytest.approx(0.4, abs=0.015)


def test_the_signal_is_a_standard_autoregression() -> None:
    (bars,) = market(signal_persistence=0.8).load()
    s = signal(bars)
    assert np.mean(s) == pytest.approx(0, abs=0.04) and np.std(s) == pytest.approx(1, abs=0.02)
    for lag in (1, 2, 5):
        assert np.corrcoef(s[lag:], s[:-lag])[0, 1] == pytest.approx(0.8**lag, abs=0.03)
    assert stats.kstest(s[::40], "norm").pvalue > 0.001


def test_auc_of_the_signal_is_half_plus_045_edge() -> None:
    for edge in (0.08, 0.2):
        (bars,) = market(edge=edge).load()
        excess = roc_auc_score(log_returns(bars) > 0, signal(bars)[:-1]) - 0.5
        assert 0.45 * edge - 0.004 < excess < 1.15 * 0.45 * edge + 0.004


def test_without_edge_the_price_is_a_martingale() -> None:
    # Volatility high enough that the drift of -sigma^2 / 2 is ten standard errors.
    (bars,) = market(edge=0, volatility_bps=500).load()
    gain = bars.close / bars.open - 1
    error = gain.std() / np.sqrt(len(gain))
    assert abs(gain.mean()) < 4 * error
    for observable in (signal(bars), gain, np.log(bars.volume)):
        products = (observable[:-1] - observable.mean()) * gain[1:]
        assert abs(products.mean()) < 4 * products.std() / np.sqrt(len(products))
    (bars,) = market(edge=0).load()
    assert roc_auc_score(log_returns(bars) > 0, signal(bars)[:-1]) == pytest.approx(0.5, abs=0.0066)


def test_returns_cluster_and_have_fat_tails() -> None:
    (bars,) = market().load()
    returns = log_returns(bars)
    size = np.abs(returns)
    assert np.std(returns) == pytest.approx(15e-4, rel=0.1)
    assert stats.kurtosis(returns) > 2
    lagged = [np.corrcoef(size[lag:], size[:-lag])[0, 1] for lag in (1, 12, 144)]
    assert lagged[0] > 0.12 and lagged[1] > 0.1 and lagged[0] > lagged[2]
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.02
    hour = bars.open_time_ns[1:] // 3_600_000_000_000 % 24
    assert size[hour == 15].mean() / size[hour == 3].mean() == pytest.approx(np.exp(0.4), rel=0.08)
    assert np.corrcoef(np.log(bars.volume[1:]), np.log(size + 1e-9))[0, 1] > 0.2


def test_high_and_low_follow_the_laws_of_a_bridge() -> None:
    rng = np.random.default_rng(3)
    sigma = 2.0
    maximum = _bridge_maximum(
        sigma * rng.standard_normal(20_000), np.full(20_000, sigma), rng.standard_exponential(20_000)
    )
    # Reflection principle: the maximum of Brownian motion over [0, 1] is distributed as |its end|.
    assert stats.kstest(maximum / sigma, "halfnorm").pvalue > 0.001
    (bars,) = market(edge=0).load()
    up, down, move = np.log(bars.high / bars.open), np.log(bars.open / bars.low), np.log(bars.close / bars.open)
    for extreme in (up, down):
        assert np.mean(extreme**2) / np.mean(move**2) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("kappa", [0.3, 0.8])
def test_rise_probability_against_simulated_paths(horizon: int, kappa: float) -> None:
    rng = np.random.default_rng(horizon)
    paths, persistence, start = 200_000, 0.8, -0.7
    # Volatility high enough for the drift to matter.
    sigma = rng.uniform(0.1, 0.6, horizon + 1)
    state, total = np.full(paths, start), np.zeros(paths)
    for step in range(1, horizon + 1):
        noise = rng.standard_normal(paths)
        total += -(sigma[step] ** 2) / 2 + sigma[step] * (kappa * state + np.sqrt(1 - kappa**2) * noise)
        state = persistence * state + np.sqrt(1 - persistence**2) * rng.standard_normal(paths)
    signals = np.full(horizon + 1, np.nan)
    signals[0] = start
    probability = rise_probability(signals, sigma, horizon, kappa, persistence)
    assert probability[0] == pytest.approx((total > 0).mean(), abs=4 * 0.5 / np.sqrt(paths))
    assert np.isnan(probability[1:]).all()


@pytest.mark.parametrize("horizon", [1, 3, 12])
def test_the_truth_is_calibrated_and_sharper_than_the_signal_alone(horizon: int) -> None:
    simulated = market(edge=0.3)
    (bars,) = simulated.load()
    p = simulated.probability_up(bars, horizon)[:-horizon]
    up = bars.close[horizon:] > bars.close[:-horizon]
    # Labels of rows `horizon` apart share no return.
    p, up = p[::horizon], up[::horizon]
    tenth = np.digitize(p, np.quantile(p, np.linspace(0.1, 0.9, 9)))
    z = [(up[tenth == k] - p[tenth == k]).sum() / np.sqrt((p * (1 - p))[tenth == k].sum()) for k in range(10)]
    assert stats.chi2.sf(np.sum(np.square(z)), 10) > 0.001

    def log_loss(logit: Float64) -> float:
        return float(np.mean(np.logaddexp(0, np.where(up, -logit, logit))))

    logit = np.log(p / (1 - p))
    losses = {scale: log_loss(scale * logit) for scale in (0.85, 1.0, 1.15)}
    assert losses[1.0] == min(losses.values()), "more or less confident is worse"


def test_the_truth_finds_the_rows_of_a_part() -> None:
    simulated = market()
    (bars,) = simulated.load()
    whole = simulated.probability_up(bars, 3)
    assert np.isnan(whole[-3:]).all() and np.isfinite(whole[:-3]).all()
    part = clipped(bars, parse_time_ns("2023-05-01", key=""), parse_time_ns("2023-05-02", key=""))
    first = int(np.searchsorted(bars.open_time_ns, part.open_time_ns[0]))
    assert np.array_equal(simulated.probability_up(part, 3), whole[first : first + 288])
    with pytest.raises(AssertionError):
        simulated.probability_up(replace(part, open_time_ns=part.open_time_ns - 2 * 365 * 86_400 * 10**9), 3)


def test_an_impossible_edge_names_the_largest() -> None:
    with pytest.raises(UserError, match=r"data.edge=0.95: .*\n  remedy: at most 0\.\d+;") as refusal:
        market(edge=0.95)
    largest = float(refusal.value.remedy.split()[2].rstrip(";"))
    assert market(edge=largest).kappa == pytest.approx(1, abs=0.003)
    with pytest.raises(UserError):
        market(edge=largest + 0.003)


def test_ranges_and_symbols_that_cannot_be_are_refused_by_key() -> None:
    for changes, key in (
        ({"end": "2022-01-01"}, "data.end"),
        ({"start": "soon"}, "data.start"),
        ({"interval": "5"}, "data.interval"),
        ({"symbols": ("A", "A")}, "data.symbols"),
    ):
        with pytest.raises(UserError, match=f"^{key}="):
            market(**changes)


@pytest.mark.parametrize("option", ["simulated", "trivial"])
def test_made_up_bars_say_so(option: str) -> None:
    source = composed_plainly(f"data={option}").data
    assert source.real is False and source.source == option
