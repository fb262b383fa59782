"""A study in its storage: whatever is killed or typed anew, each trial is there once."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import Engine

from hydra_plugins.hydra_search_sweeper import _core, _locks
from hydra_plugins.hydra_search_sweeper._referee import Number, PlainReferee
from hydra_plugins.hydra_search_sweeper._spaces import space_of
from hydra_plugins.hydra_search_sweeper._study import Asked, Study

PARSER = OverridesParser.create()
SPACES = ("x=interval(0,1)", "y=choice(0,1,2)")


def opened(folder: Path, *spaces: str, sampler: str = "tpe", n_trials: int = 4) -> Any:
    return Study.opened(
        [space_of(PARSER.parse_override(word)) for word in spaces or SPACES],
        storage=folder / "search.db",
        name="s",
        direction="minimize",
        sampler=sampler,
        seed=0,
        n_trials=n_trials,
        folder=folder,
    )


def searched(folder: Path, *spaces: str, **how: Any) -> list[int]:
    """Run a search to its end; the numbers of the trials that were run."""
    numbers = []
    with opened(folder, *spaces, **how) as study:
        study.keep({"bars": "2024"})
        while asked := study.ask(1, lambda number, params, ended: [f"{key}={params[key]}" for key in params])[0]:
            for one in asked:
                numbers.append(one.number)
                state: Any = "pruned" if one.number == 1 else "complete"
                value = sum(study.trials()[one.number].params.values())
                study.tell(
                    one.number, Number(state=state, value=value, steps={0: 1.0, 1: value}, facts={"n": one.number})
                )
    return numbers


def told(folder: Path) -> list[tuple[Any, ...]]:
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{folder / 'search.db'}")
    kept = ("words", "value", "facts", "reason")
    return [
        (one.number, one.params, one.state.name, one.value, one.intermediate_values, *map(one.user_attrs.get, kept))
        for one in study.trials
    ]


def in_a_process(work: Callable[[], object]) -> int:
    """Its exit status; that of a signal is negative."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(statement: int, folder: Path) -> None:
    """Search, and be killed before that statement of the storage."""
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    searched(folder)


