"""What a run's figures answer, in plain words: did it work, why, on what, how sure is it, and what would change it.

Written from summary.json alone, for readers who know none of its terms. An answer claims what its interval shows, and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botscalp.report.markets import are_real
from botscalp.report.numbers import ends_of, figure, interval

Summary = Mapping[str, Any]
Rule = Mapping[str, Any]

ASKED = {
    "real_data": "bars of a real market",
    "tracked": "being counted as a trial",
    "enough_trades": "enough trades",
    "auc": "ranking up above down",
    "brier_skill": "probabilities better than a constant one",
    "mean_net_bps": "earning after costs",
    "mean_net_bps_at_double_costs": "earning at twice the costs",
    "sharpe": "a Sharpe ratio above that of luck",
    "decay": "keeping its AUC from validation to test",
    "beats_linear": "ranking better than logistic regression",
    "beats_previous_sign": "ranking better than the last bar's sign",
    "beats_best_baseline": "earning more than the best baseline",
}
"""what each rule of the verdict asks for, in a few words"""
_OF_COSTS = {"mean_net_bps", "mean_net_bps_at_double_costs"}
_SHOWN_SENTINELS = 2


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Each of one or two sentences."""

    worked: str
    why: str
    on_what: str
    how_sure: str
    what_would_change: str


def answers(summary: Summary) -> Answers:
    """What the run's figures answer."""
    return Answers(
        worked=_worked(summary),
        why=_why(summary),
        on_what=_on_what(summary),
        how_sure=_how_sure(summary),
        what_would_change=_what_would_change(summary),
    )


def real(summary: Summary) -> bool:
    """Whether a market made the bars."""
    return are_real(summary["data"]["markets"])


def paid_bps(summary: Summary) -> float | None:
    """What the mean trade cost: fees, slippage, spread and funding."""
    gross, net = summary["backtest"]["mean_gross_bps"], summary["backtest"]["mean_net_bps"]
    return None if gross is None or net is None else gross - net


def _worked(summary: Summary) -> str:
    money, outcome = _money(summary), summary["verdict"]["outcome"]
    match outcome:
        case "CANDIDATE" if _earned(summary):
            where = "these bars" if real(summary) else "SIMULATED bars, which say nothing about a market"
            aside = _named(_rules(summary, "overridden"))
            return f"Yes, on {where}{f', with {aside} set aside by hand' if aside else ''}: {money}."
        case "CANDIDATE":
            return f"It is not shown, and no rule objects only because some were set aside by hand: {money}."
        case "REJECTED":
            return f"No{', although ' if _earned(summary) else ': '}{money}."
        case "INCONCLUSIVE":
            return f"It cannot be told yet: {money}."
        case _:
            return f"It cannot be told: the run looks too good to be true, so none of its figures counts ({money})."


def _money(summary: Summary) -> str:
    """What the trades came to, and whether luck explains it."""
    backtest, ends = summary["backtest"], summary["intervals"]["backtest"]["mean_net_bps"]
    net = backtest["mean_net_bps"]
    if not backtest["trades"]:
        return f"no trade was made in {backtest['days']:,} days"
    trades = f"{_counted(backtest['trades'], 'trade')} in {_counted(backtest['days'], 'day')}"
    if net is None:
        return f"what {trades} came to is not known"
    each = f"{net:+.2f} bps (hundredths of a percent) a trade {interval(ends, '+.2f')}".strip()
    if ends is None:
        return f"{trades} came to {each} after costs, too little to tell skill from luck"
    if _earned(summary):
        return f"{trades} earned money after costs, {each}"
    if ends[1] < 0:
        return f"{trades} lost money after costs, {each}"
    return f"{trades} came to {each} after costs, which luck alone may explain"


def _earned(summary: Summary) -> bool:
    """Whether the trades earned more than luck explains."""
    ends = summary["intervals"]["backtest"]["mean_net_bps"]
    return ends is not None and ends[0] > 0


def _why(summary: Summary) -> str:
    asked = [rule for rule in summary["verdict"]["rules"] if rule["result"] in ("pass", "fail", "undecided")]
    aside = _named(_rules(summary, "overridden"))
    without = f"; set aside by hand: {aside}" if aside else ""
    match summary["verdict"]["outcome"]:
        case "REJECTED":
            failed = _rules(summary, "fail")
            return f"{_story(summary)}. It fails at {len(failed)} of {len(asked)} rules: {_named(failed)}{without}."
        case "INCONCLUSIVE":
            undecided = _rules(summary, "undecided")
            return (
                f"{_story(summary)}. No rule fails, but {len(undecided)} of {len(asked)} {_are(undecided)} open: "
                f"{_named(undecided)}{without}."
            )
        case "CANDIDATE":
            return f"{_story(summary)}. It passes all {len(asked)} rules, and no sentinel fires{without}."
        case _:
            fired = _rules(summary, "fired")
            shown = "; ".join(f"{rule['words']}: {_rule_figure(rule)}" for rule in fired[:_SHOWN_SENTINELS])
            more = f"; and {len(fired) - _SHOWN_SENTINELS} more" if len(fired) > _SHOWN_SENTINELS else ""
            return f"{_counted(len(fired), 'sentinel')} for leaks and easy data fired: {shown}{more}{without}."


