"""The networks. Shapes: B batch, L lags (oldest bar first), F features, H hidden units."""

from torch import Tensor, nn


class RecurrentHead(nn.Module):
    """GRU over the lags; the logit is a linear map of the last state."""

    def __init__(self, *, n_features: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.recurrent = nn.GRU(
            n_features, hidden, num_layers=layers, dropout=dropout if layers > 1 else 0.0, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Logits of shape (B,)."""
        states_BLH, _ = self.recurrent(x_BLF)
        logit_B1: Tensor = self.output(self.dropout(states_BLH[:, -1]))
        return logit_B1.squeeze(-1)


class LinearHead(nn.Module):
    """Logistic regression on the features of the sample's last bar."""

    def __init__(self, *, n_features: int) -> None:
        super().__init__()
        self.output = nn.Linear(n_features, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Logits of shape (B,)."""
        logit_B1: Tensor = self.output(x_BLF[:, -1])
        return logit_B1.squeeze(-1)
