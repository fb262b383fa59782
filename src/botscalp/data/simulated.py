"""A market whose truth is known: what a model can reach on it is a number, not an opinion.

The law, for each symbol and with t counting bars from `start`:

1. Volatility. sigma_t = volatility x shape_t / sqrt(E shape^2), latent, and independent of all that follows:
   shape_t = exp(0.4 v_t) exp(0.2 cos(2 pi (hour_t - 15) / 24)) sqrt(10 / c_t),
   v a stationary Gaussian AR(1) of unit variance and persistence 0.995 a bar (clustering), hour_t the hour of day,
   UTC, at the open, c_t independent chi-square with 10 degrees of freedom. The last factor makes returns fat-tailed
   as Student's t is, and belongs to the path: given sigma, returns are Gaussian.
2. Signal. s_t is a stationary Gaussian AR(1) of unit variance and persistence phi = `signal_persistence`,
   independent of sigma. Takers show it: 2 taker_buy_volume_t / volume_t - 1 = tanh(0.3 s_t). So the function
   `signal` of bar t's columns gives s_t back.
3. Log return of bar t+1: r_{t+1} = -sigma_{t+1}^2 / 2 + sigma_{t+1} (kappa s_t + sqrt(1 - kappa^2) e_{t+1}),
   e independent standard normal. At kappa = 0 the close is a martingale, given the path of sigma too.
   kappa solves corr(s_t, r_{t+1}) = `edge`, the unconditional correlation: as sigma is random, kappa is 13 % above it.
   The AUC of s_t for the direction of bar t+1 is 0.5 + 0.45 kappa, nearly.
4. Columns. open_t = close_{t-1}. High and low have the exact laws of the maximum and the minimum of a Brownian motion
   from open to close with variance sigma_t^2 (each its own; their joint law is not kept). Volume is lognormal around a
   multiple of sigma_t; trades are Poisson around a multiple of volume; quote_volume is volume at the mean of the
   four prices.

Given the path of sigma and s_t, the log return over h bars is Gaussian: `rise_probability`.
Each component draws from its own generator, seeded by (seed, symbol, component): a later `end` or another symbol
changes no bar, and another `edge` keeps volatility, signal, noise and volume.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

import numpy as np
from annotated_types import MinLen

from botscalp.data.asked import check_named_once
from botscalp.data.bars import joined
from botscalp.data.grid import grid_of
from botscalp.errors import UserError
from botscalp.times import UNITS_NS, parse_interval, parse_time_ns
from botscalp.types import Bars, Float64, Fraction, Int64, NonNegativeInt, Positive

VOLATILITY_PERSISTENCE = 0.995
VOLATILITY_DISPERSION = 0.4
SEASON, PEAK_HOUR = 0.2, 15
TAIL_DEGREES = 10
FLOW = 0.3
VOLUME, VOLUME_DISPERSION, TRADES_PER_VOLUME = 100.0, 0.5, 20.0
START_PRICE = 40_000.0

MOST_BARS = 1 << 20
"""that are simulated at a time"""


@dataclass(frozen=True, kw_only=True)
class SimulatedMarket:
    """Independent symbols that follow the law above."""

    symbols: Annotated[tuple[str, ...], MinLen(1)]
    """what the bars are called; each name has its own history"""
    interval: str
    """the bars' length, such as 5m"""
    start: str
    """the first bar's time, UTC"""
    end: str
    """the time at which the bars stop, exclusive, UTC"""
    edge: Fraction
    """correlation of the published signal with the next log return; 0 is a martingale"""
    seed: NonNegativeInt
    """another seed is another history"""
    volatility_bps: Positive
    """root mean square of sigma, the volatility of a bar's log return"""
    signal_persistence: Fraction
    """autocorrelation of the signal from one bar to the next"""

    def __post_init__(self) -> None:
        check_named_once(self.symbols)
        time_grid(self.start, self.end, self.interval)
        if self.kappa >= 1:
            largest = math.floor(999 * self.edge / self.kappa) / 1000
            problem = "no return correlates so much with a signal, since volatility varies"
            raise UserError("data.edge", self.edge, problem, f"at most {largest}; markets give less than 0.1")

    @property
    def real(self) -> bool:
        """Whether a market made these bars."""
        return False

    @property
    def source(self) -> str:
        """The option's name."""
        return "simulated"

    @property
    def kappa(self) -> float:
        """The signal's weight in the standardised next return: cov(s, r) = kappa E sigma equals edge sd(s) sd(r)."""
        mean, second, fourth = (self._moment(power) for power in (1, 2, 4))
        return self.edge * math.sqrt(second + (fourth - second**2) / 4) / mean

    def load(self) -> tuple[Bars, ...]:
        """The bars of each symbol, in the order of `symbols`."""
        return tuple(joined(list(self.stretches(symbol))) for symbol in self.symbols)

    def probability_up(self, bars: Bars, horizon_bars: int) -> Float64:
        """P(close[t+h] > close[t] | bars up to t, volatility path), what no model can beat.

        `bars` are this market's, whole or in part: rows are found by their open times. Shape (T,); NaN where
        t+h lies beyond the market's end.
        """
        assert bars.symbol in self.symbols and bars.interval_ns == parse_interval(self.interval), "bars of this market"
        time = time_grid(self.start, self.end, self.interval)
        assert np.isin(bars.open_time_ns, time).all(), "bars of this market"
        rows = np.searchsorted(time, bars.open_time_ns)
        signals = np.full(len(time), np.nan)
        signals[rows] = signal(bars)
        sigma = np.concatenate([sigma for _, sigma in self._volatility(bars.symbol, time)])
        probability = rise_probability(signals, sigma, horizon_bars, self.kappa, self.signal_persistence)
        return np.asarray(probability[rows])

    def stretches(self, symbol: str, most_bars: int = MOST_BARS) -> Iterator[Bars]:
        """The bars of one symbol from first to last, so many at a time: the same to the last bit, however many."""
        from botscalp.data.kernels import autoregression_nb

        draws = {
            name: generator(self.seed, symbol, name) for name in ("signal", "noise", "high", "low", "volume", "trades")
        }
        times = time_grid(self.start, self.end, self.interval)
        kappa = self.kappa
        level, log_price, last = float(draws["signal"].standard_normal()), 0.0, START_PRICE
        for time, sigma in self._volatility(symbol, times, most_bars):
            signals = autoregression_nb(draws["signal"].standard_normal(len(time)), self.signal_persistence, level)
            # The signal of the bar before moves a bar's return; one value precedes the first bar.
            before = np.concatenate([[level], signals[:-1]])
            noise = draws["noise"].standard_normal(len(time))
            log_return = -(sigma**2) / 2 + sigma * (kappa * before + math.sqrt(1 - kappa**2) * noise)

            path = np.cumsum(np.concatenate([[log_price], log_return]))[1:]
            close = START_PRICE * np.exp(path)
            open_ = np.concatenate([[last], close[:-1]])
            level, log_price, last = float(signals[-1]), float(path[-1]), float(close[-1])
            rise = _bridge_maximum(log_return, sigma, draws["high"].standard_exponential(len(time)))
            fall = _bridge_maximum(-log_return, sigma, draws["low"].standard_exponential(len(time)))
            # exp rounds: an extreme at open or close itself may land an ulp inside.
            high = np.maximum(open_ * np.exp(rise), np.maximum(open_, close))
            low = np.minimum(open_ * np.exp(-fall), np.minimum(open_, close))

            typical = sigma / (self.volatility_bps * 1e-4)
            volume = VOLUME * typical * np.exp(VOLUME_DISPERSION * draws["volume"].standard_normal(len(time)))
            yield Bars(
                symbol=symbol,
                interval_ns=parse_interval(self.interval),
                open_time_ns=time,
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
                quote_volume=volume * (open_ + high + low + close) / 4,
                trades=draws["trades"].poisson(TRADES_PER_VOLUME * volume).astype(np.float64),
                taker_buy_volume=volume * (1 + np.tanh(FLOW * signals)) / 2,
            )

    def _volatility(self, symbol: str, times: Int64, most_bars: int = MOST_BARS) -> Iterator[tuple[Int64, Float64]]:
        """Open times, and the volatility of the log return of the bars that open then, so many at a time."""
        from botscalp.data.kernels import autoregression_nb

        clusters, tails = generator(self.seed, symbol, "volatility"), generator(self.seed, symbol, "tails")
        scale = self.volatility_bps * 1e-4 / math.sqrt(self._shape_moment(2))
        level = math.nan
        for first in range(0, len(times), most_bars):
            time = times[first : first + most_bars]
            path = autoregression_nb(clusters.standard_normal(len(time)), VOLATILITY_PERSISTENCE, level)
            level = float(path[-1])
            chi_square = tails.chisquare(TAIL_DEGREES, len(time))
            shape = np.exp(VOLATILITY_DISPERSION * path)
            shape *= _season(time) * np.sqrt(TAIL_DEGREES / chi_square)
            yield time, np.asarray(scale * shape)

    def _moment(self, power: int) -> float:
        """E sigma^power."""
        scale = self.volatility_bps * 1e-4 / math.sqrt(self._shape_moment(2))
        return math.pow(scale, power) * self._shape_moment(power)

    def _shape_moment(self, power: int) -> float:
        """E shape^power: lognormal, season over the bars of its period, inverse chi."""
        interval_ns = parse_interval(self.interval)
        period_bars = UNITS_NS["d"] // math.gcd(UNITS_NS["d"], interval_ns)
        half = TAIL_DEGREES / 2
        return (
            math.exp((power * VOLATILITY_DISPERSION) ** 2 / 2)
            * float(np.mean(_season(np.arange(period_bars) * interval_ns) ** power))
            * math.pow(half, power / 2)
            * math.gamma(half - power / 2)
            / math.gamma(half)
        )


