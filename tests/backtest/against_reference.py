"""A result held against the plain reference's run of the same market."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from backtest_reference import Reference
from reference_records import Bar

from botscalp.backtest import Backtest, Bracket, PredictedBars, Result
from botscalp.backtest.records import REASONS
from botscalp.backtest.settings import OF_SYMBOL

TOLERANCE = 1e-9
AMOUNTS = (
    *("entry_price", "exit_price", "size_base"),
    *("gross_quote", "slippage_quote", "fees_quote", "funding_quote", "pnl_quote"),
)


def difference(result: Result, reference: Reference) -> str | None:
    """The first thing in which the two disagree: rows, sides and reasons at all, prices and money by more than 1e-9."""
    records, trades = result.records, reference.trades
    if len(records) != len(trades):
        return f"{len(records)} trades, not {len(trades)}"
    expected = (
        {name: np.array([getattr(trade, name) for trade in trades]) for name in vars(trades[0])} if trades else {}
    )
    if trades:
        numbers = [one.bars.number for one in result.market]
        for name in ("symbol", "side"):
            if (records[name] != expected[name]).any():
                return name
        for name in ("signal", "entry", "exit"):
            mine = [numbers[symbol][row] for symbol, row in zip(records["symbol"], records[name], strict=True)]
            if (mine != expected[name]).any():
                return name
        if (np.array(REASONS)[records["reason"]] != expected["reason"]).any():
            return "reason"
        for name in AMOUNTS:
            if not (np.abs(records[name] - expected[name]) <= TOLERANCE).all():
                return name
    equity = np.array(list(reference.equity.values()))
    return None if (np.abs(result.equity_quote - equity) <= TOLERANCE).all() else "equity"


def reference_of(
    rules: Backtest, market: Sequence[PredictedBars], by_window: Sequence[Bracket] | None = None, bug: str | None = None
) -> Reference:
    """The plain reference's run of the account."""
    reference = Reference(
        [only_for(rules, one.bars.symbol) for one in market],
        *(_bars(one) for one in market),
        funding=[_rates(one) for one in market],
        by_window=by_window,
        bug=bug,
    )
    reference.run()
    return reference


def only_for(rules: Backtest, symbol: str) -> Backtest:
    """The rules with the symbol's own values alone."""
    values = {name: getattr(rules, name) for name in OF_SYMBOL}
    return replace(
        rules, **{name: value[symbol] if isinstance(value, dict) else value for name, value in values.items()}
    )


def _bars(predicted: PredictedBars) -> dict[int, Bar]:
    bars = predicted.bars
    rows: dict[int, Bar] = {}
    for t, number in enumerate(bars.number.tolist()):
        prices = (float(getattr(bars, name)[t]) for name in ("open", "high", "low", "close"))
        rows[number] = Bar(*prices, float(predicted.p[t]), float(predicted.atr[t]), int(predicted.window[t]))
    if predicted.finer is not None:
        finer = predicted.finer
        ranges = zip(finer.high.tolist(), finer.low.tolist(), strict=True)
        held = dict(zip(finer.open_time_ns.tolist(), ranges, strict=True))
        for number, bar in rows.items():
            first_ns = number * bars.interval_ns
            bar.finer = tuple(
                held.get(first_ns + step * finer.interval_ns) for step in range(bars.interval_ns // finer.interval_ns)
            )
    return rows


def _rates(predicted: PredictedBars) -> dict[int, float]:
    if predicted.funding is None:
        return {}
    numbers = predicted.bars.number
    rates: dict[int, float] = {}
    for time_ns, rate in zip(predicted.funding.time_ns.tolist(), predicted.funding.rate.tolist(), strict=True):
        later = numbers[numbers * predicted.bars.interval_ns >= time_ns]
        if len(later):
            rates[int(later[0])] = rates.get(int(later[0]), 0.0) + rate
    return rates
