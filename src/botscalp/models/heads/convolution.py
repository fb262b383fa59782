"""Convolutions that look back."""

from torch import Tensor, nn
from torch.nn import functional

from botscalp.models.heads.causal import CausalHead


def levels_within(lags: int, kernel: int) -> int:
    """How many dilated convolutions, of dilations 1, 2, 4, ..., see no more than `lags` bars: 1 + (kernel - 1)(2^n - 1) of them."""
    levels = 0
    while 1 + (kernel - 1) * (2 ** (levels + 1) - 1) <= lags:
        levels += 1
    return levels


class ConvolutionHead(CausalHead):
    """Residual dilated causal convolutions (the TCN of Bai, Kolter & Koltun 2018, one convolution a block)."""

    def __init__(self, *, n_features: int, lags: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__(width=hidden, dropout=dropout)
        self.embedding = nn.Linear(n_features, hidden)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden, hidden, kernel, dilation=2**level) for level in range(levels_within(lags, kernel))
        )
        self.between = nn.Dropout(dropout)

    def states(self, x_BSF: Tensor) -> Tensor:
        states_BHS: Tensor = self.embedding(x_BSF).transpose(1, 2)
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            behind = convolution.dilation[0] * (convolution.kernel_size[0] - 1)
            drawn_BHS = convolution(functional.pad(states_BHS, (behind, 0)))
            states_BHS = states_BHS + self.between(functional.relu(drawn_BHS))
        return states_BHS.transpose(1, 2)
