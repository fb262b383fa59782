"""The audit of one experiment: the plain walk over its last windows, and every sentinel beside it."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from botscalp.errors import CausalityError
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.ledger import Trial, market_names
from botscalp.pipeline.light_sentinels import (
    CONFIDENCE,
    fills_after_signal,
    future_features,
    prefixes_passed,
    single_feature_auc,
    warm_up,
)
from botscalp.pipeline.panel import Panel, check_prefixes
from botscalp.pipeline.predictions import Predictions
from botscalp.pipeline.prepared import windows_of
from botscalp.pipeline.progress import FitProgress
from botscalp.pipeline.provenance import provenance, provenance_tags
from botscalp.pipeline.rules import Rule, beyond
from botscalp.pipeline.run_folder import CONFIG
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.pipeline.tracking import NewRun, TrackedDataset, TrackedResult
from botscalp.sentinels import perturbed, report, retrained
from botscalp.sentinels.diagnosis import SENTINELS, Audited, diagnosed
from botscalp.sentinels.walk import Pipeline
from botscalp.statistics import figures
from botscalp.statistics.bootstrap import interval_alone
from botscalp.types import Count, NonNegativeInt
from botscalp.whole_files import write_whole
from botscalp.windows import Range, Window

logger = logging.getLogger(__name__)

SCHEMA = 1
RESULT = "audit.json"
CUTS = 64
"""prefixes of each symbol; they grow geometrically, so they cost some ten full computations of the features"""


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """The block `audit` of conf/audit.yaml."""

    windows: Count
    """the last so many windows of the experiment are trained again; all of them where there are fewer"""
    points: Count
    """random bars at which the future is perturbed"""
    seed: NonNegativeInt
    """of surrogate bars, shuffled labels and random bars"""


def run_audit(experiment: Experiment, settings: AuditSettings, folder: Path) -> dict[str, Any]:
    """Audit the experiment, write audit.json into `folder`, and return what it holds.

    It counts as a trial: whoever audits a configuration sees how it does on test bars.

    Raises:
        UserError: the bars, windows or options cannot work together.
    """
    import_module("botscalp.training.fit")  # Lightning takes seconds to import, and they count for no stage
    device = experiment.trainer.resolved_device()
    watch = Stopwatch()
    with watch.stage("plain"):
        bars = experiment.data.load()
    with FitProgress(epochs=_fits(settings.windows) * experiment.trainer.epochs) as progress:
        pipeline = Pipeline(experiment=experiment, device=device, progress=progress)
        with watch.stage("plain"):
            panel = pipeline.panel(bars)
        windows = windows_of(experiment, panel, last=settings.windows)
        origin = provenance(experiment.data, panel, device)
        report.announce(experiment, panel, windows, points=settings.points, fits=_fits(len(windows)))
        tests = Range(windows[0].test.start_ns, windows[-1].test.end_ns)
        new = _new_run(experiment, origin, folder, tests=tests)
        with experiment.tracking.run(new) as run:
            audited = audit(pipeline, panel, windows, settings, watch)
            found = _found(experiment, windows, settings, audited, origin, run.location)
            write_whole(folder / RESULT, json.dumps(found, indent=1, allow_nan=False) + "\n")
            report.conclude(audited)
            metrics = {f"audit/{rule.name}": rule.value for rule in audited.rules}
            run.log_result(TrackedResult(metrics=metrics, tags={"audit": audited.diagnosis.finding}), folder)
    return found


def audit(
    pipeline: Pipeline, panel: Panel, windows: Sequence[Window], settings: AuditSettings, watch: Stopwatch
) -> Audited:
    """Every sentinel; each answer is said as it comes, the quick ones first."""
    rules = []
    for rule in chain(
        looked_at(pipeline, panel, windows, settings, watch),
        trained_again(pipeline, panel, windows, seed=settings.seed),
    ):
        report.answered(rule)
        rules.append(rule)
    rules.sort(key=lambda rule: list(SENTINELS).index(rule.name))
    return Audited(
        diagnosis=diagnosed(rules),
        rules=tuple(rules),
        plain_s=watch.seconds["plain"],
        total_s=watch.total_s - watch.seconds["startup"],
    )


def looked_at(
    pipeline: Pipeline, panel: Panel, windows: Sequence[Window], settings: AuditSettings, watch: Stopwatch
) -> Iterator[Rule]:
    """The sentinels that look at the run itself: its windows are trained once, and the last one once more."""
    experiment, seed, points = pipeline.experiment, settings.seed, settings.points
    features, label = experiment.features, experiment.label
    yield prefixes(panel, experiment, seed=seed)
    yield future_features(panel, features, label, points=points, seed=seed)
    yield warm_up(panel, features, points=points, seed=seed)
    yield perturbed.future_labels(pipeline, panel, windows, seed=seed)
    with watch.stage("plain"):
        walk = pipeline.walk(panel, windows, "the run itself")
        traded = pipeline.trade(walk)
    yield from too_good(walk.test, experiment, panel, seed=seed)
    yield single_feature_auc(panel, walk.test, features, label, seed=seed)
    yield fills_after_signal(traded, experiment.backtest)
    yield perturbed.future_decisions(pipeline, walk, traded.brackets, points=points, seed=seed)
    yield perturbed.future_fit(pipeline, walk, seed=seed)


def trained_again(pipeline: Pipeline, panel: Panel, windows: Sequence[Window], *, seed: int) -> Iterator[Rule]:
    """The sentinels that train where the right answer is known."""
    yield retrained.shuffled(pipeline, panel, windows, seed=seed)
    needed = pipeline.needed(panel.bars, windows)
    yield from retrained.martingale(pipeline, needed, windows, seed=seed)
    yield retrained.planted(pipeline, needed, windows, seed=seed)


def prefixes(panel: Panel, experiment: Experiment, *, seed: int) -> Rule:
    """S5: features of a prefix of the bars equal those of all bars; a leak is an answer here, not an error."""
    try:
        check_prefixes(panel, experiment.features, seed=seed, cuts=CUTS)
    except CausalityError as error:
        words = f"a prefix of the bars gives other features: {str(error).splitlines()[0]}"
        return Rule(name="prefix_invariance", result="fired", value=1.0, threshold=0.0, words=words)
    return prefixes_passed(CUTS)


def too_good(predictions: Predictions, experiment: Experiment, panel: Panel, *, seed: int) -> Iterator[Rule]:
    """What the run's own figures on these windows are, against what markets give."""
    rows, lines = predictions.labelled, experiment.verdict
    p, label, time_ns = predictions.p[rows], predictions.label[rows], predictions.open_time_ns[rows]
    guess = max(float(label.mean()), 1 - float(label.mean())) - 0.5
    span_ns = experiment.label.span_bars * panel.interval_ns
    for name, figure, line, words in (
        (
            "auc_too_high",
            figures.auc(p, label, time_ns),
            lines.suspicious_auc,
            "AUC of the run itself on these windows",
        ),
        (
            "accuracy_too_high",
            figures.mean(((p > 0.5) == (label == 1.0)).astype(np.float64), time_ns),
            lines.suspicious_accuracy + guess,
            "accuracy of the run itself, against a line above what the more frequent side gets",
        ),
    ):
        interval = interval_alone(figure, cell_ns=panel.interval_ns, span_ns=span_ns, seed=seed, confidence=CONFIDENCE)
        yield beyond(name, Estimate(None if figure is None else figure.value, interval), line, words)


