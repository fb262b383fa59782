"""Tables of what was earned: the account, its costs, its trades, and other sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

from botscalp.report.answers import paid_bps
from botscalp.report.numbers import estimate, figure, number
from botscalp.report.tables import Table

Summary = Mapping[str, Any]

_COSTS = {
    "costs_x0": "none",
    "costs_x0.5": "half of those set",
    "costs_x1": "as set",
    "costs_x2": "twice those set",
    "costs_x3": "three times those set",
    "all_taker": "taker fees everywhere",
    "all_maker": "maker fees everywhere, no slippage",
    "targets_traded_through": "as set, targets only where the price went beyond",
}
_ENDED = {"targets": "at the target", "stops": "at the stop", "timeouts": "by time", "ends": "with the data"}
_DAYS = {
    "worst": ("worst day", "+.2%"),
    "value_at_risk": ("5 % quantile (value at risk)", "+.2%"),
    "expected_shortfall": ("mean beyond it (expected shortfall)", "+.2%"),
    "tail_ratio": ("95 % quantile to the size of the 5 % quantile", ".2f"),
    "skew": ("skew", "+.2f"),
    "excess_kurtosis": ("excess kurtosis", "+.2f"),
    "annual_volatility": ("volatility a year", ".2%"),
    "sortino": ("Sortino ratio, annualised", "+.2f"),
    "calmar": ("return a year to the deepest drawdown (Calmar)", "+.2f"),
}


def account(summary: Summary) -> Table:
    """From gross to net, and how deep it fell."""
    backtest, anatomy = summary["backtest"], summary["anatomy"]
    return Table(
        caption="The account, in the quote currency unless another unit stands there [95 % interval]",
        columns=["figure", "value"],
        rows=[
            ["gross", f"{backtest['gross_pnl']:+,.2f}"],
            ["fees", f"{0.0 - backtest['fees']:+,.2f}"],
            ["slippage and spread", f"{0.0 - backtest['slippage']:+,.2f}"],
            ["funding", f"{0.0 - backtest['funding']:+,.2f}"],
            ["net", f"{backtest['net_pnl']:+,.2f}"],
            ["net to the capital", figure(backtest["roi"], summary["intervals"]["backtest"]["roi"], "+.2%")],
            ["deepest drawdown", f"{backtest['max_drawdown_quote']:+,.2f}, {backtest['max_drawdown']:.2%} of the peak"],
            ["when", _drawdown(anatomy["drawdown"])],
            ["longest under water", f"{anatomy['drawdown']['longest_under_water_days']:,.0f} days"],
            ["Sharpe ratio, annualised", sharpe(summary)],
            ["share of bars in a position", f"{anatomy['exposure']:.0%}"],
            ["turnover a day", f"{anatomy['turnover_per_day']:.1f} x the capital"],
        ],
    )


def sharpe(summary: Summary) -> str:
    """Annualised, or why there is none."""
    backtest = summary["backtest"]
    return backtest["sharpe_undefined"] or figure(
        backtest["sharpe"], summary["intervals"]["backtest"]["sharpe"], "+.2f"
    )


def days(summary: Summary) -> Table:
    """What UTC days are like, those without a trade included."""
    found = summary["anatomy"]["days"]
    return Table(
        caption="Returns of UTC days, zeros included",
        columns=["figure", "value"],
        rows=[[title, number(found[name], form)] for name, (title, form) in _DAYS.items()],
        folded=True,
    )


def costs(summary: Summary) -> Table:
    """The same predictions traded at other costs."""
    return Table(
        caption="The same predictions, traded again at other costs [95 % interval]",
        columns=["costs", "trades", "net bps a trade", "Sharpe ratio", "net", "verdict"],
        rows=[
            [
                _COSTS.get(level["name"], level["name"]),
                f"{level['trades']:,}",
                estimate(level["mean_net_bps"], "+.2f"),
                estimate(level["sharpe"], "+.2f"),
                f"{level['net_pnl']:+,.2f}",
                level["outcome"],
            ]
            for level in summary["costs"]
        ],
        marked="verdict",
    )


def bearable_costs(summary: Summary) -> str:
    """What the trades could have paid, beside what they did pay."""
    backtest, ends = summary["backtest"], summary["intervals"]["backtest"]["mean_gross_bps"]
    paid = paid_bps(summary)
    if paid is None:
        return "There are no trades, so there are no costs to bear."
    return (
        f"Before costs the mean trade earned {figure(backtest['mean_gross_bps'], ends, '+.2f')} bps, so it breaks even at costs of that much. "
        f"It paid {paid:.2f} bps."
    )


def trades(summary: Summary) -> Table:
    """What trades are like, whatever they added up to."""
    backtest, intervals, anatomy = summary["backtest"], summary["intervals"]["backtest"], summary["anatomy"]["trades"]
    held = f"{number(anatomy['mean_bars_held'], '.1f')} mean, {number(anatomy['median_bars_held'], '.0f')} median"
    return Table(
        caption="Trades [95 % interval]",
        columns=["figure", "value"],
        rows=[
            ["trades", f"{backtest['trades']:,} in {backtest['days']:,} days"],
            *([f"ended {how}", f"{backtest[name]:,}"] for name, how in _ENDED.items()),
            ["win rate", figure(backtest["win_rate"], intervals["win_rate"], ".4f")],
            ["win rate at which the mean trade is 0", number(backtest["break_even"], ".4f")],
            ["gross bps a trade", figure(backtest["mean_gross_bps"], intervals["mean_gross_bps"], "+.2f")],
            ["net bps a trade", figure(backtest["mean_net_bps"], intervals["mean_net_bps"], "+.2f")],
            ["mean net, quote currency", number(anatomy["expectancy_quote"], "+,.2f")],
            ["won to lost (profit factor)", number(anatomy["profit_factor"], ".2f")],
            ["mean win to mean loss", number(anatomy["payoff_ratio"], ".2f")],
            ["longest streaks", f"{anatomy['longest_win_streak']:,} wins, {anatomy['longest_loss_streak']:,} losses"],
            ["bars held", held],
        ],
    )


def sizes(summary: Summary) -> Table:
    """The same trades in other sizes."""
    return Table(
        caption="All trades at a fixed size, in the quote currency",
        columns=[
            "base units a trade",
            "trades",
            "fees",
            "net",
            "net to the capital",
            "deepest drawdown",
            "ruin",
        ],
        rows=[
            [
                f"{row['contract']:g}",
                f"{row['trades']:,}",
                f"{row['fees']:,.2f}",
                f"{row['net_pnl']:+,.2f}",
                f"{row['roi']:+.2%}",
                f"{row['max_drawdown_quote']:+,.2f}, {row['max_drawdown']:.2%}",
                "the account is lost" if row["max_drawdown"] <= -1.0 else "no",
            ]
            for row in summary["sizes"]
        ],
    )


def chosen_brackets(windows: Sequence[Mapping[str, Any]]) -> str:
    """What differs between the windows' settings; nothing where all are traded alike."""
    values = {name: [window["bracket"][name] for window in windows] for name in windows[0]["bracket"]}
    differ = [
        f"{name}: {', '.join(f'{value:g}' for value in found)}" for name, found in values.items() if len(set(found)) > 1
    ]
    return f"Chosen on each window's own validation, oldest first: {'; '.join(differ)}." if differ else ""


def _drawdown(drawdown: Mapping[str, Any]) -> str:
    if drawdown["start"] is None:
        return "never below its peak"
    recovery = drawdown["recovery"]
    return (
        f"{drawdown['start'][:10]} .. {drawdown['trough'][:10]}, "
        + (f"back on {recovery[:10]}" if recovery else "not recovered")
        + f" after {drawdown['length_days']:,.0f} days"
    )
