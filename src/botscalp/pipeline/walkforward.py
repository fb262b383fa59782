"""The data's way: from bars to a verdict, a line a stage."""

from pathlib import Path
from typing import Any

from botscalp.models.linear import Linear
from botscalp.pipeline import terminal
from botscalp.pipeline.attainable import attainable_auc
from botscalp.pipeline.evidence import weigh, window_metrics
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.fitting import fit_windows
from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.predictions import concatenated
from botscalp.pipeline.run_folder import write_summary, write_tables
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.summary import headline, summarized, tags
from botscalp.pipeline.tracking import TrackedWindow
from botscalp.pipeline.trading import trade
from botscalp.pipeline.verdict import judge
from botscalp.pipeline.window import FittedWindow, check_window


def run_walk_forward(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Run the experiment, write the run's files into `folder`, and return what summary.json holds.

    All that the user's input can break is looked at before torch is imported and the first window trained.

    Raises:
        UserError: the bars, windows or options cannot work together.
        CausalityError: a feature looks ahead.
    """
    watch = Stopwatch()
    label, name = experiment.label, experiment.names["model"]
    models = {name: experiment.model, "linear": Linear()}

    with watch.stage("data"):
        bars = experiment.data.load()
    with watch.stage("features"):
        panel = build_panel(bars, features=experiment.features, label=label, seed=experiment.job.seed)
    purge_ns = label.span_bars * panel.interval_ns
    windows = experiment.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=purge_ns)
    for window in windows:
        check_window(panel, window, calibration=experiment.calibration, span_bars=label.span_bars)
    with watch.stage("startup"):
        device = experiment.trainer.resolved_device()
    terminal.announce(experiment, panel, windows, device)

    with experiment.recorded() as run:
        fits: dict[str, list[FittedWindow]] = {model: [] for model in models}
        for fitted in fit_windows(experiment, panel, windows, models=models, device=device, keep=folder / "models"):
            for model, fit in fitted.items():
                fits[model].append(fit)
            window, fit = windows[len(fits[name]) - 1], fitted[name]
            metrics = window_metrics(panel, fit)
            terminal.window_finished(window, fit, metrics, of=len(windows))
            run.log_window(TrackedWindow.of(window, fit, metrics, title=experiment.title))

        baselines = {model: concatenated(panel, rest) for model, rest in fits.items() if model != name}
        predictions = concatenated(panel, fits[name])
        validation = concatenated(panel, fits[name], part="calibration")
        with watch.stage("backtest"):
            traded = trade(panel, windows, predictions, baselines, backtest=experiment.backtest)
        with watch.stage("report"):
            evidence = weigh(
                predictions,
                validation,
                baselines,
                traded,
                last_bars=experiment.backtest.max_hold,
                seed=experiment.job.seed,
            )
            verdict = judge(evidence, experiment.verdict, real=experiment.data.real, tracked=run.location is not None)
            write_tables(folder, predictions.table(panel.symbols), traded.result.trades, traded.result.equity)
        summary = summarized(
            experiment,
            panel,
            windows,
            fits[name],
            evidence,
            verdict,
            histogram_of=predictions.p,
            sizes=traded.sizes,
            auc_attainable=attainable_auc(experiment.data, label, panel, predictions),
            device=device,
            seconds=watch.seconds,
            total_s=watch.total_s,
            location=run.location,
        )
        write_summary(folder, summary)
        terminal.conclude(summary)  # before log.txt becomes an artifact
        run.log_result(headline(summary), tags(summary), folder)
    return summary
