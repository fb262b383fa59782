"""Every planted leak is found by its sentinel, and called what it is."""

from dataclasses import replace

import pytest
from planted import LEAKS, LEAKS_FOUND_BY_TRAINING, Leak, in_place
from runs import composed, quiet_libraries

from botscalp.pipeline.experiment import Experiment
from botscalp.pipeline.progress import FitProgress
from botscalp.pipeline.rules import Rule
from botscalp.pipeline.stopwatch import Stopwatch
from botscalp.sentinels.audit import AuditSettings, last_windows, looked_at, trained_again
from botscalp.sentinels.diagnosis import diagnosed
from botscalp.sentinels.walk import Pipeline

SMALL = ("data.edge=0.08", "model=linear", "wfo.train=1w", "wfo.windows=1", "trainer.epochs=1", "data.end=2023-02-06")


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return composed(*SMALL, "tracking=none")


def rules_of(experiment: Experiment, *, training: bool) -> dict[str, Rule]:
    pipeline = Pipeline(experiment=experiment, device="cpu", progress=FitProgress(epochs=1))
    settings = AuditSettings(windows=1, points=24, seed=0)
    with quiet_libraries():
        panel = pipeline.panel(experiment.data.load())
        windows = last_windows(experiment, panel, settings.windows)
        if training:
            rules = list(trained_again(pipeline, panel, windows, seed=0))
        else:
            rules = list(looked_at(pipeline, panel, windows, settings, Stopwatch()))
    return {rule.name: rule for rule in rules}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_a_leak_is_found_by_looking(experiment: Experiment, leak: Leak) -> None:
    with in_place(leak, experiment) as leaking:
        rules = rules_of(leaking, training=False)
    fired = {name for name, rule in rules.items() if rule.result == "fired"}
    assert {leak.fires, *leak.also} <= fired
    assert diagnosed(list(rules.values())).finding == leak.finding


@pytest.mark.parametrize("leak", LEAKS_FOUND_BY_TRAINING, ids=lambda leak: leak.name)
def test_a_leak_is_found_by_training(experiment: Experiment, leak: Leak) -> None:
    trained = replace(experiment, trainer=replace(experiment.trainer, epochs=4))
    with in_place(leak, trained) as leaking:
        rules = rules_of(leaking, training=True)
    assert {name for name in (leak.fires, *leak.also) if rules[name].result != "fired"} == set()
    assert diagnosed(list(rules.values())).finding == "LEAK"


def test_without_a_leak_nothing_fires_and_the_diagnosis_is_clean(experiment: Experiment) -> None:
    rules = rules_of(experiment, training=False)
    assert {name for name, rule in rules.items() if rule.result == "fired"} == set()
    assert diagnosed(list(rules.values())).finding == "CLEAN"
