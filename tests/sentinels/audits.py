"""Audits small enough for tests: half a second each."""

from runs import quiet_libraries

from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.prepared import windows_of
from botscalp.pipeline.progress import FitProgress
from botscalp.pipeline.rules import Rule
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.sentinels.audit import AuditSettings, looked_at, trained_again
from botscalp.sentinels.walk import Pipeline

SMALL = ("data.edge=0.08", "model=linear", "wfo.train=1w", "wfo.windows=1", "trainer.epochs=1", "data.end=2023-02-06")
"""A month of bars with a signal as weak as a market's; a week of it trains, one tests."""


def rules_of(
    experiment: Experiment, *, looking: bool = False, training: bool = False, seed: int = 0
) -> dict[str, Rule]:
    """What the sentinels say that look at the run itself, and those that train where the right answer is known."""
    pipeline = Pipeline(experiment=experiment, device="cpu", progress=FitProgress(epochs=1))
    settings = AuditSettings(windows=1, points=24, seed=seed)
    rules: list[Rule] = []
    with quiet_libraries():
        panel = pipeline.panel(experiment.data.load())
        windows = windows_of(experiment, panel, last=settings.windows)
        if looking:
            rules += looked_at(pipeline, panel, windows, settings, Stopwatch())
        if training:
            rules += trained_again(pipeline, panel, windows, seed=seed)
    return {rule.name: rule for rule in rules}
