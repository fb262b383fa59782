"""How predictions are traded (`Backtest`), and the run over one or several symbols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Lt
from numpy.typing import NDArray

from botscalp.backtest.result import PredictedBars, Result
from botscalp.errors import UserError
from botscalp.types import Count, Float64, NonNegative, Positive

if TYPE_CHECKING:
    from botscalp.backtest.kernel import Trades

BPS = 1e-4


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """When to enter, where to leave, what it costs and how much is at stake. The fill rules: `kernel.py`."""

    threshold: Annotated[float, Ge(0.5), Lt(1)]
    """long when p > threshold, short when p < 1 - threshold"""
    stop_atr: Positive
    """stop distance from the fill, in ATRs of the signal bar"""
    target_atr: Positive
    """target distance from the fill, in ATRs of the signal bar"""
    max_hold: Count
    """bars a position is watched; it leaves at the open of the next one"""
    atr_span: Count
    """bars of Wilder's average; who calls `run` computes the ATR with it"""
    taker_bps: NonNegative
    """fee per side on entries, stops, timeouts and the end of the data, in 0.01 % of the fill's notional"""
    maker_bps: NonNegative
    """fee per side on targets, in 0.01 % of the fill's notional"""
    slippage_bps: NonNegative | None
    """slippage of each market order in 0.01 % of its price; or slippage_ticks with tick"""
    slippage_ticks: NonNegative | None
    """slippage of each market order in ticks"""
    tick: Positive | None
    """price step, quote currency per base unit"""
    notional: Positive | None
    """quote currency at stake per trade; or contract"""
    contract: Positive | None
    """base units per trade"""
    capital: Positive
    """quote currency that equity starts from"""

    def __post_init__(self) -> None:
        if (self.notional is None) == (self.contract is None):
            raise UserError(
                "backtest.notional",
                self.notional,
                f"a trade needs one size, and backtest.contract={self.contract}",
                "set either backtest.notional (quote currency) or backtest.contract (base units), the other null",
            )
        if (self.slippage_bps is None) == (self.slippage_ticks is None):
            raise UserError(
                "backtest.slippage_bps",
                self.slippage_bps,
                f"slippage needs one unit, and backtest.slippage_ticks={self.slippage_ticks}",
                "set either backtest.slippage_bps or backtest.slippage_ticks (with backtest.tick), the other null",
            )
        if (self.slippage_ticks is None) != (self.tick is None):
            raise UserError(
                "backtest.tick",
                self.tick,
                f"ticks need their price, and backtest.slippage_ticks={self.slippage_ticks}",
                "set backtest.slippage_ticks and backtest.tick together, or both null",
            )

    def run(self, market: Sequence[PredictedBars]) -> Result:
        """Trade each symbol on its own, all on one account, over the whole of its bars."""
        assert market, "a backtest needs at least one symbol"
        runs = [self._run_symbol(predicted) for predicted in market]
        close_time_ns, equity_quote = _sum_over_union(
            [predicted.bars.close_time_ns for predicted in market], [pnl for _, pnl in runs]
        )
        equity_quote += self.capital
        return Result(
            market=tuple(market),
            trades_of=tuple(trades for trades, _ in runs),
            close_time_ns=close_time_ns,
            equity_quote=equity_quote,
            capital_quote=self.capital,
        )

    def _run_symbol(self, predicted: PredictedBars) -> "tuple[Trades, Float64]":
        """The symbol's trades, and its cumulative PnL at each close, shape (T,)."""
        # Here and not above: numba takes 0.2 s to import.
        from botscalp.backtest.kernel import TRADE, run_nb

        bars = predicted.bars
        trades = np.empty(len(bars), TRADE)  # pages that no trade touches cost nothing
        pnl_quote = np.empty(len(bars))
        # p as float64: numba and numpy disagree on float32(0.6) > 0.6, and every other dtype compiles another kernel.
        count = run_nb(
            np.ascontiguousarray(bars.open_time_ns, np.int64),
            column(bars.open),
            column(bars.high),
            column(bars.low),
            column(bars.close),
            column(predicted.p),
            column(predicted.atr),
            int(bars.interval_ns),
            float(self.threshold),
            float(self.stop_atr),
            float(self.target_atr),
            int(self.max_hold),
            float(self.slippage_bps or 0.0) * BPS,
            float(self.slippage_ticks or 0.0) * float(self.tick or 0.0),
            float(self.taker_bps) * BPS,
            float(self.maker_bps) * BPS,
            float(self.notional or 0.0),
            float(self.contract or 0.0),
            trades,
            pnl_quote,
        )
        return trades[:count], pnl_quote


def column(values: NDArray[np.floating]) -> Float64:
    """As the kernels take it: one dtype, so that they are compiled once."""
    return np.ascontiguousarray(values, np.float64)


def _sum_over_union(times_ns: list[NDArray[np.int64]], values: list[Float64]) -> tuple[NDArray[np.int64], Float64]:
    """Sum step functions that are 0 before their first time, on the union of their times."""
    if len(times_ns) == 1:
        return times_ns[0], values[0]
    union_ns = np.unique(np.concatenate(times_ns))
    total = np.zeros(len(union_ns))
    for time_ns, value in zip(times_ns, values, strict=True):
        total += np.concatenate([[0.0], value])[np.searchsorted(time_ns, union_ns, side="right")]
    return union_ns, total
