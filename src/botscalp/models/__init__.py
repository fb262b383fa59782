"""Heads: networks that map a sample [B, L, F] to one logit, and the options that describe them."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from botscalp.models.heads.causal import CausalHead


class Model(Protocol):
    """An option of the model group that is a network; boosting and ensemble bring forecasters of their own."""

    def head(self, *, n_features: int, lags: int) -> "CausalHead":
        """A fresh network whose forward maps [B, S, n_features] to the logits of the last step, [B, 1]."""
        ...
