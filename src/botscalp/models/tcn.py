"""model=tcn: dilated causal convolutions over the lags."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from botscalp.types import Count, Fraction

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


@dataclass(frozen=True, kw_only=True)
class TCN:
    """What a user sets about the convolutions; how many there are follows from the lags."""

    hidden: Count
    """channels"""
    kernel: Annotated[int, Ge(2)]
    """bars that a convolution reads, 1, 2, 4, ... bars apart"""
    dropout: Fraction
    """share of units dropped between convolutions and before the output"""

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network, its weights drawn from torch's global generator."""
        from botscalp.models.heads.convolution import ConvolutionHead

        return ConvolutionHead(
            n_features=n_features, lags=lags, hidden=self.hidden, kernel=self.kernel, dropout=self.dropout
        )
