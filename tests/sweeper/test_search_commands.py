"""Searches as commands: killed, failing, two at once."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from runs import wait_for

APP = Path(__file__).with_name("searching_app.py")
SPACES = ("x=interval(0,1)", "y=choice(0,1,2)")


def words(*more: str, trials: int = 8) -> list[str]:
    stored = ("hydra.sweeper.storage=search.db", "hydra.sweeper.study=s", "hydra.sweeper.folder=jobs")
    chosen = ("hydra/sweeper=ask_tell", *stored, f"hydra.sweeper.n_trials={trials}")
    return [sys.executable, str(APP), "-m", *chosen, *SPACES, *more]


def search(cwd: Path, *more: str, trials: int = 8) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(*more, trials=trials), cwd=cwd, capture_output=True, text=True, timeout=240)


def trials(cwd: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{cwd / 'search.db'}")
    return list(study.get_trials(deepcopy=False))


def told(cwd: Path) -> list[tuple[int, dict[str, Any], str, float | None]]:
    """What a search came to: numbers, parameters, states, values."""
    return [(one.number, dict(one.params), one.state.name, one.value) for one in trials(cwd)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, dict[str, Any], str, float | None]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = search(folder, trials=14)
    assert done.returncode == 0, done.stderr
    found = told(folder)
    assert [one[0] for one in found] == list(range(14)) and {one[2] for one in found} == {"COMPLETE"}
    assert all((folder / "jobs" / str(number)).is_dir() for number in range(14))
    return found


@pytest.mark.parametrize("kills", [pytest.param(30, marks=pytest.mark.slow)])
def test_killed_anywhere_it_ends_as_if_undisturbed(kills: int, undisturbed: list[Any], tmp_path: Path) -> None:
    random, killed = Random(kills), 0
    while killed < kills:
        process = subprocess.Popen(
            words("job_s=0.05", trials=14), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(1.0 + random.random() * 1.5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        killed += 1
        if (tmp_path / "search.db").exists():
            forgive(tmp_path)
    done = search(tmp_path, "job_s=0.05", trials=14)
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == undisturbed
    assert not list(tmp_path.glob("search.db.owners/*")), "whose process is gone is forgotten"


def forgive(cwd: Path) -> None:
    """No trial is to blame for these kills, however often they hit the same one."""
    try:
        study = optuna.load_study(study_name="s", storage=f"sqlite:///{cwd / 'search.db'}")
    except KeyError:  # killed before it was made
        return
    for one in study.get_trials(states=(TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(one._trial_id, "attempts", 1)


@pytest.mark.slow
def test_two_commands_share_the_trials(tmp_path: Path) -> None:
    both = [
        subprocess.Popen(words("job_s=0.2"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    found = trials(tmp_path)
    assert [one.number for one in found] == list(range(8)) and all(one.state is TrialState.COMPLETE for one in found)
    assert len({one.user_attrs["owner"] for one in found}) == 2


def test_failures_have_reasons_and_end_nothing(tmp_path: Path) -> None:
    done = search(tmp_path, "raises_above=0.8", "nan_above=0.5", trials=20)
    assert done.returncode == 0, done.stderr
    for one in trials(tmp_path):
        reason, x = one.user_attrs["reason"], one.params["x"]
        if x > 0.8:
            assert (one.state, reason) == (TrialState.FAIL, "RuntimeError: too far out")
        elif x > 0.5:
            assert (one.state, reason) == (TrialState.FAIL, "it returned nan, which is no number to optimise")
        else:
            assert one.state is TrialState.COMPLETE
    assert {one.state for one in trials(tmp_path)} == {TrialState.FAIL, TrialState.COMPLETE}


def test_a_search_without_hope_stops(tmp_path: Path) -> None:
    done = search(tmp_path, "raises_above=-1")
    assert done.returncode != 0
    assert "the first 5 trials of the study s all failed" in done.stderr and "remedy" in done.stderr
    assert len(trials(tmp_path)) == 5


def test_a_mistake_is_the_commands_not_the_trials(tmp_path: Path) -> None:
    done = search(tmp_path, "z=interval(0,1)")
    assert done.returncode != 0 and "z" in done.stderr
    assert trials(tmp_path) == []
    assert search(tmp_path, trials=1).returncode == 0, (
        "what was mistyped leaves nothing that the next command would meet"
    )
    assert [one.state for one in trials(tmp_path)] == [TrialState.COMPLETE]


def test_a_combination_that_cannot_be_takes_none_with_it(tmp_path: Path) -> None:
    command = [word for word in words("hydra.sweeper.sampler=grid", "y=0,oops,1,2") if word not in SPACES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = trials(tmp_path)
    assert [one.state.name for one in found] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [one.user_attrs["attempts"] for one in found] == [1, 1, 1, 1]
    assert found[1].user_attrs["reason"].startswith("ConfigCompositionException: Error merging override y=oops")


@pytest.mark.slow
def test_a_finished_search_runs_nothing_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    assert search(tmp_path, trials=3).returncode == 0
    before = told(tmp_path)
    assert search(tmp_path, trials=3).returncode == 0 and told(tmp_path) == before
    assert search(tmp_path, trials=5).returncode == 0
    assert told(tmp_path)[:3] == before and len(told(tmp_path)) == 5


@pytest.mark.slow
def test_whoever_kills_its_process_is_failed_after_three(tmp_path: Path) -> None:
    """Under joblib, whose worker the job is; the sweep goes on with a new one."""
    done = search(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "dies_above=0.6", trials=6)
    assert done.returncode == 0, done.stderr
    for one in trials(tmp_path):
        if one.params["x"] > 0.6:
            assert (one.state, one.user_attrs["reason"]) == (TrialState.FAIL, "its process ended 3 times")
        else:
            assert one.state is TrialState.COMPLETE
    assert {one.state for one in trials(tmp_path)} == {TrialState.FAIL, TrialState.COMPLETE}


@pytest.mark.slow
def test_a_batch_has_consecutive_numbers_and_one_launch(tmp_path: Path) -> None:
    done = search(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", trials=4)
    assert done.returncode == 0, done.stderr
    launches = re.findall(r"is launching (\d) jobs", done.stdout + done.stderr)
    assert launches == ["2", "2"]
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir() if path.is_dir()) == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_words_of_a_trial_outlive_its_process(tmp_path: Path) -> None:
    """A killed trial is run with what it was told, not with what it would be told now."""
    process = subprocess.Popen(words("job_s=30"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("a job", (tmp_path / "jobs" / "0").is_dir, process=process)
    process.kill()
    process.wait()
    before = trials(tmp_path)[0].user_attrs["words"]
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 'search.db'}")
    study._storage.set_trial_user_attr(
        trials(tmp_path)[0]._trial_id, "words", [word.replace("job_s=30", "job_s=0") for word in before]
    )
    assert search(tmp_path, "job_s=0", trials=1).returncode == 0
    (only,) = trials(tmp_path)
    assert only.state is TrialState.COMPLETE and only.user_attrs["attempts"] == 2
    assert json.dumps(only.user_attrs["words"]) == json.dumps([w.replace("job_s=30", "job_s=0") for w in before])


@pytest.mark.slow
def test_interruptions_are_no_fault_of_a_trial(tmp_path: Path) -> None:
    """Four times Ctrl-C in the same one, and it still is run to its end."""
    begun = tmp_path / "jobs" / "0" / ".hydra"
    for _ in range(4):
        process = subprocess.Popen(
            words("job_s=60"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for("a trial", lambda: begun.is_dir() and trials(tmp_path)[0].user_attrs["owner"], process=process)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    (only,) = trials(tmp_path)
    assert (only.state, only.user_attrs["attempts"], only.user_attrs["owner"]) == (TrialState.RUNNING, 0, None)
