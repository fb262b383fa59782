"""The pipeline as sentinels run it again: from bars to trades, on other bars or labels, with the run's own parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from botscalp.backtest import Backtest
from botscalp.data.bars import clipped
from botscalp.pipeline import window as one_window
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.market import Market
from botscalp.pipeline.panel import Panel, assembled
from botscalp.pipeline.predictions import ModelPredictions, Predictions
from botscalp.pipeline.progress import FitProgress
from botscalp.pipeline.trading import Traded, trade
from botscalp.pipeline.window import FittedWindow, learnt_rows, window_seed
from botscalp.training.settings import Device
from botscalp.types import Bars
from botscalp.windows import Window


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Fitted windows and what they predict; `predictions.test` numbers them by their position, from 0."""

    panel: Panel
    windows: Sequence[Window]
    fits: list[FittedWindow]
    predictions: ModelPredictions

    @property
    def test(self) -> Predictions:
        """The out-of-sample predictions."""
        return self.predictions.test


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The run's parts, and where it trains."""

    experiment: Experiment
    device: Device
    progress: FitProgress

    def panel(self, bars: tuple[Bars, ...]) -> Panel:
        """Features and labels of the bars, unchecked: a leak is to be found, not to stop the audit."""
        return assembled(bars, features=self.experiment.features, label=self.experiment.label)

    def fit(self, panel: Panel, window: Window, title: str, *, device: Device | None = None) -> FittedWindow:
        """Fit the model on one window, as the run does."""
        experiment, seed = self.experiment, window_seed(self.experiment.job.seed, panel.symbols, window)
        self.progress.fit_started(
            f"{title}: test {window.test.iso()[0][:10]}",
            epochs=experiment.trainer.epochs,
            samples=len(learnt_rows(panel, window, experiment.trainer, seed)),
        )
        fitted = one_window.fit_window(
            panel,
            window,
            model=experiment.model,
            lags=experiment.features.lags,
            trainer=experiment.trainer,
            device=device or self.device,
            calibration=experiment.calibration,
            seed=seed,
            on_epoch=self.progress.epoch_finished,
        )
        self.progress.fit_finished(experiment.trainer.epochs)
        return fitted

    def walk(self, panel: Panel, windows: Sequence[Window], title: str) -> Walk:
        """Fit every window."""
        fits = [self.fit(panel, window, title) for window in windows]
        return Walk(panel=panel, windows=windows, fits=fits, predictions=ModelPredictions.of(panel, fits))

    def trade(self, walk: Walk) -> Traded:
        """Trade what the walk predicts."""
        return self._traded(walk, self.experiment.backtest)

    def trade_without_skill(self, walk: Walk) -> Traded:
        """Trade what a walk on surrogate bars predicts, at any probability: one of nothing hardly clears a threshold.

        Without finer bars, which know nothing of surrogates.
        """
        return self._traded(walk, replace(self.experiment.backtest, threshold=0.5, select="none", finer=None))

    def _traded(self, walk: Walk, backtest: Backtest) -> Traded:
        return trade(Market.load(walk.panel.bars, backtest), walk.windows, walk.predictions, {}, backtest=backtest)

    def needed(self, bars: tuple[Bars, ...], windows: Sequence[Window]) -> tuple[Bars, ...]:
        """The bars that these windows see: their lookback before, and their last labels behind."""
        features, interval_ns = self.experiment.features, bars[0].interval_ns
        before_ns = 2 * (features.lookback_bars + features.lags) * interval_ns
        behind_ns = self.experiment.label.span_bars * interval_ns
        start_ns = min(window.train.start_ns for window in windows) - before_ns
        return tuple(clipped(one, start_ns, windows[-1].test.end_ns + behind_ns) for one in bars)


def seeded(seed: int, *numbers: int) -> np.random.Generator:
    """A generator of its own for each purpose."""
    return np.random.default_rng([seed, *numbers])
