"""model=gru: a gated recurrent network that reads bar by bar."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botscalp.types import Count, Fraction

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


@dataclass(frozen=True, kw_only=True)
class GRU:
    """What a user sets about the GRU."""

    hidden: Count
    """units of the recurrent state"""
    layers: Count
    """recurrent layers on top of each other"""
    dropout: Fraction
    """share of units dropped between layers and before the output"""

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network, its weights drawn from torch's global generator."""
        from torch import nn

        from botscalp.models.heads.recurrent import RecurrentHead

        return RecurrentHead(
            nn.GRU, n_features=n_features, hidden=self.hidden, layers=self.layers, dropout=self.dropout
        )
