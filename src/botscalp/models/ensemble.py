"""model=ensemble: several models, or several seeds of one, whose probabilities are averaged or weighed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botscalp.errors import UserError
from botscalp.options import build
from botscalp.types import Count

if TYPE_CHECKING:
    from botscalp.models import Model


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What a user sets about the ensemble."""

    seeds: Count
    """fits of each member, each from other first weights"""
    combine: Literal["average", "stack"]
    """stack: weights of at least 0 that sum to 1, those with the lowest log loss on the first half of validation"""
    members: dict[str, dict[str, Any]]
    """options of the model group, by any name"""

    def __post_init__(self) -> None:
        if not self.members:
            raise UserError("model.members", "{}", "an ensemble of nothing", "add one: +model@model.members.gru=gru")
        self.models()

    def models(self) -> "Mapping[str, Model]":
        """The members' options by name."""
        return {name: build(values, f"model.members.{name}") for name, values in self.members.items()}