def signal(bars: Bars) -> Float64:
    """The published signal s_t, shape (T,): atanh of taker imbalance over 0.3; NaN where nothing was traded."""
    assert bars.taker_buy_volume is not None, "bars of a simulated market"
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.arctanh(2 * bars.taker_buy_volume / bars.volume - 1) / FLOW)


def rise_probability(signals: Float64, sigmas: Float64, horizon_bars: int, kappa: float, persistence: float) -> Float64:
    """P(r_{t+1} + ... + r_{t+h} > 0 | s_t, sigma), shape (T,); NaN where t+h lies beyond the last row.

    s_{t+i} = phi^i s_t + sqrt(1 - phi^2) (sum of phi^(i-k) u_{t+k} over k = 1..i), u independent standard normal.
    So with D_k = sum of phi^(i-k) sigma_{t+i+1} over i = k..h-1, the sum of returns is Gaussian with mean
    kappa s_t D_0 - sum(sigma^2) / 2 and variance (1 - kappa^2) sum(sigma^2) + kappa^2 (1 - phi^2) sum(D_k^2, k >= 1).
    """
    from scipy.special import ndtr

    probability = np.full(len(signals), np.nan)
    rows = len(signals) - horizon_bars
    if rows <= 0:
        return probability
    weight, squares, variance = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for ahead in range(horizon_bars, 0, -1):
        sigma = sigmas[ahead : ahead + rows]
        variance += kappa**2 * (1 - persistence**2) * weight**2
        weight = sigma + persistence * weight
        squares += sigma**2
    variance += (1 - kappa**2) * squares
    probability[:rows] = ndtr((kappa * signals[:rows] * weight - squares / 2) / np.sqrt(variance))
    return probability


