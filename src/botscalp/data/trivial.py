"""A market that any model predicts perfectly: the data of the run that botscalp grew out of.

That run reported an AUC of 1.000 and nobody was warned that its bars were made up. This option keeps such bars at
hand, so that the verdict can be seen to call them SUSPICIOUS, and so that a model which fails even here is known to be
broken. Its log price is a sum of three sine waves plus a noise of 0.01 bp: lagged returns determine the next ones.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import MinLen

from botscalp.data.asked import check_named_once
from botscalp.data.simulated import START_PRICE, generator, time_grid
from botscalp.times import parse_interval
from botscalp.types import Bars, NonNegativeInt

# Amplitude in bps of the log price, and period in bars, of each wave.
WAVES = ((60.0, 32), (25.0, 48), (40.0, 288))
NOISE_BPS = 0.01


@dataclass(frozen=True, kw_only=True)
class TrivialMarket:
    """Sums of sine waves, with phases of its own for each symbol."""

    symbols: Annotated[tuple[str, ...], MinLen(1)]
    """what the bars are called"""
    interval: str
    """the bars' length, such as 5m"""
    start: str
    """the first bar's time, UTC"""
    end: str
    """the time at which the bars stop, exclusive, UTC"""
    seed: NonNegativeInt
    """another seed is another history"""

    def __post_init__(self) -> None:
        check_named_once(self.symbols)
        time_grid(self.start, self.end, self.interval)

    @property
    def real(self) -> bool:
        """Whether a market made these bars."""
        return False

    @property
    def source(self) -> str:
        """The option's name."""
        return "trivial"

    def load(self) -> tuple[Bars, ...]:
        """The bars of each symbol, in the order of `symbols`."""
        return tuple(self._bars(symbol) for symbol in self.symbols)

    def _bars(self, symbol: str) -> Bars:
        def draws(component: str) -> np.random.Generator:
            return generator(self.seed, symbol, component)

        time = time_grid(self.start, self.end, self.interval)
        number = np.arange(len(time))
        phases = draws("phases").uniform(0, 2 * np.pi, len(WAVES))
        log_price = NOISE_BPS * draws("noise").standard_normal(len(time))
        for (amplitude, period), phase in zip(WAVES, phases, strict=True):
            log_price += amplitude * np.sin(2 * np.pi * number / period + phase)
        close = START_PRICE * np.exp(1e-4 * log_price)
        open_ = np.concatenate([close[:1], close[:-1]])
        wick_high, wick_low = (np.exp(1e-4 * draws(side).standard_exponential(len(time))) for side in ("high", "low"))
        high, low = np.maximum(open_, close) * wick_high, np.minimum(open_, close) / wick_low
        volume = 100 * np.exp(0.5 * draws("volume").standard_normal(len(time)))
        return Bars(
            symbol=symbol,
            interval_ns=parse_interval(self.interval),
            open_time_ns=time,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            quote_volume=volume * (open_ + high + low + close) / 4,
            trades=np.ceil(20 * volume),
            taker_buy_volume=volume * draws("taker").uniform(0.4, 0.6, len(time)),
        )
