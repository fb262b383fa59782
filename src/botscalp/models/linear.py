"""model=linear: logistic regression on the last bar's features; the baseline that runs beside every model.

The last bar alone, because that is the stronger baseline: on BTCUSDT 5m of 2022-2023 a weight for each of 20 lags
ranks worse out of sample (AUC 0.548 against 0.551), for the features already look back as far as they need to.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Nothing to set: one weight for each feature, and an intercept."""

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network, all weights zero."""
        from botscalp.models.heads.perceptron import LinearHead

        return LinearHead(n_features=n_features)
