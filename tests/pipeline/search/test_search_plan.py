"""Which windows rank, and which nobody looks at."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import composed, composed_plainly

from botscalp.errors import UserError
from botscalp.pipeline.search.plan import Plan


def planned(*words: str) -> Plan:
    return Plan.of(composed_plainly(*words), objective="auc", base={"seed": "0"})


@settings(max_examples=6, deadline=None)
@given(windows=st.integers(4, 12), horizon=st.integers(1, 12))
def test_the_last_third_is_kept_apart(windows: int, horizon: int) -> None:
    plan = planned("wfo=weekly", f"wfo.windows={windows}", f"label.horizon={horizon}")
    assert len(plan.holdout) == windows // 3 and len(plan.search) == windows - windows // 3
    tests = [*plan.search, *plan.holdout]
    assert tests == sorted(tests) and len(set(tests)) == windows
    assert plan.search[-1][1] == plan.holdout_start == plan.holdout[0][0]


def test_a_trial_tests_the_search_windows_and_loads_no_bar_of_the_holdout() -> None:
    words = ("wfo=weekly", "wfo.windows=7", "label.horizon=5")
    plan = planned(*words)
    trial = composed(*_plain(words), *_plain(plan.trial_words()))
    bars = trial.data.load()[0]
    purge_ns = 5 * bars.interval_ns
    windows = trial.wfo.between(
        int(bars.open_time_ns[0]), int(bars.close_time_ns[-1]), interval_ns=bars.interval_ns, purge_ns=purge_ns
    )
    assert tuple(window.test.iso() for window in windows) == plan.search
    assert int(bars.close_time_ns[-1]) <= _ns(plan.holdout_start)


def test_the_winners_last_run_tests_the_holdout() -> None:
    words = ("wfo=weekly", "wfo.windows=7")
    plan = planned(*words)
    told = ["model.hidden=16", *words, *plan.trial_words(), "trial={number:3}"]
    last = plan.holdout_words(told, '"2024-03-01"')
    assert "model.hidden=16" in last and not any(word.startswith("trial=") for word in last)
    run = composed_plainly(*_once(last))
    bars = run.data.load()[0]
    windows = run.wfo.between(
        int(bars.open_time_ns[0]), int(bars.close_time_ns[-1]), interval_ns=bars.interval_ns, purge_ns=0
    )
    assert tuple(window.test.iso() for window in windows) == plan.holdout


def test_a_plan_is_what_was_kept_of_it() -> None:
    plan = planned("wfo=weekly", "wfo.windows=6")
    assert Plan.read(plan.kept()) == plan


def test_the_bars_before_the_holdout_are_part_of_the_plan_and_no_others() -> None:
    words = ("wfo=weekly", "wfo.windows=6")
    plan = planned(*words)
    assert planned(*words).bars == plan.bars
    assert planned(*words, "data.edge=0.2").bars != plan.bars
    assert planned("wfo=weekly", "wfo.windows=5").bars == planned("wfo=weekly", "wfo.windows=4").bars != plan.bars


@pytest.mark.parametrize("words", [("wfo.windows=2",), ("wfo=split", "wfo.test_start=2024-02-01")])
def test_too_few_windows_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="keeps the last third unseen"):
        planned(*words)


def _plain(words: list[str] | tuple[str, ...]) -> list[str]:
    return [word for word in words if not word.startswith("trial=")]


def _once(words: list[str]) -> list[str]:
    """The last word of each key, as Hydra takes them."""
    return list({word.partition("=")[0]: word for word in words}.values())


def _ns(text: str) -> int:
    from botscalp.times import parse_time_ns

    return parse_time_ns(text, key="test")
