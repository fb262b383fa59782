"""The data's way: from bars to a verdict, a line a stage."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from botscalp.models.linear import Linear
from botscalp.pipeline import terminal
from botscalp.pipeline.attainable import attainable_auc
from botscalp.pipeline.baselines import previous_sign
from botscalp.pipeline.evidence.forecasts import window_metrics
from botscalp.pipeline.evidence.weigh import estimator_of, weigh
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.fitting import fit_windows
from botscalp.pipeline.light_sentinels import light_sentinels
from botscalp.pipeline.material import material_of
from botscalp.pipeline.page import write_page
from botscalp.pipeline.predictions import ModelPredictions
from botscalp.pipeline.prepared import Prepared
from botscalp.pipeline.rules import verdict_tags
from botscalp.pipeline.run_folder import CONFIG, write_predictions, write_rules, write_summary, write_trading
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.summary import seconds, summarized
from botscalp.pipeline.tracked_result import tracked_result
from botscalp.pipeline.tracking import TrackedWindow
from botscalp.pipeline.trading import trade
from botscalp.pipeline.verdict import judge
from botscalp.pipeline.window import FittedWindow
from botscalp.training.settings import BASELINE


def run_walk_forward(experiment: Experiment, folder: Path) -> dict[str, Any]:
    """Run the experiment, write the run's files into `folder`, and return what summary.json holds.

    All that the user's input can break is looked at before torch is imported and the first window trained.

    Raises:
        UserError: the bars, windows or options cannot work together.
        CausalityError: a feature looks ahead.
    """
    watch = Stopwatch()
    label, name = experiment.label, experiment.names["model"]
    models = {name: (experiment.model, experiment.trainer)}
    models.setdefault("linear", (Linear(), replace(BASELINE, days=experiment.trainer.days)))

    prepared = Prepared.of(experiment, watch)
    panel, market, windows, origin = prepared.panel, prepared.market, prepared.windows, prepared.origin
    terminal.announce(experiment, panel, windows, prepared.device)

    with experiment.recorded(origin, folder / CONFIG, tests=prepared.tests) as run:
        fits: dict[str, list[FittedWindow]] = {model: [] for model in models}
        fitting = fit_windows(
            experiment, panel, windows, models=models, device=prepared.device, keep=folder / "models", watch=watch
        )
        with closing(fitting):  # an error here ends the workers too
            for fitted in fitting:
                for model, fit in fitted.items():
                    fits[model].append(fit)
                window, fit = windows[len(fits[name]) - 1], fitted[name]
                metrics = window_metrics(panel, fit)
                terminal.window_finished(window, fit, metrics, model=experiment.model, of=len(windows))
                run.log_window(TrackedWindow.of(window, fit, metrics, title=experiment.title))

        others = {model: ModelPredictions.of(panel, done) for model, done in fits.items()}
        predictions = others.pop(name)
        others["previous_sign"] = previous_sign(panel, windows, predictions)
        with watch.stage("backtest"):
            traded = trade(market, windows, predictions, others, backtest=experiment.backtest)
        with watch.stage("sentinels"):
            sentinels = light_sentinels(
                panel=panel,
                predictions=predictions.test,
                traded=traded,
                features=experiment.features,
                label=label,
                backtest=experiment.backtest,
                seed=experiment.job.seed,
            )
        with watch.stage("report"):
            search = run.search([traded.result.summary.sharpe])
            estimator = estimator_of(predictions, traded, span_bars=label.span_bars, seed=experiment.job.seed)
            evidence = weigh(
                predictions,
                others,
                traded,
                symbols=panel.symbols,
                auc_attainable=attainable_auc(experiment.data, label, panel, predictions.test),
                search=search,
                estimator=estimator,
                span_bars=label.span_bars,
                seed=experiment.job.seed,
            )
            judged = partial(
                judge,
                thresholds=experiment.verdict,
                real=experiment.data.real,
                tracked=run.location is not None,
                sentinels=sentinels,
            )
            verdict = judged(evidence)
            at_costs = {level.name: judged(evidence.at(level)).outcome for level in evidence.costs}
            write_predictions(folder, *(one.table(panel.symbols) for one in (predictions.test, predictions.validation)))
            write_trading(folder, traded.result.trades, traded.result.equity)
        summary = summarized(
            experiment,
            windows,
            fits[name],
            evidence,
            traded,
            verdict,
            outcomes_at_costs=at_costs,
            origin=origin,
            watch=watch,
            location=run.location,
        )
        if experiment.job.report:
            with watch.stage("report"):
                material = partial(material_of, predictions.test, traded, experiment.backtest, estimator)
                write_page(folder, summary, material)
            summary["time"] = seconds(watch, fits[name])
        write_rules(folder, verdict)
        write_summary(folder, summary)
        terminal.conclude(summary, folder)  # before log.txt becomes an artifact
        run.log_result(tracked_result(summary, verdict_tags(verdict)), folder)
    return summary
