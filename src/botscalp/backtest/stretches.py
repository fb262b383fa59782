"""A backtest of bars that come a stretch at a time, where all of them together do not fit in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from botscalp.backtest.records import END
from botscalp.backtest.result import PredictedBars, Result
from botscalp.backtest.settings import Backtest
from botscalp.data.bars import detached, joined
from botscalp.errors import UserError


def run_stretches(backtest: Backtest, stretches: Iterable[PredictedBars]) -> Iterator[Result]:
    """Trade one symbol's bars stretch after stretch: the trades, one after another, are those of one run over all of them.

    A result holds what its stretch settled. A position that is open at its end, and the signal of its last close, are left
    to the next one, which begins again at the last close that was flat. Equity goes on from result to result.

    Raises:
        UserError: a setting that looks at what the account did before, so that nothing of it may be forgotten.
    """
    if not backtest.plain or backtest.select != "none":
        raise UserError(
            "backtest",
            "these settings",
            "need the whole account at each signal, and bars come a stretch at a time",
            "a fixed notional or contract, select=none, and none of the settings that are off by default",
        )
    earned_quote = 0.0
    open_rows: PredictedBars | None = None
    for stretch in stretches:
        market = stretch if open_rows is None else _followed(open_rows, by=stretch)
        result = backtest.run([market])
        last_flat = int(result.records["signal"][-1]) if _ends_open(result) else len(market.bars) - 1
        settled = _settled(result, last_flat, earned_quote)
        yield settled
        earned_quote += float(settled.records["pnl_quote"].sum())
        open_rows = _rows(market, slice(last_flat, None))
        del stretch, market, result, settled  # the next stretch needs their room
    if open_rows is not None:
        yield _settled(backtest.run([open_rows]), None, earned_quote)


def _ends_open(result: Result) -> bool:
    """Whether the end of the bars closed the last trade."""
    return bool(len(result.records)) and result.records["reason"][-1] == END


def _settled(result: Result, before: int | None, earned_quote: float) -> Result:
    """What happened before that row, and the equity that earlier stretches left; None for all of it."""
    return replace(
        result,
        records=result.records if before is None else result.records[result.records["reason"] != END],
        close_time_ns=result.close_time_ns[:before],
        equity_quote=result.equity_quote[:before] + earned_quote,
    )


def _followed(market: PredictedBars, *, by: PredictedBars) -> PredictedBars:
    return replace(
        market,
        bars=joined([market.bars, by.bars]),
        p=np.concatenate([market.p, by.p]),
        atr=np.concatenate([market.atr, by.atr]),
        window=np.concatenate([market.window, by.window]),
    )


def _rows(market: PredictedBars, rows: slice) -> PredictedBars:
    """Few rows of many, which can then be forgotten."""
    return replace(
        market,
        bars=detached(market.bars[rows]),
        p=market.p[rows].copy(),
        atr=market.atr[rows].copy(),
        window=market.window[rows].copy(),
    )
