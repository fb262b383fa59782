"""backtest.sizing: a rule of one's own for how much of the account an order puts at stake."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from botscalp.backtest.result import PredictedBars
from botscalp.errors import CausalityError
from botscalp.types import Float64


class SizingRule(Protocol):
    """What the class that `backtest.sizing` names offers; a frozen dataclass, built like any option."""

    def stakes(self, predicted: PredictedBars) -> Float64:
        """For each bar the notional of an order that its close signals, as a fraction of equity; shape (T,).

        Row t from bars up to t, their p and atr alone. 0, less, or NaN: no order.
        """
        ...


def stakes_of(rule: SizingRule, predicted: PredictedBars) -> Float64:
    """The rule's stakes of one symbol's bars, shape (T,).

    Raises:
        CausalityError: a stake changed when later bars were taken away.
    """
    stake = _stakes(rule, predicted)
    for cut in {len(stake) * quarter // 4 for quarter in (1, 2, 3)} - {0}:
        rows = slice(cut)
        before = replace(
            predicted,
            bars=predicted.bars[rows],
            p=predicted.p[rows],
            atr=predicted.atr[rows],
            window=predicted.window[rows],
        )
        if not np.array_equal(_stakes(rule, before), stake[rows], equal_nan=True):
            name = type(rule).__qualname__
            raise CausalityError(
                f"backtest.sizing={name}: stakes up to bar {cut} changed when the bars after it were taken away"
            )
    return stake


def _stakes(rule: SizingRule, predicted: PredictedBars) -> Float64:
    stake = np.ascontiguousarray(rule.stakes(predicted), np.float64)
    assert stake.shape == (len(predicted.bars),), "a stake for each bar"
    return stake
