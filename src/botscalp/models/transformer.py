"""model=transformer: attention to the lags."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botscalp.errors import UserError
from botscalp.types import Count, Fraction

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """What a user sets about the transformer."""

    hidden: Count
    """width of a bar's state"""
    layers: Count
    """each attends to its share of the lags"""
    heads: Count
    """of attention; they share the width"""
    dropout: Fraction
    """share of units dropped within layers and before the output"""

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise UserError(
                "model.heads", self.heads, f"does not divide model.hidden={self.hidden}", "choose one that does"
            )

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network, its weights drawn from torch's global generator."""
        from botscalp.models.heads.attention import AttentionHead

        return AttentionHead(n_features=n_features, lags=lags, **vars(self))
