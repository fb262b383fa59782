"""From the sentinels to one sentence: a leak, data that are too easy, or figures to be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from botscalp.pipeline.rules import Rule

Finding = Literal["LEAK", "DATA TOO EASY", "UNDECLARED MEMORY", "BLIND", "CLEAN"]


@dataclass(frozen=True)
class Sentinel:
    """What it means that a rule of that name fires."""

    number: str
    """as the field counts them, S1 to S8; none for what the run's own figures show"""
    finding: Finding
    remedy: str


_SIGN = "find where the code reads ahead: no negative shift, no centred window, nothing fitted on the whole sample"
_INSIDE = "fit scaler, weights, stopping, calibrator and brackets on train and validation alone"
_EASY = "no model earns what such bars promise: use a market's own bars"

SENTINELS = {
    "shuffled_labels": Sentinel("S1", "LEAK", "look for labels that reach the model by another way than training rows"),
    "martingale_bars": Sentinel("S2", "LEAK", _SIGN),
    "martingale_gross_bps": Sentinel(
        "S2", "LEAK", "fills earn without any direction: look at what a fill or a bracket knows of its own bar"
    ),
    "martingale_single_feature_auc": Sentinel("S2", "LEAK", _SIGN),
    "planted_signal": Sentinel("S3", "BLIND", "give it features that show the last return, more epochs, or more bars"),
    "future_perturbation_features": Sentinel("S4", "LEAK", _SIGN),
    "future_perturbation_labels": Sentinel(
        "S4", "LEAK", "make span_bars as long as the label looks ahead, and purge that much from the end of each range"
    ),
    "future_perturbation_fit": Sentinel("S4", "LEAK", _INSIDE),
    "future_perturbation_decisions": Sentinel(
        "S4", "LEAK", "decide at bar t by bars up to t: samples end at t, fills begin at t+1"
    ),
    "prefix_invariance": Sentinel("S5", "LEAK", _SIGN),
    "warm_up": Sentinel("S6", "UNDECLARED MEMORY", "raise the feature's lookback_bars, or bound what it remembers"),
    "single_feature_auc": Sentinel("S7", "DATA TOO EASY", _EASY),
    "fills_after_signal": Sentinel("S8", "LEAK", "fill a signal of a close at the next open, worsened by costs"),
    "auc_too_high": Sentinel("", "DATA TOO EASY", _EASY),
    "accuracy_too_high": Sentinel("", "DATA TOO EASY", _EASY),
}
"""by the rule's name, in the order of the table"""

_ORDER: tuple[Finding, ...] = ("LEAK", "DATA TOO EASY", "UNDECLARED MEMORY", "BLIND")
"""the graver first: a leak makes any figure look easy"""

_MEANING: dict[Finding, str] = {
    "LEAK": "something knows what had not happened yet",
    "DATA TOO EASY": "nothing knows what had not happened yet, and a model trained on bars without direction finds none, "
    "so these bars tell their own future",
    "UNDECLARED MEMORY": "features remember more than they declare, so the same bar has other features where less is loaded",
    "BLIND": "this model and training miss a signal that is there",
    "CLEAN": "nothing knows what had not happened yet, no bars are too easy, and a planted signal is found",
}


@dataclass(frozen=True)
class Diagnosis:
    """What the audit found, and the sentence that says so."""

    finding: Finding
    sentence: str


def diagnosed(rules: Sequence[Rule]) -> Diagnosis:
    """The gravest finding, with the rules that brought it about and the remedy of the first."""
    fired = [rule for rule in rules if rule.result == "fired"]
    for finding in _ORDER:
        mine = [rule for rule in fired if SENTINELS[rule.name].finding == finding]
        if mine:
            names = ", ".join(rule.name for rule in mine)
            return Diagnosis(finding, f"{_MEANING[finding]} ({names}): {SENTINELS[mine[0].name].remedy}")
    return Diagnosis("CLEAN", _MEANING["CLEAN"])


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What an audit found."""

    diagnosis: Diagnosis
    rules: tuple[Rule, ...]
    plain_s: float
    """the walk over the audited windows by itself: bars, features, fits, trades"""
    total_s: float
