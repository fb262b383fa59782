"""Every planted leak is found by its sentinel, and called what it is."""

from dataclasses import replace

import pytest
from audits import SMALL, rules_of
from planted import LEAKS, LEAKS_FOUND_BY_TRAINING, Leak, in_place
from runs import composed

from botscalp.pipeline.experiment import Experiment
from botscalp.sentinels.diagnosis import diagnosed


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return composed(*SMALL, "tracking=none")


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_a_leak_is_found_by_looking(experiment: Experiment, leak: Leak) -> None:
    with in_place(leak, experiment) as leaking:
        rules = rules_of(leaking, looking=True)
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
    rules = rules_of(experiment, looking=True)
    assert {name for name, rule in rules.items() if rule.result == "fired"} == set()
    assert diagnosed(list(rules.values())).finding == "CLEAN"
