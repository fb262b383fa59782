"""A search as its user types it: what it leaves, what it never sees, and what it survives."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from runs import TINY, arguments, command, composed_plainly, quiet_libraries, wait_for

pytestmark = pytest.mark.slow

SEARCH = (
    "-m",
    *(word for word in TINY if not word.startswith(("model.hidden", "trainer.lr", "wfo.windows", "data.end"))),
    *("data.end=2023-03-20", "wfo.windows=6", "hydra/sweeper=search", "study=s"),
    *("model.hidden=int(interval(2,12))", "label.horizon=choice(3,5,10)", "trainer.lr=tag(log,interval(1e-3,1e-1))"),
)
HOLDOUT_START = "2023-03-06"
"""of six weekly windows, the last two"""


def search(cwd: Path, *words: str, trials: int = 6) -> subprocess.CompletedProcess[str]:
    return command("train", *SEARCH, f"hydra.sweeper.n_trials={trials}", *words, cwd=cwd, timeout_s=280)


def told(cwd: Path) -> list[tuple[Any, ...]]:
    """Of each trial what it tried, what it was told, what became of it, and what it came to, times left out."""
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{cwd / 'mlruns' / 'search.db'}")
    return [
        (
            one.number,
            dict(one.params),
            one.state.name,
            *(one.user_attrs.get(name) for name in ("words", "value", "reason")),
        )
        for one in study.get_trials(deepcopy=False)
    ]


@pytest.fixture(scope="module")
def searched(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    def make(folder: Path) -> None:
        done = search(folder)
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_text(done.stdout)

    return once("searched", make)


def test_what_is_found_is_what_the_trials_came_to(searched: Path) -> None:
    found = json.loads((searched / "mlruns/search/s/summary/search.json").read_text())
    trials = {one["number"]: one for one in found["trials"]}
    assert list(trials) == list(range(6))
    complete = [one for one in found["trials"] if one["state"] == "complete"]
    assert trials[found["best"]]["value"] == max(one["value"] for one in complete)
    for one in complete:
        assert one["value"] == pytest.approx(np.mean(one["scores"])) and len(one["scores"]) == 4
        own = json.loads((searched / "mlruns/search/s" / str(one["number"]) / "trial.json").read_text())
        assert own["scores"] == one["scores"] and own["number"] == one["number"]
    for one in found["trials"]:
        if one["state"] == "pruned":
            assert len(one["scores"]) < 4 and one["reason"]
    assert found["luck"]["trials"] == 6
    assert found["holdout_run"]["trial"] == found["best"] and found["holdout_run"]["times"] == 1
    assert [window["test"][0][:10] for window in found["holdout"]["windows"]] == [HOLDOUT_START, "2023-03-13"]


def test_the_winner_alone_is_scored_on_the_holdout(searched: Path) -> None:
    folder = searched / "mlruns/search/s"
    best = json.loads((folder / "summary/search.json").read_text())["best"]
    assert [path.name for path in folder.glob("holdout-*")] == [f"holdout-{best}"]
    summary = json.loads((folder / f"holdout-{best}/summary.json").read_text())
    assert [window["test"][0][:10] for window in summary["windows"]] == [HOLDOUT_START, "2023-03-13"]
    for path in folder.glob("[0-9]*/predictions.parquet"):
        assert pd.read_parquet(path)["open_time"].max() < pd.Timestamp(HOLDOUT_START, tz="UTC")


def test_the_lines_at_the_end(searched: Path) -> None:
    lines = (searched / "stdout").read_text().splitlines()
    assert lines[-1] == str((searched / "mlruns/search/s").resolve())
    labels = [line.split(" ")[0] for line in lines]
    found = json.loads((searched / "mlruns/search/s/summary/search.json").read_text())
    two = () if found["runner_up"] is None else ("runner-up", "difference")
    for label in ("best", *two, "luck", "PBO", "holdout", "cost", "page"):
        assert label in labels, label
    assert sum(line.startswith("trial ") for line in lines) == 6


def test_mlflow_holds_the_trials_the_search_and_the_winner(searched: Path) -> None:
    from botscalp.pipeline.tracking.store import client_of, runs_of, studies_of

    with quiet_libraries():
        client = client_of(searched / "mlruns")
        runs = runs_of(client, studies_of(client)["s"])
    kinds = [run.data.tags.get("kind") for run in runs]
    assert kinds.count("trial") == 6 and kinds.count("search") == 1 and kinds.count(None) == 1
    assert {run.data.tags["sweep"] for run in runs} == {"s"} and {run.info.status for run in runs} == {"FINISHED"}
    summary = next(run for run in runs if run.data.tags.get("kind") == "search")
    with quiet_libraries():
        files = {entry.path for entry in client.list_artifacts(summary.info.run_id)}
    assert {"search.html", "search.json", "figures"} <= files


def test_the_same_command_concludes_again_and_runs_nothing(searched: Path) -> None:
    before = told(searched)
    done = search(searched)
    assert done.returncode == 0 and told(searched) == before
    assert not any(line.startswith("trial ") for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-1] == (searched / "stdout").read_text().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trainer.epochs=3",), "base.trainer.epochs=3: the study s was begun with 2"),
        (("data.end=choice(2023-03-01,2023-03-20)",), "all trials are compared on the same bars and windows"),
        (("study=other", "wfo.test=1w,2w"), "all trials are compared on the same bars and windows"),
        (("study=other", "data.edge=0.2,0.3"), "all trials are compared on the same bars and windows"),
        (("study=few", "wfo.windows=2"), "a search keeps the last third unseen"),
        (("study=other", "hydra.sweeper.referee.objective=acu"), "did you mean auc?"),
        (("study=other", "hydra.sweeper.sampler=tpr"), "one of tpe, random, grid"),
        (("study=other", "model.hiden=int(interval(2,12))"), "did you mean hidden?"),
        (("study=other", "hydra.sweeper.sampler=grid"), "a grid cannot list all values of an interval"),
    ],
)
def test_mistakes_are_told_in_a_message(words: tuple[str, ...], message: str, searched: Path) -> None:
    done = search(searched, *words)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def write_bars(folder: Path, *, changed_from: str | None = None) -> Path:
    """The simulated bars as a file; every bar from there on another one."""
    source = composed_plainly("data.start=2023-01-01", "data.end=2023-03-20", "data.edge=0.3").data
    bars = source.load()[0]
    names = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume")
    table = pd.DataFrame({name: getattr(bars, name) for name in names if getattr(bars, name) is not None})
    table.insert(0, "open_time", pd.to_datetime(bars.open_time_ns, utc=True))
    if changed_from is not None:
        after = table["open_time"] >= pd.Timestamp(changed_from, tz="UTC")
        table.loc[after, ["open", "high", "low", "close"]] *= 1.37
        table.loc[after, ["volume", "quote_volume", "taker_buy_volume"]] *= 0.5
    path = folder / "bars.parquet"
    table.to_parquet(path, index=False)
    return path


def test_no_bar_of_the_holdout_changes_a_suggestion(tmp_path: Path) -> None:
    """Nor a score, nor what is pruned: whatever happens from the first holdout test bar on."""
    found = {}
    for name, changed_from in (("as they are", None), ("changed", HOLDOUT_START)):
        folder = tmp_path / name
        folder.mkdir()
        write_bars(folder, changed_from=changed_from)
        on_file = ("data=file", "data.path=bars.parquet", "data.start=2023-01-01")
        words = [word for word in SEARCH if not word.startswith("data.")]
        done = command("train", *words, *on_file, "hydra.sweeper.n_trials=6", cwd=folder, timeout_s=280)
        assert done.returncode == 0, done.stderr
        summary = json.loads((folder / "mlruns/search/s/summary/search.json").read_text())
        scores = [one["scores"] for one in summary["trials"]]
        found[name] = told(folder), scores, summary["best"], summary["holdout_run"]["objective"]
    one, other = found.values()
    assert one[:3] == other[:3]
    assert one[3] != other[3], "the holdout itself is another one"


def test_a_trial_that_cannot_be_has_failed_and_the_search_goes_on(tmp_path: Path) -> None:
    done = search(tmp_path, "trainer.days=choice(5,400)", "hydra.sweeper.sampler=random", trials=6)
    assert done.returncode == 0, done.stderr
    for _, params, state, _, value, reason in told(tmp_path):
        if params["trainer.days"] == 400:
            assert state == "FAIL" and value is None and reason.startswith("trainer.days=400: the training range")
        else:
            assert state in ("COMPLETE", "PRUNED") and value is not None
    assert "trainer.days=400: the training range" in (tmp_path / "mlruns/search/s/summary/search.html").read_text()


def test_trials_that_take_too_long_fail_by_that_reason(tmp_path: Path) -> None:
    done = search(tmp_path, "hydra.sweeper.referee.timeout_s=0.05")
    assert done.returncode == 2
    assert "all failed" in done.stderr and "it took longer than timeout_s=0.05" in done.stderr


def test_killed_three_times_a_search_finds_what_it_would_have_found(searched: Path, tmp_path: Path) -> None:
    words = (*SEARCH, "hydra.sweeper.n_trials=6")
    for begun in (0, 2, 4):
        process = subprocess.Popen(
            arguments("train", *words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for("a trial", (tmp_path / "mlruns/search/s" / str(begun) / "config.yaml").is_file, process=process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = search(tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(tmp_path) == told(searched)


def test_side_by_side_in_warm_processes(tmp_path: Path) -> None:
    done = search(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert [number for number, *_ in told(tmp_path)] == list(range(6))
    assert {state for _, _, state, *_ in told(tmp_path)} <= {"COMPLETE", "PRUNED"}