def _fits(windows: int) -> int:
    """How often windows are fitted: by the run itself, on martingale and planted bars, in pairs on labels, and on noise."""
    return 3 * windows + 2 * retrained.pairs(windows) + 1


def _new_run(experiment: Experiment, origin: dict[str, Any], folder: Path, *, tests: Range) -> NewRun:
    start, end = tests.iso()
    markets = market_names(experiment.data, origin["data"]["interval"])
    return NewRun(
        store=experiment.job.store,
        study=experiment.job.study,
        name=f"audit {experiment.title}",
        params=experiment.compared,
        tags={**provenance_tags(origin), "kind": "audit"},
        trial=Trial(count=1, markets=markets, test_start=start, test_end=end),
        config=folder / CONFIG,
        dataset=TrackedDataset.of(origin["data"]),
    )


def _found(
    experiment: Experiment,
    windows: Sequence[Window],
    settings: AuditSettings,
    audited: Audited,
    origin: dict[str, Any],
    location: dict[str, str] | None,
) -> dict[str, Any]:
    """What audit.json holds."""
    return {
        "schema": SCHEMA,
        "title": experiment.title,
        "diagnosis": asdict(audited.diagnosis),
        "sentinels": [
            {"sentinel": SENTINELS[rule.name].number or None, "finding": SENTINELS[rule.name].finding, **asdict(rule)}
            for rule in audited.rules
        ],
        "windows": [{"window": window.index, "test": window.test.iso()} for window in windows],
        "settings": asdict(settings),
        **origin,
        "time": {
            "plain_s": audited.plain_s,
            "total_s": audited.total_s,
            "ratio": audited.total_s / audited.plain_s,
        },
        "mlflow": location,
    }
