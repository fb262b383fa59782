"""Figures of the trades and of the account's days, at the costs that were set and at others."""

from dataclasses import dataclass

from botscalp.backtest.performance import Summary
from botscalp.backtest.result import Result
from botscalp.pipeline.evidence.estimates import Days, Estimate, Estimator, TradeRows
from botscalp.pipeline.ledger import Search
from botscalp.pipeline.trading import Account, Traded
from botscalp.statistics import figures
from botscalp.statistics.luck import Deflated, deflated_sharpe

FLAT = "flat"


@dataclass(frozen=True, kw_only=True)
class AtCosts:
    """The account at one level of costs."""

    name: str
    """see `backtest.costs.cost_levels`"""
    summary: Summary
    estimates: dict[str, Estimate]
    """as `trade_estimates` names them"""
    best_baseline: str
    deflated: Deflated | None


def trade_estimates(account: Account, estimator: Estimator) -> dict[str, Estimate]:
    """Figures of trades, in bps of the entry's notional, and of days, by group/name.

    `pnl_gain/<baseline>` is the mean over days of the net PnL less the baseline's, in the quote currency; of doing nothing too.
    """
    trades, days = TradeRows.of(account.result), Days.of(account.result)
    capital_quote = account.result.capital_quote
    sharpe = figures.sharpe(days.returns, days.time_ns) if account.result.summary.sharpe is not None else None
    return {
        "backtest/mean_net_bps": estimator.of(trades.mean_net()),
        "backtest/mean_gross_bps": estimator.of(trades.mean_gross()),
        "backtest/win_rate": estimator.of(trades.win_rate()),
        "backtest/sharpe": Estimate(account.result.summary.sharpe, estimator.by_day(sharpe).interval),
        "backtest/roi": estimator.by_day(figures.total(days.pnl_quote / capital_quote, days.time_ns)),
    } | {
        f"pnl_gain/{name}": estimator.by_day(
            figures.mean(days.pnl_quote - (0.0 if other is None else Days.of(other).pnl_quote), days.time_ns)
        )
        for name, other in _rivals(account).items()
    }


def best_baseline(account: Account) -> str:
    """The one that earned most, doing nothing among them."""
    earned = {name: 0.0 if other is None else other.summary.net_pnl for name, other in _rivals(account).items()}
    return max(earned, key=lambda name: earned[name])


def deflated(account: Account, search: Search | None) -> Deflated | None:
    """The Sharpe ratio against its search; None where either is undefined."""
    if search is None or account.result.summary.sharpe is None:
        return None
    returns = Days.of(account.result).returns
    return deflated_sharpe(returns, trials=search.count, sharpe_variance=search.sharpe_variance)


def at_costs(traded: Traded, search: Search | None, estimator: Estimator) -> list[AtCosts]:
    """Each level, in the order of `cost_levels`."""
    return [
        AtCosts(
            name=name,
            summary=account.result.summary,
            estimates=trade_estimates(account, estimator),
            best_baseline=best_baseline(account),
            deflated=deflated(account, search),
        )
        for name, account in traded.at_costs.items()
    ]


def _rivals(account: Account) -> dict[str, Result | None]:
    return {FLAT: None, **account.baselines}
