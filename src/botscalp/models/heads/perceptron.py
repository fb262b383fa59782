"""Networks that take a sample as one long vector, or its last bar alone."""

from torch import Tensor, nn
from torch.nn import functional

from botscalp.models.heads.causal import CausalHead


class PerceptronHead(CausalHead):
    """A perceptron over all lags at once; its first layer is a convolution as long as the sample."""

    def __init__(self, *, n_features: int, lags: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__(width=hidden, dropout=dropout)
        self.lags = lags
        self.first = nn.Conv1d(n_features, hidden, lags)
        self.others = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))

    def states(self, x_BSF: Tensor) -> Tensor:
        states_BSH = functional.relu(self.first(functional.pad(x_BSF.transpose(1, 2), (self.lags - 1, 0)))).transpose(
            1, 2
        )
        for layer in self.others:
            states_BSH = functional.relu(layer(self.dropout(states_BSH)))
        return states_BSH


class LinearHead(CausalHead):
    """Logistic regression on the features of a bar; it starts without an opinion."""

    def __init__(self, *, n_features: int) -> None:
        super().__init__(width=n_features)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def states(self, x_BSF: Tensor) -> Tensor:
        return x_BSF
