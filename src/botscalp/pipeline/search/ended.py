"""The trials of a study as they are kept: what each was, and what it came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True, kw_only=True)
class EndedTrial:
    """A trial of any state but running; figures are None where it did not come to them."""

    number: int
    params: Mapping[str, Any]
    """the searched settings by their keys"""
    state: State
    value: float | None
    scores: tuple[float | None, ...]
    """the objective, window by window"""
    incumbent: int | None
    """the trial that it was compared with"""
    reason: str
    """why it was pruned or failed"""
    seconds: float | None
    fit_s: float | None
    sharpe: float | None
    capital_quote: float | None
    """what its account began with"""
    folder: str
    words: tuple[str, ...]
    """all that its job was told"""


def ranked(trials: Sequence[EndedTrial]) -> list[EndedTrial]:
    """Those that came to all their windows, the best first; of equal ones the older."""
    complete = [one for one in trials if one.state == "complete" and one.value is not None]
    return sorted(complete, key=lambda one: (-(one.value or 0.0), one.number))
