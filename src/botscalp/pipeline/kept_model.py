"""A fitted window's model as files: weights in safetensors, all else in JSON. Nothing is ever unpickled."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from botscalp.calibration import Calibrator, calibrator_from_dict
from botscalp.errors import UserError
from botscalp.features.feature_set import FeatureSet
from botscalp.features.samples import Timeline, predictable
from botscalp.features.scaler import Scaler
from botscalp.models import Model
from botscalp.options import build, checked
from botscalp.times import interval_name
from botscalp.training.settings import TrainerSettings
from botscalp.types import Bars, Float64, Int64

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"
RECORD = "model.json"


def write_model(folder: Path, weights: "Mapping[str, Tensor]", record: Mapping[str, Any]) -> None:
    """Write the two files; `record` is JSON that says how the model is built and what was fitted."""
    from safetensors.torch import save_file

    save_file(dict(weights), folder / WEIGHTS)
    (folder / RECORD).write_text(json.dumps(record, indent=1))


def copy_model(source: Path, folder: Path) -> None:
    """Copy the two files into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)  # a job that is started again finds what it had begun
    for name in (WEIGHTS, RECORD):
        shutil.copyfile(source / name, folder / name)


@dataclass(frozen=True, kw_only=True)
class KeptModel:
    """What a window fitted, ready to score bars it has never seen."""

    symbols: tuple[str, ...]
    interval_ns: int
    features: FeatureSet
    model: Model
    trainer: TrainerSettings
    weights: "dict[str, Tensor]"
    scaler: Scaler
    calibrator: Calibrator

    @classmethod
    def read(cls, folder: Path) -> "KeptModel":
        """The model in that folder.

        Raises:
            UserError: a file is missing, or is not what `write_model` wrote.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            record = json.loads((folder / RECORD).read_text())
            return cls(
                symbols=tuple(record["symbols"]),
                interval_ns=record["interval_ns"],
                features=build(record["features"], "features"),
                model=build(record["model"], "model"),
                trainer=checked(TrainerSettings, record["trainer"], "trainer"),
                weights=load_file(folder / WEIGHTS),
                scaler=Scaler.from_dict(record["scaler"]),
                calibrator=calibrator_from_dict(record["calibrator"]),
            )
        except UserError:
            raise
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise UserError("run", folder, f"holds no readable model: {error!r}", "name a run that finished") from error

    def forecast(self, bars: Bars, *, device: Literal["cpu", "cuda"] = "cpu") -> tuple[Int64, Float64, Float64]:
        """Open times (ns), raw and calibrated probabilities of "up" of all predictable bars; three arrays of shape (n,).

        Raises:
            UserError: the bars' interval is not the one that the model learnt on.
        """
        from botscalp.training.forecasters import forecaster_of

        if bars.interval_ns != self.interval_ns:
            raise UserError(
                "data.path",
                bars.symbol,
                f"has {interval_name(bars.interval_ns)} bars, the model learnt on {interval_name(self.interval_ns)} bars",
                "give bars of that interval",
            )
        x_TF = self.scaler.scaled(self.features.compute(bars))
        forecaster = forecaster_of(
            self.model,
            n_features=x_TF.shape[1],
            lags=self.features.lags,
            settings=self.trainer,
            device=device,
            seed=0,
        )
        try:
            forecaster.load(self.weights)
        except RuntimeError as error:
            raise UserError("run", RECORD, f"does not fit its weights: {error}", "name a run that is whole") from error
        rows = np.flatnonzero(predictable(bars, self.features.lags, self.features.lookback_bars))
        timeline = Timeline.of([bars], self.features.lookback_bars)
        p_raw = forecaster.predict(x_NF=x_TF, timeline=timeline, rows=rows)
        return bars.open_time_ns[rows], p_raw, self.calibrator.calibrated(p_raw)
