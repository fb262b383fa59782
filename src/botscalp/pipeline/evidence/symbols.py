"""Each symbol by itself, beside the portfolio's figures: where the skill and the money come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from botscalp.backtest.result import Result
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.evidence.forecasts import auc, brier_skill
from botscalp.pipeline.predictions import Predictions
from botscalp.statistics import figures
from botscalp.statistics.metrics import log_losses


@dataclass(frozen=True, kw_only=True)
class SymbolEvidence:
    """The figures of one symbol's test rows and trades, all windows together."""

    symbol: str
    n: int
    """labelled rows"""
    auc: Estimate
    log_loss: Estimate
    brier_skill: Estimate
    trades: int
    mean_net_bps: Estimate
    net_pnl: float
    """quote currency; of all symbols it sums to the account's"""


def by_symbol(
    test: Predictions, symbols: Sequence[str], result: Result, trades: TradeRows, estimator: Estimator
) -> list[SymbolEvidence]:
    """The symbols in the order of `symbols`, which `test.symbol` counts through."""
    traded = [one.bars.symbol for one in result.market]
    found = []
    for position, symbol in enumerate(symbols):
        rows = test.labelled & (test.symbol == position)
        losses = log_losses(test.p[rows], test.label[rows])
        its = result.records["symbol"] == traded.index(symbol)
        found.append(
            SymbolEvidence(
                symbol=symbol,
                n=int(rows.sum()),
                auc=estimator.of(auc(test, rows)),
                log_loss=estimator.of(figures.mean(losses, test.open_time_ns[rows])),
                brier_skill=estimator.of(brier_skill(test, rows)),
                trades=int(its.sum()),
                mean_net_bps=estimator.of(trades[its].mean_net()),
                net_pnl=float(result.records["pnl_quote"][its].sum()),
            )
        )
    return found