@pytest.mark.parametrize("step", [67, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_before_any_statement_it_ends_as_if_undisturbed(step: int, tmp_path: Path) -> None:
    """The first statements make the tables, the others ask and tell."""
    assert in_a_process(lambda: searched(tmp_path)) == 0
    expected, statement = told(tmp_path), 1
    assert [one[0] for one in expected] == [0, 1, 2, 3]
    while True:
        folder = tmp_path / str(statement)
        folder.mkdir()
        ended = in_a_process(lambda: killed_at(statement, folder))  # noqa: B023
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        assert in_a_process(lambda: searched(folder)) == 0, statement  # noqa: B023
        assert told(folder) == expected, statement
        statement += step
    assert statement > 200, "so many statements there are"


def test_another_plan_is_refused_by_its_key(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        study.keep({"bars": "2024", "base": {"lr": 1, "depth": 2}})
        study.keep({"bars": "2024", "base": {"lr": 1, "depth": 2}})
        with pytest.raises(
            ValueError, match=r"(?s)base\.depth=3: .* s was begun with 2, .*remedy: .*another study=NAME"
        ):
            study.keep({"bars": "2024", "base": {"lr": 1, "depth": 3}})


def test_a_command_that_looks_for_the_gone_takes_no_lock_from_the_living(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the worst moment: the file is there, its command has not locked it yet, and another command finds that out."""
    storage = tmp_path / "search.db"
    path = tmp_path / "search.db.owners" / "living"
    path.parent.mkdir()
    path.touch()
    living, unlink = FileLock(path, blocking=False), Path.unlink

    def unlink_late(self: Path, missing_ok: bool = False) -> None:
        with suppress(TimeoutError):
            living.acquire()
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_late)
    _locks.forget_the_gone(storage)
    monkeypatch.undo()
    living.acquire()
    assert not _locks.released(storage, "living")


def test_of_a_grid_that_grows_every_combination_is_run_once(tmp_path: Path) -> None:
    assert searched(tmp_path, "y=range(1,3)", "x=range(1,3)", sampler="grid") == [0, 1, 2, 3]
    assert searched(tmp_path, "y=range(0,3)", "x=range(1,3)", sampler="grid") == [4, 5]
    assert searched(tmp_path, "x=range(1,3)", "y=range(0,3)", sampler="grid") == []
    points = [(one[1]["y"], one[1]["x"]) for one in told(tmp_path)]
    assert sorted(points) == [(y, x) for y in (0, 1, 2) for x in (1, 2)]


def test_an_interval_may_grow_and_choices_may_not(tmp_path: Path) -> None:
    searched(tmp_path, n_trials=2)
    assert searched(tmp_path, "x=interval(0,2)", "y=choice(0,1,2)", n_trials=3) == [2]
    with (
        pytest.raises(ValueError, match=r"(?s)y: the study s was begun with .*\(0, 1, 2\).*\(0, 1, 2, 3\).*remedy"),
        opened(tmp_path, "x=interval(0,1)", "y=choice(0,1,2,3)"),
    ):
        pass


@given(st.dictionaries(st.integers(0, 30), st.integers(1, 3)))
def test_trials_are_launched_in_consecutive_numbers_and_suspects_alone(attempts: dict[int, int]) -> None:
    asked = [Asked(number=number, words=(), attempts=count) for number, count in attempts.items()]
    groups = list(_core._consecutive(asked))
    assert [one.number for group in groups for one in group] == sorted(attempts)
    for group in groups:
        assert [one.number for one in group] == list(range(group[0].number, group[0].number + len(group)))
        assert len(group) == 1 or all(one.attempts == 1 for one in group)


@pytest.mark.parametrize(
    ("params", "typed", "words"),
    [
        ({}, ["db@first=a", "db@second=b"], ["db@first=a", "db@second=b"]),
        ({}, ["~callbacks", "+callbacks={a:1}"], ["~callbacks", "+callbacks={a:1}"]),
        ({"x": "interval(0,1)", "y": "1,2"}, ["++x=3"], ["y=1,2", "++x=3"]),
        ({"x": "interval(0,1)"}, ["z=1", "x=1,2", "z=2"], ["z=2", "x=1,2"]),
    ],
)
def test_what_is_typed_is_kept_and_wins(params: dict[str, str], typed: list[str], words: list[str]) -> None:
    sweeper: Any = SimpleNamespace(hydra_context=SimpleNamespace(config_loader=None), params=params)
    assert [one.input_line for one in _core._overrides(sweeper, typed)] == words


@pytest.mark.parametrize("returned", [1, 0.5, np.float32(0.5), np.int64(3)])
def test_a_number_is_a_value(returned: Any) -> None:
    found = PlainReferee(needs_value=True).outcome(returned)
    assert (found.state, found.value) == ("complete", float(returned))


@pytest.mark.parametrize("returned", [None, "0.5", float("nan"), float("inf"), {"value": 1.0}])
def test_what_is_no_number_fails_with_its_reason(returned: Any) -> None:
    found = PlainReferee(needs_value=True).outcome(returned)
    assert (found.state, found.value) == ("failed", None) and repr(returned) in found.reason
    assert PlainReferee(needs_value=False).outcome(returned).state == "complete"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("lr=2: too high\n  remedy: less"), "lr=2: too high"),
        (ValueError(), "ValueError"),
        (OSError("x"), "OSError: x"),
    ],
)
def test_a_reason_is_a_line(error: Exception, reason: str) -> None:
    assert _core._reason(error) == reason


@pytest.mark.parametrize(
    ("spaces", "problem"), [([], "no key is searched"), (["hydra.job.name=a,b"], "Hydra's own settings")]
)
def test_what_cannot_be_searched_is_refused(spaces: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=f"{problem}.*\n  remedy: "):
        _core._check([space_of(PARSER.parse_override(word)) for word in spaces], "tpe")
