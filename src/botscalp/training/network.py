"""A network as a forecaster."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from botscalp.features.samples import Timeline
from botscalp.models.heads.causal import CausalHead
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, OnEpoch, fit_head, predict_head
from botscalp.training.settings import Device, TrainerSettings
from botscalp.types import Float32, Float64, Int64


@dataclass(frozen=True)
class NetworkForecaster:
    """A head that is trained by gradients."""

    head: CausalHead
    lags: int
    settings: TrainerSettings
    device: Device

    def fit(self, examples: Examples, *, seed: int, on_epoch: OnEpoch) -> FitReport:
        """See `fit_head`."""
        return fit_head(
            self.head,
            examples,
            lags=self.lags,
            settings=self.settings,
            device=self.device,
            seed=seed,
            on_epoch=on_epoch,
        )

    def predict(self, *, x_NF: Float32, timeline: Timeline, rows: Int64) -> Float64:
        """See `predict_head`."""
        return predict_head(
            self.head,
            x_NF=x_NF,
            timeline=timeline,
            rows=rows,
            lags=self.lags,
            settings=self.settings,
            device=self.device,
        )

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.contiguous() for name, tensor in self.head.state_dict().items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        self.head.load_state_dict(dict(weights))
