"""label=triple_barrier: which of two symmetric price barriers is touched first?"""

from dataclasses import dataclass

from botscalp.types import Bars, Count, Float32, Positive


@dataclass(frozen=True, kw_only=True)
class TripleBarrier:
    """Barriers at +- barrier_atr x ATR(t) around open[t + 1], watched for max_hold bars.

    After Lopez de Prado (2018), chapter 3, made symmetric: a bracket has a side, a probability of "up" has none.
    """

    barrier_atr: Positive
    """distance of either barrier from open[t + 1], in ATR(t)"""
    max_hold: Count
    """bars watched, t + 1 the first of them"""
    atr_span: Count
    """span of Wilder's average true range, in bars"""

    @property
    def span_bars(self) -> int:
        """max_hold bars are watched, and the open of the next one decides a time-out."""
        return self.max_hold + 1

    def labels(self, bars: Bars) -> Float32:
        """1 if the upper barrier is touched first, 0 if the lower, else NaN. Shape (T,).

        - Touched means high >= upper or low <= lower, in bars t + 1 .. t + max_hold.
        - A bar that opens at or beyond a barrier has touched that barrier first, whatever it does next.
        - A bar that otherwise touches both leaves the order unknown: NaN.
        - No touch: the sign of open[t + 1 + max_hold] - open[t + 1], NaN if they are equal.
        - A bar missing from t .. t + span_bars, or beyond the data's end: NaN, even if a barrier was touched
          before, so that the label's existence depends on no price.
        - ATR(t) not finite or not positive: NaN.
        """
        from botscalp.indicators import atr
        from botscalp.labels.kernel import first_touch_nb

        return first_touch_nb(
            bars.number,
            bars.open,
            bars.high,
            bars.low,
            self.barrier_atr * atr(bars, self.atr_span),
            self.max_hold,
        )
