"""Trade the predictions, and what they are compared with, over the same bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from botscalp.backtest.costs import cost_levels
from botscalp.backtest.engine import Bracket
from botscalp.backtest.result import Result
from botscalp.backtest.selection import best_bracket
from botscalp.backtest.settings import Backtest
from botscalp.backtest.ticks import shared_tick
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table
from botscalp.pipeline.market import Market
from botscalp.pipeline.predictions import ModelPredictions
from botscalp.pipeline.scores import Scores, StoredScores
from botscalp.types import Int64
from botscalp.windows import Window

CONTRACTS = (0.001, 0.01, 0.05)
"""rows of the position-size table, in base units a trade"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the model's trades gave over all tests, and what the baselines' would have, at one level of costs."""

    result: Result
    baselines: dict[str, Result]
    """of each baseline model, and of buying and holding"""


@dataclass(frozen=True, kw_only=True)
class Traded(Account):
    """All that trading gave."""

    brackets: list[Bracket]
    """of each window"""
    at_costs: dict[str, Account]
    """the same at other costs, see `cost_levels`"""
    before: dict[str, list[Result]]
    """train and validation: a backtest a window on the predictions there, in sample"""
    sizes: list[SizeRow]


def trade(
    market: Market,
    windows: Sequence[Window],
    model: ModelPredictions,
    baselines: Mapping[str, ModelPredictions],
    *,
    backtest: Backtest,
) -> Traded:
    """Run the backtest once over all windows, for the model and for each baseline; each with brackets of its own, if chosen."""
    starts_ns = np.array([window.test.start_ns for window in windows])
    span_ns = (windows[0].test.start_ns, windows[-1].test.end_ns)
    predicted, *others = (market.predicted(one.test, span_ns, starts_ns) for one in (model, *baselines.values()))
    brackets, *other_brackets = (
        chosen_brackets(market, backtest, one.validation, len(windows)) for one in (model, *baselines.values())
    )

    def account(costs: Backtest) -> Account:
        result = costs.run(predicted, brackets)
        return Account(
            result=result,
            baselines={
                name: costs.run(other, bracket)
                for name, other, bracket in zip(baselines, others, other_brackets, strict=True)
            }
            | {"buy_and_hold": buy_and_hold(costs, result.market, _mean_notional_quote(result))},
        )

    base = account(backtest)
    levels = cost_levels(backtest, shared_tick(market.bars))
    by_window = brackets or [backtest.bracket] * len(windows)
    return Traded(
        result=base.result,
        baselines=base.baselines,
        brackets=by_window,
        at_costs={name: base if costs == backtest else account(costs) for name, costs in levels.items()},
        before={
            name: [
                backtest.run(market.predicted(*_of_window(scores, window)), [bracket])
                for window, bracket in enumerate(by_window)
                if (scores.window == window).any()
            ]
            for name, scores in (("train", model.train), ("validation", model.validation))
        },
        sizes=size_table(backtest, base.result.market, CONTRACTS, brackets),
    )


def chosen_brackets(market: Market, backtest: Backtest, validation: Scores, windows: int) -> list[Bracket] | None:
    """Each window's bracket, chosen on the second half of its validation; None where the settings hold everywhere.

    A window is tried from its first validation score to its last, so no bar of its test is seen.
    """
    if backtest.select == "none":
        return None
    return [
        best_bracket(backtest, market.predicted(*_of_window(validation, window)))
        if (validation.window == window).any()
        else backtest.bracket
        for window in range(windows)
    ]


def _of_window(scores: Scores, window: int) -> tuple[StoredScores, tuple[int, int], Int64]:
    """One window's scores, the time from the first to the last, and its start: arguments of `Market.predicted`."""
    mine = scores.window == window
    times_ns = scores.open_time_ns[mine]
    alone = StoredScores(
        open_time_ns=times_ns, symbol=scores.symbol[mine], window=scores.window[mine], p=scores.p[mine]
    )
    return alone, (int(times_ns.min()), int(times_ns.max()) + 1), np.zeros(1, np.int64)


def _mean_notional_quote(result: Result) -> float | None:
    notionals = result.records["size_base"] * result.records["entry_price"]
    return float(notionals.mean()) if len(notionals) else None
