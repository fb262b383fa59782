"""Finished windows on disk: a folder each, under a name that hashes everything the window depends on.

A folder appears whole or not at all (written aside, then renamed), so a killed run leaves nothing to repair.
Weights are safetensors and the rest JSON and Parquet: nothing here is ever unpickled.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING, Any

import numpy as np

import botscalp
from botscalp.calibration import calibrator_from_dict
from botscalp.features.scaler import Scaler
from botscalp.pipeline.kept_model import RECORD, WEIGHTS, copy_models, folders_for, model_folders, write_model
from botscalp.pipeline.sources import digest_of, trusted_digests
from botscalp.pipeline.window import FittedModel, FittedWindow, Forecast
from botscalp.whole_files import about, sync

if TYPE_CHECKING:
    from filelock import BaseFileLock

logger = logging.getLogger(__name__)

# What decides a window's numbers; the backtest, the verdict and the tracking do not.
_CODE = (
    *("types.py", "compiled.py", "indicators.py", "features", "labels", "windows", "models", "calibration", "training"),
    *("options.py", "pipeline/panel.py", "pipeline/window.py", "pipeline/fitting.py"),
    *("pipeline/kept_model.py", "pipeline/window_store.py"),
)
_LEFTOVER_S = 86_400
_LIBRARIES = ("torch", "pytorch-lightning", "numpy", "numba", "scipy", "scikit-learn", "lightgbm")


def code_digest() -> dict[str, str]:
    """What computes: a hash of the sources that decide a window's numbers, the libraries' versions, the processor."""
    return {**_own_digest(), **trusted_digests()}


@cache
def _own_digest() -> dict[str, str]:
    root = Path(botscalp.__file__).parent
    parts = (sorted([root / part] if part.endswith(".py") else (root / part).rglob("*.py")) for part in _CODE)
    sources = digest_of(root, chain.from_iterable(parts))
    return {"sources": sources, **{name: version(name) for name in _LIBRARIES}, "machine": machine()}


def window_key(ingredients: Mapping[str, Any]) -> str:
    """The folder name of a window that depends on these JSON values and on the code."""
    text = json.dumps({**ingredients, "code": code_digest()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


FORECASTS = ("train", "calibration", "test")


@dataclass(frozen=True)
class WindowStore:
    """The folder `windows/` of a store."""

    root: Path

    def folder(self, key: str) -> Path:
        return self.root / key

    def holds(self, key: str) -> bool:
        """Whether the window of that key is finished."""
        return self.folder(key).is_dir()

    def load(self, key: str) -> FittedWindow | None:
        """The finished window of that key; None if there is none, or none that can be read."""
        from safetensors import SafetensorError

        folder = self.folder(key)
        with self._alone():
            if not folder.is_dir():
                return None
            try:
                return _read(folder)
            except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
                logger.warning("%s holds no readable window, which is fitted again: %r", folder, error)
                return None

    def copy_model(self, key: str, folder: Path) -> None:
        """Copy what `predict` needs of that window into a new folder."""
        with self._alone():
            copy_models(self.folder(key), folder)

    def save(self, key: str, fitted: FittedWindow, description: Mapping[str, Any]) -> None:
        """Write the window's folder; `description` says what the model is (see `predict`)."""
        self._remove_leftovers()
        aside = self.root / f".{key}-{uuid.uuid4().hex}"
        aside.mkdir(parents=True)
        try:
            for name in FORECASTS:
                _write_forecast(getattr(fitted, name), aside / f"{name}.parquet")
            counts = ("base_rate", "history", "n_train", "n_validation", "samples")
            fit = (*counts, "fit_s", "steps_s", "predict_s", "device")
            for place, model in zip(folders_for(aside, len(fitted.models)), fitted.models, strict=True):
                record = {
                    **description,
                    "symbols": model.symbols,
                    "scaler": model.scaler.as_dict(),
                    "calibrator": model.calibrator.as_dict(),
                    "fit": {name: getattr(fitted, name) for name in fit},
                }
                write_model(place, model.weights, record)
            for path in aside.rglob("*"):
                sync(path)
            self._publish(aside, self.folder(key))
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Delete what processes that were killed while they wrote left aside; nobody writes for a day."""
        for path in self.root.glob(".*-*"):
            with contextlib.suppress(FileNotFoundError):  # another process may be at it too
                if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _publish(self, aside: Path, final: Path) -> None:
        """Rename into place; the same window, should it stand there already, gives way."""
        old = aside.with_name(f"{aside.name}-old")
        with self._alone():
            if final.exists():
                os.rename(final, old)
            os.rename(aside, final)
        shutil.rmtree(old, ignore_errors=True)
        sync(self.root)

    def _alone(self) -> "BaseFileLock":
        """Held while a folder is read or replaced: nobody reads half of one window and half of another."""
        from filelock import FileLock

        self.root.mkdir(parents=True, exist_ok=True)
        return FileLock(self.root / ".lock")


def _read(folder: Path) -> FittedWindow:
    from safetensors.torch import load_file

    models = []
    for place in model_folders(folder):
        record = json.loads((place / RECORD).read_text())
        models.append(
            FittedModel(
                symbols=tuple(record["symbols"]),
                weights=load_file(place / WEIGHTS),
                scaler=Scaler.from_dict(record["scaler"]),
                calibrator=calibrator_from_dict(record["calibrator"]),
            )
        )
    forecasts: dict[str, Any] = {name: _read_forecast(folder / f"{name}.parquet") for name in FORECASTS}
    return FittedWindow(models=tuple(models), **forecasts, **record["fit"])


def _write_forecast(forecast: Forecast, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: getattr(forecast, name) for name in ("open_time_ns", "symbol", "p_raw", "p")}
    with about(path):
        parquet.write_table(pa.table(columns), path)


def _read_forecast(path: Path) -> Forecast:
    from pyarrow import parquet

    table = parquet.read_table(path)
    return Forecast(**{name: np.asarray(table[name]) for name in table.column_names})
