"""model=mlp: a perceptron over all lags at once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botscalp.types import Count, Fraction

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


@dataclass(frozen=True, kw_only=True)
class MLP:
    """What a user sets about the perceptron."""

    hidden: Count
    """units of a layer"""
    layers: Count
    """hidden layers"""
    dropout: Fraction
    """share of units dropped between layers and before the output"""

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network, its weights drawn from torch's global generator."""
        from botscalp.models.heads.perceptron import PerceptronHead

        return PerceptronHead(n_features=n_features, lags=lags, **vars(self))
