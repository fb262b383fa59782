"""A verdict rule of your own: the account may not have fallen too far below its peak."""

from collections.abc import Sequence
from dataclasses import dataclass

from botscalp.pipeline.evidence.weigh import Evidence
from botscalp.pipeline.rules import Rule
from botscalp.pipeline.verdict import Thresholds
from botscalp.types import Fraction


@dataclass(frozen=True, kw_only=True)
class WithDrawdown(Thresholds):
    most_drawdown: Fraction

    def own_rules(self, evidence: Evidence) -> Sequence[Rule]:
        fall = -evidence.backtest.max_drawdown
        rule = Rule(
            name="drawdown",
            result="pass" if fall <= self.most_drawdown else "fail",
            value=fall,
            threshold=self.most_drawdown,
            words="deepest fall of equity below its peak, as a fraction of the peak",
        )
        return (rule,)
