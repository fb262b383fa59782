"""A state that is warmed up for longer says the same: `warmup_bars` is enough on real bars."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import composed_plainly, quiet_libraries

from botscalp.features.scaler import Scaler
from botscalp.pipeline.panel import assembled
from botscalp.times import parse_time_ns
from botscalp.training.by_model import forecaster_of
from botscalp.training.examples import Examples
from botscalp.types import Float64
from botscalp.windows import Range

RANGES = {
    "train": ("2024-02-01", "2024-05-31"),
    "stopping": ("2024-06-01", "2024-06-15"),
    "test": ("2024-06-16", "2024-09-01"),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gru", "lstm"])
def test_doubling_the_warm_up_moves_no_probability(model: str, real_data: Path) -> None:
    path = real_data / "binance-spot-BTCUSDT-5m.parquet"
    words = (f"model={model}", "data=file", f"data.path={path}", "data.start=2024-01-15", "data.end=2024-09-01")
    experiment = composed_plainly(*words, "trainer.device=cpu")
    panel = assembled(experiment.data.load(), features=experiment.features, label=experiment.label)
    ranges = {name: Range(*(parse_time_ns(text, key="") for text in ends)) for name, ends in RANGES.items()}
    train, stopping = (panel.labelled_rows(ranges[name]) for name in ("train", "stopping"))
    x_NF = Scaler.fitted(panel.x_NF[train]).scaled(panel.x_NF)
    lags, seed = experiment.features.lags, 0
    examples = Examples(
        x_NF=x_NF, label_N=panel.label_N, timeline=panel.timeline, train_rows=train, stopping_rows=stopping
    )
    trainer = experiment.trainer
    told: list[Float64] = []
    with quiet_libraries():
        fitted = forecaster_of(
            experiment.model, n_features=x_NF.shape[1], lags=lags, settings=trainer, device="cpu", seed=seed
        )
        fitted.fit(examples, seed=seed, on_epoch=lambda epoch, metrics: None)
        for warmup_bars in (trainer.warmup_bars // 8, trainer.warmup_bars, 2 * trainer.warmup_bars):
            settings = replace(trainer, warmup_bars=warmup_bars)
            again = forecaster_of(
                experiment.model, n_features=x_NF.shape[1], lags=lags, settings=settings, device="cpu", seed=seed
            )
            again.load(fitted.weights())
            told.append(again.predict(x_NF=x_NF, timeline=panel.timeline, rows=panel.predictable_rows(ranges["test"])))
    eighth, default, doubled = told
    assert np.ptp(default) > 0.05, "it says something"
    assert np.abs(doubled - default).max() <= 1e-4
    assert np.abs(eighth - default).max() > np.abs(doubled - default).max(), "the warm-up matters"
