"""A head of your own: an Elman network. State s follows from bars 0 .. s alone, as `CausalHead` asks."""

from dataclasses import dataclass

from torch import Tensor, nn

from botscalp.models.heads.causal import CausalHead
from botscalp.types import Count, Fraction


class ElmanHead(CausalHead):
    def __init__(self, *, n_features: int, hidden: int, dropout: float) -> None:
        super().__init__(width=hidden, dropout=dropout)
        self.states_of = nn.RNN(n_features, hidden, batch_first=True)

    def states(self, x_BSF: Tensor) -> Tensor:
        states_BSH: Tensor = self.states_of(x_BSF)[0]
        return states_BSH


@dataclass(frozen=True, kw_only=True)
class Elman:
    hidden: Count
    dropout: Fraction

    def head(self, *, n_features: int, lags: int) -> CausalHead:
        return ElmanHead(n_features=n_features, hidden=self.hidden, dropout=self.dropout)
