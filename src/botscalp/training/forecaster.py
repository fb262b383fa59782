"""What is fitted on a window and predicts, be it a network, trees, or several of both. Shapes: N rows of all symbols, F features."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from botscalp.features.samples import Timeline
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, OnEpoch
from botscalp.types import Float32, Float64, Int64


class Forecaster(Protocol):
    """What every model can do."""

    def fit(self, examples: Examples, *, seed: int, on_epoch: OnEpoch) -> FitReport:
        """Learn from the examples; `on_epoch` is called with the number of finished epochs and their metrics."""
        ...

    def predict(self, *, x_NF: Float32, timeline: Timeline, rows: Int64) -> Float64:
        """Probability of "up" at each of the rows, increasing."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """All that was learnt."""
        ...

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what another one learnt; RuntimeError where it does not fit."""
        ...
