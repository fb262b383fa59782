"""Networks that carry a state from bar to bar."""

from torch import Tensor, nn

from botscalp.models.heads.causal import CausalHead


class RecurrentHead(CausalHead):
    """GRU or LSTM; the logit is a linear map of the state."""

    def __init__(
        self, cell: type[nn.GRU] | type[nn.LSTM], *, n_features: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__(width=hidden, dropout=dropout)
        self.recurrent = cell(
            n_features, hidden, num_layers=layers, dropout=dropout if layers > 1 else 0.0, batch_first=True
        )

    def states(self, x_BSF: Tensor) -> Tensor:
        states_BSH: Tensor = self.recurrent(x_BSF)[0]
        return states_BSH
