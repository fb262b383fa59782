"""model=linear: logistic regression on the flattened sample; the baseline that runs beside every model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Nothing to set: one weight for each lag of each feature, and an intercept."""

    def head(self, *, n_features: int, lags: int) -> "nn.Module":
        """A fresh network, all weights zero."""
        from botscalp.models.heads import LinearHead

        return LinearHead(n_features=n_features, lags=lags)