def generator(seed: int, symbol: str, component: str) -> np.random.Generator:
    """The generator of one component of one symbol, the same in every process."""
    return np.random.default_rng(int.from_bytes(sha256(f"{seed}/{symbol}/{component}".encode()).digest()))


def time_grid(start: str, end: str, interval: str) -> Int64:
    """Open times in [start, end) on the interval's grid. Raises UserError where there are fewer than two."""
    interval_ns = parse_interval(interval)
    start_ns, end_ns = parse_time_ns(start, key="data.start"), parse_time_ns(end, key="data.end")
    first_ns = grid_of(interval_ns).next_ns(start_ns)
    if end_ns <= first_ns + interval_ns:
        problem = f"leaves fewer than two bars of {interval} after data.start={start}"
        raise UserError("data.end", end, problem, "give a later end")
    return np.arange(first_ns, end_ns, interval_ns, dtype=np.int64)


def _season(time: Int64) -> Float64:
    hour = (time % UNITS_NS["d"]) / UNITS_NS["h"]
    return np.asarray(np.exp(SEASON * np.cos(2 * np.pi * (hour - PEAK_HOUR) / 24)))


def _bridge_maximum(end: Float64, sigma: Float64, exponential: Float64) -> Float64:
    """Draws of the maximum of Brownian motion from 0 to `end` with variance sigma^2, given standard exponential draws.

    P(max > m) = exp(-2 m (m - end) / sigma^2) (Karatzas & Shreve 1991, section 2.8), inverted.
    """
    return np.asarray((end + np.sqrt(end**2 + 2 * sigma**2 * exponential)) / 2)
