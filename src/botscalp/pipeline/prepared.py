"""All that is known before the first fit, and whatever the user's input can break there."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.market import Market
from botscalp.pipeline.panel import Panel, build_panel
from botscalp.pipeline.provenance import provenance
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.window import check_joined, check_windows
from botscalp.shortages import take_blas_memory
from botscalp.training.settings import Device
from botscalp.windows import Range, Window


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An experiment's bars, rows and windows."""

    market: Market
    panel: Panel
    windows: tuple[Window, ...]
    device: Device
    origin: Mapping[str, Any]
    """see `provenance`"""

    @classmethod
    def of(cls, experiment: Experiment, watch: Stopwatch) -> Self:
        """Load, compute and check; torch is imported last, for that takes seconds.

        Raises:
            UserError: the bars, windows or options cannot work together.
            CausalityError: a feature looks ahead.
        """
        label = experiment.label
        with watch.stage("data"):
            bars = experiment.data.load()
            market = Market.load(bars, experiment.backtest)
        with watch.stage("features"):
            panel = build_panel(bars, features=experiment.features, label=label, seed=experiment.job.seed)
        windows = windows_of(experiment, panel)
        with watch.stage("startup"):
            import_module("botscalp.training.fit")  # Lightning, and none before this line
            take_blas_memory()
            device = experiment.trainer.resolved_device()
        origin = provenance(experiment.data, panel, device)
        return cls(market=market, panel=panel, windows=windows, device=device, origin=origin)

    @property
    def tests(self) -> Range:
        """From the first test's start to the last one's end."""
        return Range(self.windows[0].test.start_ns, self.windows[-1].test.end_ns)


def windows_of(experiment: Experiment, panel: Panel, *, last: int | None = None) -> tuple[Window, ...]:
    """The experiment's windows, or so many of the last ones, each of which can be fitted.

    Raises:
        UserError: there are none, time lies between them, or one cannot be fitted.
    """
    span_bars = experiment.label.span_bars
    windows = experiment.wfo.between(
        *panel.span_ns, interval_ns=panel.interval_ns, purge_ns=span_bars * panel.interval_ns
    )
    windows = windows if last is None else windows[-last:]
    check_joined(windows)
    check_windows(
        panel,
        windows,
        trainer=experiment.trainer,
        job_seed=experiment.job.seed,
        calibration=experiment.calibration,
        span_bars=span_bars,
    )
    return windows
