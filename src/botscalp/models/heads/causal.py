"""What all heads share."""

from torch import Tensor, nn


class CausalHead(nn.Module):
    """A network whose logit at a bar follows from that bar and those before it, so that one pass over a stretch of bars gives
    the logit of each.

    A subclass gives `states`. One with a finite reach sees no further back than a sample does; then a bar's logit in a long
    stretch is that of its own sample. A recurrent state remembers what came before, less and less.

    Args:
        width: H.
        dropout: share of units dropped before the output.
    """

    def __init__(self, *, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, 1)

    def states(self, x_BSF: Tensor) -> Tensor:
        """[B, S, H]; state s is a function of steps 0 .. s alone."""
        raise NotImplementedError

    def forward(self, x_BSF: Tensor, last: int = 1) -> Tensor:
        """Logits of the last steps, shape (B, last)."""
        logit_BK1: Tensor = self.output(self.dropout(self.states(x_BSF)[:, -last:]))
        return logit_BK1.squeeze(-1)
