"""The same figures by the state of the market and of the clock: a model may work in one and lose in another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from botscalp.backtest.result import PredictedBars, Result
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.predictions import Predictions
from botscalp.statistics import figures
from botscalp.times import DAY_NS, UNITS_NS
from botscalp.types import Float64, Int64

VOLATILITY = ("low", "middle", "high")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, kw_only=True)
class Regime:
    """Figures of the test rows, and of the trades signalled, in one state."""

    kind: str
    """volatility (terciles of ATR to close, each symbol's own), hour, weekday (of the bar's open, UTC), month"""
    name: str
    rows: int
    auc: Estimate
    trades: int
    win_rate: Estimate
    mean_net_bps: Estimate


def by_regime(
    predictions: Predictions, symbols: Sequence[str], result: Result, trades: TradeRows, estimator: Estimator
) -> list[Regime]:
    """Every regime of every kind, in the order of its kind; `symbols` are those that predictions count through."""
    rows = predictions.labelled
    p, label, time_ns = predictions.p[rows], predictions.label[rows], predictions.open_time_ns[rows]
    states = zip(_states(predictions, symbols, result), _trade_states(result), strict=True)
    found = []
    for (kind, names, state), (_, _, trade_state) in states:
        state = state[rows]
        for number, name in enumerate(names):
            here, there = state == number, trade_state == number
            if not here.any():
                continue
            mine = trades[there]
            found.append(
                Regime(
                    kind=kind,
                    name=name,
                    rows=int(here.sum()),
                    auc=estimator.of(figures.auc(p[here], label[here], time_ns[here])),
                    trades=int(there.sum()),
                    win_rate=estimator.of(mine.win_rate()),
                    mean_net_bps=estimator.of(mine.mean_net()),
                )
            )
    return found


State = tuple[str, Sequence[str], Int64]
"""a kind, its names, and each row's place among them"""


def _states(predictions: Predictions, symbols: Sequence[str], result: Result) -> Iterator[State]:
    """Of the predictions' rows."""
    tercile = np.empty(len(predictions.row), np.int64)
    for one in result.market:
        here = predictions.symbol == symbols.index(one.bars.symbol)
        at = np.searchsorted(one.bars.open_time_ns, predictions.open_time_ns[here])
        tercile[here] = _terciles(one)[at]
    yield "volatility", VOLATILITY, tercile
    yield from _clock(predictions.open_time_ns, result)


def _trade_states(result: Result) -> Iterator[State]:
    """Of the bars that signalled the trades."""
    records = result.records
    tercile, signal_ns = np.empty(len(records), np.int64), np.empty(len(records), np.int64)
    for position, one in enumerate(result.market):
        here = records["symbol"] == position
        tercile[here] = _terciles(one)[records["signal"][here]]
        signal_ns[here] = one.bars.open_time_ns[records["signal"][here]]
    yield "volatility", VOLATILITY, tercile
    yield from _clock(signal_ns, result)


def _terciles(one: PredictedBars) -> Int64:
    relative: Float64 = one.atr / one.bars.close
    return np.searchsorted(np.nanquantile(relative, [1 / 3, 2 / 3]), relative)


def _clock(time_ns: Int64, result: Result) -> Iterator[State]:
    """Hour, weekday and month of the times, months counted from that of the first bar."""
    yield "hour", [f"{hour:02d}" for hour in range(24)], time_ns % DAY_NS // UNITS_NS["h"]
    yield "weekday", WEEKDAYS, (time_ns // DAY_NS + 3) % 7  # 1970 began on a Thursday
    months: NDArray[np.datetime64] = time_ns.view("datetime64[ns]").astype("datetime64[M]")
    open_ns = result.close_time_ns[[0, -1]] - result.market[0].bars.interval_ns
    first, last = open_ns.view("datetime64[ns]").astype("datetime64[M]")
    names = np.arange(first, last + 1)
    yield "month", [str(name) for name in names], (months - first).astype(np.int64)
