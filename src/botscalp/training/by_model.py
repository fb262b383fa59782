"""From a model's settings to what is fitted."""

import torch

from botscalp.errors import UserError
from botscalp.models import Model
from botscalp.models.boosting import Boosting
from botscalp.models.ensemble import Ensemble
from botscalp.training.forecaster import Forecaster
from botscalp.training.network import NetworkForecaster
from botscalp.training.settings import Device, TrainerSettings


def forecaster_of(
    model: Model, *, n_features: int, lags: int, settings: TrainerSettings, device: Device, seed: int
) -> Forecaster:
    """An unfitted forecaster of that model, its first weights drawn by the seed."""
    if isinstance(model, Boosting):
        try:
            from botscalp.training.boosting import BoostedForecaster
        except OSError as error:
            problem, remedy = f"LightGBM cannot be loaded: {error}", "install the system's libgomp (Debian: libgomp1)"
            raise UserError("model", "boosting", problem, remedy) from error

        return BoostedForecaster(model)
    if isinstance(model, Ensemble):
        from botscalp.training.ensemble import EnsembleForecaster

        members = [member for member in model.models().values() for _ in range(model.seeds)]
        return EnsembleForecaster(
            [
                forecaster_of(
                    member, n_features=n_features, lags=lags, settings=settings, device=device, seed=seed + number
                )
                for number, member in enumerate(members)
            ],
            stack=model.combine == "stack",
        )
    torch.manual_seed(seed)
    head = model.head(n_features=n_features, lags=lags)
    return NetworkForecaster(head=head, lags=lags, settings=settings, device=device)
