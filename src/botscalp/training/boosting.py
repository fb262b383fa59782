"""Gradient-boosted trees, by LightGBM: its models are text, so nothing has to be unpickled to load one."""

import time
from collections.abc import Mapping

import lightgbm
import numpy as np
import torch
from torch import Tensor

from botscalp.features.samples import Timeline
from botscalp.models.boosting import Boosting
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, OnEpoch
from botscalp.types import Float32, Float64, Int64

BOOSTER = "booster"


class BoostedForecaster:
    """Trees over the features of a bar. One thread, for a second one would change the last bits."""

    def __init__(self, settings: Boosting) -> None:
        self.settings = settings
        self.booster: lightgbm.Booster | None = None

    def fit(self, examples: Examples, *, seed: int, on_epoch: OnEpoch) -> FitReport:
        """One entry of the history a tree; `on_epoch` is called once, for trees are no epochs."""
        x_NF, label_N = examples.x_NF, examples.label_N
        parameters = {
            "objective": "binary",
            "metric": ["binary_logloss", "auc"],
            "num_leaves": self.settings.leaves,
            "learning_rate": self.settings.lr,
            "min_data_in_leaf": self.settings.min_leaf_rows,
            "feature_fraction": 1.0 - self.settings.dropped_features,
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        started = time.perf_counter()
        train = lightgbm.Dataset(x_NF[examples.train_rows], label_N[examples.train_rows], params=parameters)
        stopping = train.create_valid(x_NF[examples.stopping_rows], label_N[examples.stopping_rows])
        found: dict[str, dict[str, list[float]]] = {}
        self.booster = lightgbm.train(
            parameters,
            train,
            self.settings.trees,
            valid_sets=[train, stopping],
            valid_names=["train", "val"],
            callbacks=[
                lightgbm.early_stopping(self.settings.patience, first_metric_only=True, verbose=False),
                lightgbm.record_evaluation(found),
            ],
        )
        report = FitReport(best_epoch=self.booster.best_iteration - 1, seconds=time.perf_counter() - started)
        report.steps_s = report.seconds  # a tree is a step, its share of validation included
        report.history = [
            {"train/loss": train_loss, "val/loss": loss, "val/auc": auc}
            for train_loss, loss, auc in zip(
                found["train"]["binary_logloss"], found["val"]["binary_logloss"], found["val"]["auc"], strict=True
            )
        ]
        report.samples = len(examples.train_rows) * len(report.history)
        on_epoch(1, report.history[report.best_epoch])
        return report

    def predict(self, *, x_NF: Float32, timeline: Timeline, rows: Int64) -> Float64:
        """By the trees up to the best one."""
        assert self.booster is not None, "fitted or loaded"
        return np.asarray(self.booster.predict(x_NF[rows], num_threads=1), np.float64)

    def weights(self) -> dict[str, Tensor]:
        """The model's text as bytes."""
        assert self.booster is not None, "fitted or loaded"
        text = self.booster.model_to_string(num_iteration=self.booster.best_iteration)
        return {BOOSTER: torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        if set(weights) != {BOOSTER}:
            raise RuntimeError(f"trees are one tensor, {BOOSTER}, not {', '.join(weights)}")
        try:
            self.booster = lightgbm.Booster(model_str=weights[BOOSTER].numpy().tobytes().decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise RuntimeError(f"no trees can be read from {BOOSTER}: {error}") from error
