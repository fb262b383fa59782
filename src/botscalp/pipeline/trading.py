"""Trade the predictions, and what they are compared with, over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.engine import Bracket
from botscalp.backtest.result import Result
from botscalp.backtest.settings import Backtest
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table
from botscalp.pipeline.market import Market, chosen_brackets
from botscalp.pipeline.predictions import Predictions
from botscalp.windows import Window

CONTRACTS = (0.001, 0.01, 0.05)
"""rows of the position-size table, in base units a trade"""


@dataclass(frozen=True, kw_only=True)
class ModelPredictions:
    """What one model says of the test ranges, and of the validation ranges that its brackets may be chosen on."""

    test: Predictions
    validation: Predictions


@dataclass(frozen=True, kw_only=True)
class Traded:
    """What trading gave."""

    result: Result
    brackets: list[Bracket]
    """of each window"""
    baselines: dict[str, Result]
    """of each baseline model, and of buying and holding"""
    sizes: list[SizeRow]


def trade(
    market: Market,
    windows: Sequence[Window],
    predictions: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    *,
    backtest: Backtest,
) -> Traded:
    """Run the backtest once over all windows, for the model and for each baseline; each with brackets of its own, if chosen."""
    starts_ns = np.array([window.test.start_ns for window in windows])
    span_ns = (windows[0].test.start_ns, windows[-1].test.end_ns)

    def traded(one: ModelPredictions) -> tuple[Result, list[Bracket] | None]:
        brackets = chosen_brackets(market, backtest, one.validation, len(windows))
        return backtest.run(market.predicted(one.test, span_ns, starts_ns), brackets), brackets

    result, brackets = traded(predictions)
    notionals = result.records["size_base"] * result.records["entry_price"]
    mean_notional = float(notionals.mean()) if len(notionals) else None
    return Traded(
        result=result,
        brackets=brackets or [backtest.bracket] * len(windows),
        baselines={name: traded(other)[0] for name, other in baselines.items()}
        | {"buy_and_hold": buy_and_hold(backtest, result.market, mean_notional)},
        sizes=size_table(backtest, result.market, CONTRACTS, brackets),
    )
