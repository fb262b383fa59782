"""What a trial of a search is told besides its settings."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from botscalp.statistics.paired import worse_p
from botscalp.types import NonNegativeInt, Positive

Objective = Literal["brier_skill", "auc"]
"""a metric of a window's test that settings of any horizon share; more is better"""
WITHOUT_SKILL: dict[Objective, float] = {"brier_skill": 0.0, "auc": 0.5}
"""what a forecast comes to that knows nothing"""
PRUNED_BELOW_P = 0.05
"""a trial ends where so low a mean difference to the incumbent is less probable than this"""


@dataclass(frozen=True, kw_only=True)
class TrialOrder:
    """One trial: its number, how it is scored, and whom it has to keep up with."""

    number: NonNegativeInt
    objective: Objective
    incumbent: NonNegativeInt | None
    """the best trial that had ended when this one was asked for; None where there was none, or nothing is pruned"""
    scores: tuple[float, ...]
    """the incumbent's, window by window"""
    timeout_s: Positive | None
    """after which it counts as failed"""

    def reason_to_stop(self, scores: tuple[float, ...]) -> str | None:
        """Why a trial with those scores of the first windows is not worth another one; None where it is."""
        if self.incumbent is None or len(scores) >= len(self.scores):
            return None
        differences = np.subtract(scores, self.scores[: len(scores)])
        p = worse_p(differences)
        if p is None or p >= PRUNED_BELOW_P:
            return None
        return (
            f"{differences.mean():+.5f} beside trial {self.incumbent} on the same {len(scores)} windows: "
            f"probability {p:.3f} if it were as good"
        )

    def estimate(self, scores: tuple[float, ...]) -> float:
        """What the mean over all windows comes to; of the first ones, by the incumbent's and the differences to it."""
        if self.incumbent is None or len(scores) == len(self.scores):
            return float(np.mean(scores))
        return float(np.mean(self.scores) + np.mean(np.subtract(scores, self.scores[: len(scores)])))