def _story(summary: Summary) -> str:
    """The forecast, and what trading makes of it."""
    auc, ends = summary["metrics"]["auc"], summary["intervals"]["test"]["auc"]
    shown = f"(AUC {figure(auc, ends, '.4f')})"
    good = ends is not None and ends[0] > 0.5
    if good:
        forecast = f"The forecast ranks up above down {shown}"
    elif ends is not None and ends[1] < 0.5:
        forecast = f"The forecast ranks up below down, worse than a coin {shown}"
    else:
        forecast = f"Whether the forecast ranks up above down is not certain {shown}"
    gross, paid = summary["backtest"]["mean_gross_bps"], paid_bps(summary)
    if gross is None or paid is None:
        return f"{forecast}, {'but' if good else 'and'} no trade tells what it is worth"
    if gross <= 0:
        return f"{forecast}, {'but' if good else 'and'} a trade loses {-gross:.2f} bps before costs of {paid:.2f} bps"
    earns = f"{forecast}{' and' if good else ';'} a trade earns {gross:.2f} bps before costs"
    return f"{earns}, but costs are {paid:.2f} bps" if gross <= paid else f"{earns} of {paid:.2f} bps"


def _on_what(summary: Summary) -> str:
    data, windows = summary["data"], summary["windows"]
    start, end = windows[0]["test"][0][:10], windows[-1]["test"][1][:10]
    kind = "Bars of a real market" if real(summary) else "SIMULATED bars, no evidence about any market"
    samples = [window["n_train"] for window in windows]
    rows = sorted({min(samples), max(samples)})
    return (
        f"{kind}: {', '.join(data['symbols'])} at {data['interval']}, tested from {start} to {end} in "
        f"{_counted(len(windows), 'window')} that no fit had seen. "
        f"The model, {summary['title']}, was trained anew for each one, on {' to '.join(f'{n:,}' for n in rows)} "
        "samples before it."
    )


def _how_sure(summary: Summary) -> str:
    backtest = summary["backtest"]
    sharpe = f"the Sharpe ratio is {figure(backtest['sharpe'], summary['intervals']['backtest']['sharpe'], '.2f')}"
    if backtest["sharpe"] is None:
        reason = (backtest["sharpe_undefined"] or "").removeprefix("n/a ").strip("()")
        sharpe = f"there is no Sharpe ratio{f', {reason}' if reason else ''}"
    sentinels = [rule for rule in summary["verdict"]["rules"] if rule["result"] in ("fired", "clear")]
    fired = len(_rules(summary, "fired"))
    return (
        f"Brackets are 95 % intervals, from {summary['metrics']['n']:,} scored forecasts and "
        f"{_counted(backtest['trades'], 'trade')} in {_counted(backtest['days'], 'day')}; {sharpe}. "
        f"{_luck(summary['trials'])}; {fired or 'none'} of {len(sentinels)} sentinels, which look for leaks and for what is "
        "too good to be true, fired."
    )


def _luck(trials: Mapping[str, Any] | None) -> str:
    """How much was tried, and what that leaves of the Sharpe ratio."""
    if trials is None:
        return "How often these bars were tried before is not known"
    tried = (
        "This is the first setting tried on these test bars"
        if trials["count"] == 1
        else f"{trials['count']:,} settings have been tried on these test bars"
    )
    if trials["deflated_sharpe"] is None:
        return tried
    luck = "0" if trials["count"] == 1 else "the best of so many without skill"
    return f"{tried}, and the probability that its Sharpe ratio is above {luck} is {trials['deflated_sharpe']:.3f}"


def _what_would_change(summary: Summary) -> str:
    match summary["verdict"]["outcome"]:
        case "REJECTED":
            return _rejected(summary)
        case "INCONCLUSIVE":
            return _inconclusive(summary)
        case "CANDIDATE":
            return _candidate(summary)
        case _:
            return (
                "An audit: python -m botscalp.audit, with what was typed for this run, says whether a leak or easy data "
                "made these figures."
            )


