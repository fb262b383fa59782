"""The verdict's rules as tables: first what decided, then the rest, and the sentinels by themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from botscalp.report.numbers import ends_of, figure
from botscalp.report.tables import Table

Rule = Mapping[str, Any]

_FORMS = {
    "enough_trades": ",.0f",
    "auc": ".4f",
    "brier_skill": "+.5f",
    "mean_net_bps": "+.2f",
    "mean_net_bps_at_double_costs": "+.2f",
    "sharpe": "+.2f",
    "decay": "+.4f",
    "beats_linear": "+.4f",
    "beats_previous_sign": "+.4f",
    "beats_best_baseline": "+,.2f",
    "auc_too_high": ".4f",
    "accuracy_too_high": ".4f",
    "sharpe_too_high": "+.2f",
    "profit_in_last_bars": "+.2f",
    "ece_too_small": ".5f",
    "single_feature_auc": ".4f",
}
"""of figures whose unit calls for one; the others are shown to four digits"""
FACTS = ("real_data", "tracked")
"""rules whose figure is 1 or 0: yes or no"""
_RESULTS = {"fired": "fired", "fail": "failed", "undecided": "undecided", "pass": "passed", "clear": "clear"}
"""what follows "3 rules ..." """


def deciding_rules(verdict: Mapping[str, Any]) -> Table | None:
    """Those that brought the outcome about, and those that somebody has set aside."""
    rules = [rule for rule in verdict["rules"] if _decides(rule, verdict)]
    return _table("The rules that decided, and any that were set aside [95 % interval]", rules) if rules else None


def other_rules(verdict: Mapping[str, Any]) -> Table:
    """The rest, those that speak against the run first; folded unless nothing else tells the verdict."""
    rules = [
        rule
        for result in ("fail", "undecided", "pass")
        for rule in verdict["rules"]
        if rule["result"] == result and not _decides(rule, verdict)
    ]
    counts = Counter(rule["result"] for rule in rules)
    found = ", ".join(f"{count} {_RESULTS[result]}" for result, count in counts.items())
    return _table(f"The other rules: {found or 'none'}", rules, folded=bool(verdict["reasons"]))


def sentinels(verdict: Mapping[str, Any]) -> Table:
    """What looks for figures that are too good to be true."""
    rules = [rule for result in ("fired", "clear") for rule in verdict["rules"] if rule["result"] == result]
    return _table("Sentinels: each fires where its figure lies beyond its line [95 % interval]", rules)


def _decides(rule: Rule, verdict: Mapping[str, Any]) -> bool:
    return rule["name"] in verdict["reasons"] or rule["result"] == "overridden"


def _table(caption: str, rules: Iterable[Rule], *, folded: bool = False) -> Table:
    return Table(
        caption=caption,
        columns=["rule", "outcome", "figure", "line", "name"],
        rows=[[_sentence(rule["words"]), rule["result"], *_figures(rule), rule["name"]] for rule in rules],
        marked="outcome",
        folded=folded,
    )


def _figures(rule: Rule) -> tuple[str, str]:
    """The figure with its interval, and the line it is held against."""
    if rule["name"] in FACTS:
        return "yes" if rule["value"] else "no", ""
    form = _FORMS.get(rule["name"], ".4g")
    line = rule["threshold"]
    return figure(rule["value"], ends_of(rule), form), "" if line is None else format(line, form.lstrip("+"))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
