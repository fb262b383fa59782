"""What a verdict is made of: a rule with its figure, interval, threshold and plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.types import Name

Outcome = Literal["SUSPICIOUS", "REJECTED", "INCONCLUSIVE", "CANDIDATE"]
Result = Literal["pass", "fail", "undecided", "fired", "clear", "overridden"]

_DECISIVE: dict[Outcome, Result] = {"SUSPICIOUS": "fired", "REJECTED": "fail", "INCONCLUSIVE": "undecided"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of the verdict. `fired` and `clear` belong to sentinels, the other results to rules."""

    name: str
    result: Result
    value: float | None
    threshold: float | None
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Override:
    """Somebody's decision that a rule shall not count."""

    by: Name
    reason: Name


@dataclass(frozen=True)
class Verdict:
    """An outcome and the rules it follows from."""

    outcome: Outcome
    rules: tuple[Rule, ...]

    def reasons(self) -> tuple[Rule, ...]:
        """The rules that brought the outcome about; none for a CANDIDATE."""
        return tuple(rule for rule in self.rules if rule.result == _DECISIVE.get(self.outcome))


def verdict_tags(verdict: Verdict) -> dict[str, str]:
    """What a person filters runs by, as MLflow tags."""
    reasons = [rule.name for rule in verdict.reasons()]
    overridden = ",".join(rule.name for rule in verdict.rules if rule.result == "overridden")
    tags = {"verdict": verdict.outcome, "verdict.reason": next(iter(reasons), "")}
    return tags | ({"verdict.overridden": overridden} if overridden else {})


def decide(rules: Sequence[Rule]) -> Verdict:
    """SUSPICIOUS if a sentinel fired, else REJECTED if a rule failed, else INCONCLUSIVE if one is open, else CANDIDATE."""
    results = {rule.result for rule in rules}
    outcome: Outcome = "CANDIDATE"
    if "fired" in results:
        outcome = "SUSPICIOUS"
    elif "fail" in results:
        outcome = "REJECTED"
    elif "undecided" in results:
        outcome = "INCONCLUSIVE"
    return Verdict(outcome, tuple(rules))


def overridden(rules: Sequence[Rule], overrides: Mapping[str, Override]) -> list[Rule]:
    """The rules, those that are overridden marked so; their figures stay."""
    return [
        replace(
            rule,
            result="overridden",
            words=f"{rule.words} ({rule.result}, overridden by {override.by}: {override.reason})",
        )
        if (override := overrides.get(rule.name))
        else rule
        for rule in rules
    ]


def above(
    name: str, estimate: Estimate, threshold: float, words: str, *, days: int, missing: str = "no interval"
) -> Rule:
    """Pass if the interval lies wholly above the threshold, fail if wholly below, else undecided.

    Args:
        days: how many days the figure rests on; an open rule says how many more would decide.
        missing: why there is no figure or no interval; such a rule is undecided.
    """
    value = estimate.value
    if value is None or estimate.interval is None:
        return Rule(name=name, result="undecided", value=value, threshold=threshold, words=f"{words}: {missing}")
    low, high = estimate.interval
    result: Result = "pass" if low > threshold else "fail" if high < threshold else "undecided"
    if result == "undecided" and value != threshold:
        # An interval's width falls with the square root of the days.
        more = days * (((high - low) / 2 / (value - threshold)) ** 2 - 1)
        words = f"{words}; about {max(more, 1):,.0f} more such days would decide"
    return Rule(name=name, result=result, value=value, low=low, high=high, threshold=threshold, words=words)


def beyond(name: str, estimate: Estimate, line: float, words: str) -> Rule:
    """A sentinel: fired if the whole interval lies above the line; clear if not, or if nothing can be told."""
    low, high = estimate.interval or (None, None)
    fired = low is not None and low > line
    result: Result = "fired" if fired else "clear"
    return Rule(name=name, result=result, value=estimate.value, low=low, high=high, threshold=line, words=words)


def given(name: str, holds: bool, words: str, otherwise: str) -> Rule:
    """A plain fact: passes if it holds, else nothing can be decided."""
    return Rule(
        name=name,
        result="pass" if holds else "undecided",
        value=float(holds),
        threshold=1.0,
        words=words if holds else otherwise,
    )