def _rejected(summary: Summary) -> str:
    """What costs or trades would have to be where they decide; else the rules to be passed."""
    failed = _rules(summary, "fail")
    names = {rule["name"] for rule in failed}
    gross, paid = summary["backtest"]["mean_gross_bps"], paid_bps(summary)
    if gross is None or paid is None or not names & _OF_COSTS:
        market = ", on bars of a real market" if _market_rule(summary) else ""
        return f"Another model, other features or another way to trade that passes where this one fails{market}."
    market_rule = _market_rule(summary)
    others = _named([rule for rule in failed if rule["name"] not in _OF_COSTS] + market_rule)
    rest = f" It would also take {others}." if others else ""
    if gross <= 0:
        return (
            f"Not cheaper trading: a trade loses {-gross:.2f} bps before any costs, so the forecast or the way "
            f"it is traded would have to change.{rest}"
        )
    ends = summary["intervals"]["backtest"]["mean_gross_bps"]
    doubt = ", which may themselves be luck" if ends is None or ends[0] <= 0 else ""
    if gross <= paid:
        return (
            f"Only to break even, costs would have to fall from {paid:.2f} to {gross:.2f} bps a trade{doubt}, or what a trade "
            f"earns before them grow to {paid:.2f}; to pass, it has to earn at twice the costs.{rest}"
        )
    return (
        f"Costs would have to fall from {paid:.2f} to below {gross / 2:.2f} bps a trade{doubt}, or what a trade earns before "
        f"them grow from {gross:.2f} to above {2 * paid:.2f}: it has to earn at twice the costs.{rest}"
    )


def _market_rule(summary: Summary) -> list[Rule]:
    """The rule that asks for bars of a real market, where they are made up and it was not set aside by hand."""
    rules = [rule for rule in summary["verdict"]["rules"] if rule["name"] == "real_data"]
    return [rule for rule in rules if rule["result"] != "overridden" and not real(summary)]


def _inconclusive(summary: Summary) -> str:
    """What is missing, and where the figures point meanwhile."""
    undecided = _rules(summary, "undecided")
    days = {rule["name"]: more for rule in undecided if (more := days_to_decide(rule, summary["backtest"]["days"]))}
    needs = [_missing(rule) for rule in undecided if rule["name"] not in days]
    if days:
        needs.append(f"about {max(days.values()):,.0f} more days like these")
    against = [rule for rule in undecided if rule["name"] in days and rule["value"] < rule["threshold"]]
    turn = f" If the figures stay as they are, that ends in REJECTED, by {_named(against)}." if against else ""
    return f"It takes {_joined(needs)}.{turn}"


def days_to_decide(rule: Rule, days: int) -> float | None:
    """How many days more would decide an open rule, for an interval's width falls with the square root of the days."""
    value, low, high, line = (rule[name] for name in ("value", "low", "high", "threshold"))
    if None in (value, low, high, line) or value == line or not low <= line <= high:
        return None
    return float(max(days * (((high - low) / 2 / (value - line)) ** 2 - 1), 1))


def _missing(rule: Rule) -> str:
    """What a rule lacks that time alone does not bring, or not yet."""
    match rule["name"]:
        case "real_data":
            return "bars of a real market"
        case "tracked":
            return "tracking, so that the run is counted"
        case "enough_trades" if rule["value"] is not None and rule["threshold"] is not None:
            return f"{rule['threshold'] - rule['value']:,.0f} more trades"
        case _:
            return f"a figure for {_asked(rule)} ({rule['words'].rpartition(': ')[2]})"


def _candidate(summary: Summary) -> str:
    """What would overturn it."""
    gross, paid = summary["backtest"]["mean_gross_bps"], paid_bps(summary)
    costs = (
        ""
        if gross is None or paid is None or gross <= paid
        else f" costs above {gross:.2f} bps a trade instead of {paid:.2f},"
    )
    market = "" if real(summary) else " a real market,"
    return (
        f"It would be overturned by{market}{costs} a leak that an audit finds (python -m botscalp.audit), or more settings "
        "tried on the same bars. Trade it on paper first: only bars that nobody has seen tell whether it lasts."
    )


def _rules(summary: Summary, result: str) -> list[Rule]:
    return [rule for rule in summary["verdict"]["rules"] if rule["result"] == result]


def _named(rules: Sequence[Rule]) -> str:
    return _joined([_asked(rule) for rule in rules])


def _asked(rule: Rule) -> str:
    name: str = rule["name"]
    return ASKED.get(name, name)


def _rule_figure(rule: Rule) -> str:
    line = "" if rule["threshold"] is None else f", line at {rule['threshold']:.4g}"
    return figure(rule["value"], ends_of(rule), ".4g") + line


def _are(rules: Sequence[Rule]) -> str:
    return "is" if len(rules) == 1 else "are"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
