"""Trade the predictions, and what they are compared with, over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.engine import Bracket
from botscalp.backtest.result import Result
from botscalp.backtest.selection import best_bracket
from botscalp.backtest.settings import Backtest
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table
from botscalp.pipeline.market import Market
from botscalp.pipeline.predictions import Predictions
from botscalp.pipeline.scores import Scores, StoredScores
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


def chosen_brackets(market: Market, backtest: Backtest, validation: Scores, windows: int) -> list[Bracket] | None:
    """Each window's bracket, chosen on the second half of its validation; None where the settings hold everywhere.

    A window is tried from its first validation score to its last, so no bar of its test is seen.
    """
    if backtest.select == "none":
        return None
    brackets = []
    for window in range(windows):
        mine = validation.window == window
        times_ns = validation.open_time_ns[mine]
        if not len(times_ns):
            brackets.append(backtest.bracket)
            continue
        scores = StoredScores(
            open_time_ns=times_ns, symbol=validation.symbol[mine], window=validation.window[mine], p=validation.p[mine]
        )
        span_ns = (int(times_ns.min()), int(times_ns.max()) + 1)
        brackets.append(best_bracket(backtest, market.predicted(scores, span_ns, np.zeros(1, np.int64))))
    return brackets
