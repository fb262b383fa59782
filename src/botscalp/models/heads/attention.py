"""Attention to the bars before."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from botscalp.models.heads.causal import CausalHead


class AttentionHead(CausalHead):
    """A transformer whose layers attend to the last few bars, so few that all layers together see no more than the lags.

    A bar's place is told by how far back it lies: each attention head learns a bias for each distance (Press, Smith & Lewis
    2022 fix it), so the same bars give the same logit wherever they stand in the stretch.
    """

    def __init__(self, *, n_features: int, lags: int, hidden: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__(width=hidden, dropout=dropout)
        self.embedding = nn.Linear(n_features, hidden)
        self.layers = nn.ModuleList(
            AttentionLayer(hidden=hidden, heads=heads, reach=1 + (lags - 1) // layers, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)

    def states(self, x_BSF: Tensor) -> Tensor:
        states_BSH = self.embedding(x_BSF)
        for layer in self.layers:
            states_BSH = layer(states_BSH)
        states: Tensor = self.norm(states_BSH)
        return states


class AttentionLayer(nn.Module):
    """Pre-norm attention over `reach` bars, the present one included, then a perceptron at each bar."""

    def __init__(self, *, hidden: int, heads: int, reach: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.reach = heads, reach
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])
        self.projection = nn.Linear(hidden, 3 * hidden)
        self.mixture = nn.Linear(hidden, hidden)
        self.distance = nn.Parameter(torch.zeros(heads, reach))
        self.perceptron = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states_BSH: Tensor) -> Tensor:
        """[B, S, H] to [B, S, H]."""
        batch, steps, hidden = states_BSH.shape
        parts = self.projection(self.norms[0](states_BSH)).view(batch, steps, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=self._bias(steps))
        mixed_BSH = mixed.transpose(1, 2).reshape(batch, steps, hidden)
        states_BSH = states_BSH + self.dropout(self.mixture(mixed_BSH))
        states: Tensor = states_BSH + self.dropout(self.perceptron(self.norms[1](states_BSH)))
        return states

    def _bias(self, steps: int) -> Tensor:
        """What is added to the scores, shape (heads, S, S): the distance's bias within reach, minus infinity beyond."""
        at = torch.arange(steps, device=self.distance.device)
        back_SS = at[:, None] - at
        within_SS = (back_SS >= 0) & (back_SS < self.reach)
        bias = self.distance[:, back_SS.clamp(0, self.reach - 1)]
        return bias.masked_fill(~within_SS, float("-inf"))
