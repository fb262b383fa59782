"""A fitted window's model as files: weights in safetensors, all else in JSON. Nothing is ever unpickled."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from botscalp.calibration import Calibrator, calibrator_from_dict
from botscalp.errors import UserError
from botscalp.features.feature_set import FeatureSet
from botscalp.features.samples import Timeline, predictable
from botscalp.features.scaler import Scaler
from botscalp.models import Model
from botscalp.options import build, checked, nearest
from botscalp.pipeline.window import inputs_of
from botscalp.times import interval_name
from botscalp.training.settings import TrainerSettings
from botscalp.types import Bars, Float64, Int64
from botscalp.whole_files import whole, write_whole

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"
RECORD = "model.json"


def folders_for(folder: Path, models: int) -> list[Path]:
    """Where a window's models lie: the folder itself for a single one, folders 0, 1, ... inside it for several."""
    return [folder] if models == 1 else [folder / str(number) for number in range(models)]


def model_folders(folder: Path) -> list[Path]:
    """Those that were written; the folder itself where there are none."""
    numbered = [path for path in folder.glob("*") if path.name.isdigit() and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name)) or [folder]


def write_model(folder: Path, weights: "Mapping[str, Tensor]", record: Mapping[str, Any]) -> None:
    """Write the two files; `record` is JSON that says how the model is built and what was fitted."""
    from safetensors.torch import save

    with whole(folder / WEIGHTS) as aside:
        aside.write_bytes(save(dict(weights)))
    write_whole(folder / RECORD, json.dumps(record, indent=1))


def copy_models(source: Path, folder: Path) -> None:
    """Copy the two files of each of a window's models into a new folder."""
    for place in model_folders(source):
        target = folder / place.relative_to(source)
        for name in (WEIGHTS, RECORD):
            with whole(target / name) as aside:
                shutil.copyfile(place / name, aside)


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
        except UserError as error:
            problem = f"was kept by a botscalp with other options: {error.key}: {error.problem}"
            remedy = "predict with the botscalp that trained it, or train again"
            raise UserError("run", folder, problem, remedy) from error
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise UserError("run", folder, f"holds no readable model: {error!r}", "name a run that finished") from error

    def forecast(self, bars: Bars) -> tuple[Int64, Float64, Float64]:
        """Open times (ns), raw and calibrated probabilities of "up" of all predictable bars; three arrays of shape (n,).

        Raises:
            UserError: the bars' interval is not the one that the model learnt on.
        """
        from botscalp.training.by_model import forecaster_of

        if bars.interval_ns != self.interval_ns:
            raise UserError(
                "data.path",
                bars.symbol,
                f"has {interval_name(bars.interval_ns)} bars, the model learnt on {interval_name(self.interval_ns)} bars",
                "give bars of that interval",
            )
        x_TF = inputs_of(
            self.features.compute(bars),
            np.full(len(bars), self._position(bars.symbol)),
            self.symbols,
            scaler=self.scaler,
            trainer=self.trainer,
        )
        forecaster = forecaster_of(
            self.model,
            n_features=x_TF.shape[1],
            lags=self.features.lags,
            settings=self.trainer,
            device="cpu",
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

    def _position(self, symbol: str) -> int:
        """Of the symbol among those that the model learnt from; any where it does not tell them apart."""
        if symbol in self.symbols:
            return self.symbols.index(symbol)
        if self.trainer.symbol_features and len(self.symbols) > 1:
            known = ", ".join(self.symbols)
            raise UserError("data.symbols", symbol, f"the model tells {known} apart", "score bars of one of them")
        return 0


def model_of(symbol: str, models: Sequence[KeptModel]) -> KeptModel:
    """The one of a window's models that scores the symbol; a single one scores any.

    Raises:
        UserError: there is one a symbol, and none of this one.
    """
    if len(models) == 1:
        return models[0]
    known = {name: model for model in models for name in model.symbols}
    if symbol not in known:
        raise UserError("data.symbols", symbol, "has no model of its own in this run", nearest(symbol, known))
    return known[symbol]
