"""Training against a plain Lightning script on the same real bars: samples a second, seconds a window, and log loss.

GRU 64, 20 lags, 21 features, horizon 3; trained on February to July 2024, tested on September to December. The script is what
most people write: a Dataset that cuts a sample at a time, a DataLoader, `self.log` in every step.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hydra import compose, initialize_config_dir

from botscalp.config import CONF, GROUPS, experiment_of, plain
from botscalp.options import build
from botscalp.pipeline.panel import Panel, assembled
from botscalp.times import parse_time_ns
from botscalp.types import Float32, Float64, Int64
from botscalp.windows import Range
from tests.bench.environment import ROOT, fresh
from tests.bench.timing import Line

SEEDS = 5
WINDOWS = 4
LAGS = 20
STAGES = ("startup_s", "features_s", "fit_s", "steps_s", "predict_s", "backtest_s", "sentinels_s", "report_s")
RANGES = {
    "train": ("2024-02-01", "2024-07-31"),
    "stopping": ("2024-08-01", "2024-08-31"),
    "test": ("2024-09-01", "2025-01-01"),
}


def lines() -> Iterator[Line]:
    """Both learn from the same rows, five seeds each, in turn."""
    found = [(ours(seed, "sequences"), ours(seed, "samples"), plain_script(seed)) for seed in range(SEEDS)]
    sequences, samples, script = zip(*found, strict=True)
    rate, rate_samples, rate_script = (max(one[0] for one in some) for some in (sequences, samples, script))
    yield Line(
        claim="samples a second of wall time: a plain Lightning script",
        ours=f"{rate:,.0f}",
        other=f"{rate_script:,.0f}",
        ratio=rate / rate_script,
        gate=8,
    )
    yield Line(
        claim="the same: our own fixed samples (trainer.sampling=samples)",
        ours=f"{rate:,.0f}",
        other=f"{rate_samples:,.0f}",
        ratio=rate / rate_samples,
    )
    seconds, seconds_script = (min(one[1] for one in some) for some in (sequences, script))
    yield Line(
        claim="a window, fitted and predicted, seconds: the script",
        ours=f"{seconds:.1f} s",
        other=f"{seconds_script:.1f} s",
        ratio=seconds_script / seconds,
        gate=6,
    )
    for name, other in (("the script", script), ("fixed samples", samples)):
        gaps = np.array([one[2] - two[2] for one, two in zip(sequences, other, strict=True)])
        yield Line(
            claim=f"log loss out of sample, {SEEDS} seeds, less that of {name}: "
            f"{gaps.mean():+.5f} +- {gaps.std(ddof=1) / np.sqrt(SEEDS):.5f}",
            ours=f"{np.mean([one[2] for one in sequences]):.5f}",
            other=f"{np.mean([one[2] for one in other]):.5f}",
            ratio=float(gaps.mean()),
            gate=0.0003,
            at_most=True,
        )

    one, two = (max(some) for some in zip(*(map(walked_rate, (1, 2)) for _ in range(2)), strict=True))
    yield Line(
        claim=f"samples a second with trainer.window_workers=2, {WINDOWS} monthly windows and their start: the script",
        ours=f"{two:,.0f}",
        other=f"{rate_script:,.0f}",
        ratio=two / rate_script,
        gate=14,
    )
    yield Line(
        claim="the same: one worker, which is this process",
        ours=f"{two:,.0f}",
        other=f"{one:,.0f}",
        ratio=two / one,
    )


def overhead() -> Iterator[Line]:
    """A whole run of twelve windows, as a user starts it: what its time is spent on."""
    with TemporaryDirectory() as folder:
        words = ["experiment=btc_2024", f"data.path={bars_file()}", f"store={folder}", "trainer.device=cpu"]
        run = fresh("-m", "botscalp.train", *words).splitlines()[-1]
        spent = json.loads((Path(run) / "summary.json").read_text())["time"]
    stages = ", ".join(f"{name.removesuffix('_s')} {spent[name]:.1f}" for name in STAGES)
    yield Line(
        claim=f"share of `train`'s wall time that is not optimiser steps, 12 windows ({spent['total_s']:.1f} s: {stages})",
        ours=f"{spent['overhead']:.0%}",
        ratio=spent["overhead"],
        gate=0.35,
        at_most=True,
    )


Found = tuple[float, float, float]
"""samples a second, seconds of a window, log loss on the test rows"""


@cache
def market() -> tuple[Panel, dict[str, Int64], Float32]:
    """The panel, the rows of each range, and features scaled by training."""
    from botscalp.features.scaler import Scaler

    with initialize_config_dir(str(CONF), version_base="1.3"):
        words = ["data=file", f"data.path={bars_file()}", "data.start=2024-01-15", "data.end=2025-01-01"]
        values = plain(compose("train", overrides=words))
    data, features, label = (build(values[group], group) for group in ("data", "features", "label"))
    panel = assembled(data.load(), features=features, label=label)
    rows = {
        name: panel.labelled_rows(Range(*(parse_time_ns(text, key="range") for text in ends)))
        for name, ends in RANGES.items()
    }
    return panel, rows, Scaler.fitted(panel.x_NF[rows["train"]]).scaled(panel.x_NF)


def bars_file() -> Path:
    """Three years of real bars."""
    folder = Path(os.environ.get("BOTSCALP_DATA", ROOT.parent / "shared" / "data"))
    return folder / "binance-spot-BTCUSDT-5m.parquet"


def walked_rate(workers: int) -> float:
    """Samples a second at which so many workers fit and predict the windows, their start included."""
    from botscalp.pipeline.fitting import fit_windows
    from botscalp.pipeline.stopwatch import Stopwatch

    panel, _, _ = market()
    with TemporaryDirectory() as folder, initialize_config_dir(str(CONF), version_base="1.3"):
        words = [f"store={folder}", "tracking=none", "trainer.device=cpu", f"trainer.window_workers={workers}"]
        cfg = compose("train", overrides=[*words, f"wfo.windows={WINDOWS}"])
        experiment = experiment_of(cfg, names={group: "" for group in GROUPS}, overrides={})
        purge_ns = experiment.label.span_bars * panel.interval_ns
        windows = experiment.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=purge_ns)
        models = {"gru": (experiment.model, experiment.trainer)}
        started = time.perf_counter()
        fits = fit_windows(
            experiment, panel, windows, models=models, device="cpu", keep=Path(folder) / "models", watch=Stopwatch()
        )
        samples = sum(fitted["gru"].samples for fitted in fits)
        return samples / (time.perf_counter() - started)


def ours(seed: int, sampling: str) -> Found:
    """The defaults, but for the sampling."""
    from botscalp.training.by_model import forecaster_of
    from botscalp.training.examples import Examples

    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = plain(compose("train", overrides=["trainer.device=cpu"]))
    model, trainer = build(values["model"], "model"), build(values["trainer"], "trainer")
    panel, rows, x_NF = market()
    settings = replace(trainer, sampling=sampling)
    started = time.perf_counter()
    forecaster = forecaster_of(model, n_features=x_NF.shape[1], lags=LAGS, settings=settings, device="cpu", seed=seed)
    report = forecaster.fit(
        Examples(
            x_NF=x_NF,
            label_N=panel.label_N,
            timeline=panel.timeline,
            train_rows=rows["train"],
            stopping_rows=rows["stopping"],
        ),
        seed=seed,
        on_epoch=lambda epoch, metrics: None,
    )
    p = forecaster.predict(x_NF=x_NF, timeline=panel.timeline, rows=rows["test"])
    return report.samples / report.seconds, time.perf_counter() - started, log_loss(p, panel.label_N[rows["test"]])


def plain_script(seed: int) -> Found:
    """As many epochs at most, the same patience, batch, learning rate and network."""
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.callbacks import EarlyStopping
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    panel, rows, x_NF = market()
    x, label = torch.from_numpy(x_NF), torch.from_numpy(panel.label_N)

    class Samples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
        def __init__(self, of: Int64) -> None:
            self.rows = of.tolist()

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
            row = self.rows[index]
            return x[row - LAGS + 1 : row + 1], label[row]

    class Script(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.output = nn.GRU(x.shape[1], 64, batch_first=True), nn.Linear(64, 1)

        def forward(self, x_BLF: torch.Tensor) -> torch.Tensor:
            return self.output(self.gru(x_BLF)[0][:, -1]).squeeze(-1)

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            loss = nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
            self.log("val_loss", nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    pl.seed_everything(seed, verbose=False)
    torch.set_num_threads(1)
    started = time.perf_counter()
    script = Script()
    trainer = pl.Trainer(
        max_epochs=5,
        accelerator="cpu",
        callbacks=[EarlyStopping("val_loss", patience=2)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )
    trainer.fit(
        script,
        DataLoader(Samples(rows["train"]), batch_size=512, shuffle=True),
        DataLoader(Samples(rows["stopping"]), batch_size=512),
    )
    fitted_s = time.perf_counter() - started
    with torch.inference_mode():
        logits = [script(batch) for batch, _ in DataLoader(Samples(rows["test"]), batch_size=512)]
    p = torch.cat(logits).double().sigmoid().numpy()
    rate = len(rows["train"]) * trainer.current_epoch / fitted_s
    return rate, time.perf_counter() - started, log_loss(p, panel.label_N[rows["test"]])


def log_loss(p: Float64, label: Float32) -> float:
    return float(-np.mean(np.where(label == 1.0, np.log(p), np.log(1 - p))))
