"""What MLflow's pages show of a study: colours that differ, a view of what matters, and words that say no more than is known."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import Run
from tracked import fresh_store, new_run, runs_at

from botscalp.pipeline.tracking import MlflowTracking, NewRun, TrackedResult, mlflow_run, open_store
from botscalp.pipeline.tracking.colours import COLOUR, COLOURS, distinct, next_colour
from botscalp.pipeline.tracking.notes import run_note, study_note
from botscalp.pipeline.tracking.store import client_of, runs_of
from botscalp.pipeline.tracking.study import NOTE, present_study
from botscalp.pipeline.tracking.view import NAME, VIEW, differing, link, shared_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as TrackedRun

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def store(once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    return fresh_store(once, tmp_path)


# How people see who lack one kind of cones: linear RGB to linear RGB, Viénot, Brettel and Mollon 1999.
LACKING = {
    "none": np.eye(3),
    "red": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "green": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


def lab(colour: str, lacking: str) -> np.ndarray[Any, Any]:
    """CIE Lab of a colour, as such eyes see it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = LACKING[lacking] @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear.clip(0) / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("lacking", LACKING)
def test_colours_are_told_apart_and_seen_on_white(lacking: str) -> None:
    for one, other in combinations((*COLOURS, "#ffffff"), 2):
        assert np.linalg.norm(lab(one, lacking) - lab(other, lacking)) > 15, (one, other)


@given(st.lists(st.sampled_from([*COLOURS, "#123456", None]), max_size=30))
def test_colours_of_a_study_are_used_alike_and_a_person_s_choice_is_kept(colours: list[str | None]) -> None:
    given = distinct(colours)
    assert len(given) == len(colours) and all(given)
    assert all(new == "#123456" for new, old in zip(given, colours, strict=True) if old == "#123456")
    counts = [given.count(colour) for colour in COLOURS]
    assert max(counts) - min(counts) <= 1
    assert distinct(given) == given, "what is presented twice stays as it is"
    assert given.count(next_colour(given)) == min(counts)


def test_parameters_differ_where_runs_that_have_them_disagree() -> None:
    gru = {"model.name": "gru", "model.hidden": "64", "seed": "0", "label.horizon": "3"}
    linear = {"model.name": "linear", "seed": "0", "label.horizon": "3"}
    wide = {**gru, "model.hidden": "128"}
    assert differing([gru, linear]) == ["model.name"], "that only one has a width tells nothing beyond its name"
    assert differing([gru, linear, wide]) == ["model.name", "model.hidden"]
    assert differing([]) == differing([gru]) == []


def state_of(view: str) -> dict[str, Any]:
    envelope = json.loads(view)
    assert envelope["name"] == NAME and envelope["createdAt"] == 7
    return dict(json.loads(envelope["state"]))


def test_the_view_shows_the_headline_what_differs_and_windows_over_time() -> None:
    state = state_of(shared_view(["label.horizon", "trainer.lr"], ["test/auc", "x/y/z", "plain"], created_ms=7))
    assert state["searchFilter"] == "tags.level = 'study'"
    assert state["selectedColumns"] == [
        "tags.`verdict`",
        "metrics.`backtest/mean_net_bps`",
        *(f"metrics.`test/{name}`" for name in ("auc", "brier_skill", "ece")),
        *(f"params.`{name}`" for name in ("model.name", "label.horizon", "trainer.lr")),
    ]
    charts = state["compareRunCharts"]
    parallel, _, *lines = charts
    assert parallel["selectedParams"] == ["label.horizon", "trainer.lr"]
    assert parallel["selectedMetrics"][-1] == "backtest/mean_net_bps"
    assert {line["metricKey"] for line in lines} >= {"window/test/auc", "window/backtest/mean_net_bps"}
    assert all(line["xAxisKey"] == "time" and line["lineSmoothness"] == 0 for line in lines)
    assert len({chart["uuid"] for chart in charts}) == len(charts)
    sections = {section["uuid"]: section["display"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in charts} == {name for name, shown in sections.items() if shown}
    assert [name for name, shown in sections.items() if not shown] == ["test", "x/y"]


def test_a_view_of_a_wide_study_fits_a_tag() -> None:
    many = [f"features.some_rather_long_name_of_a_parameter_{number}" for number in range(200)]
    view = shared_view(many, [f"group_{number}/metric" for number in range(10)], created_ms=7)
    assert len(view) < 20_000, "MLflow takes no more in an experiment's tag"
    assert len(state_of(view)["selectedColumns"]) < 15


def test_a_link_names_the_view_and_no_search() -> None:
    """With a search in its address MLflow leaves the view aside."""
    assert link(5000, "3") == (
        "http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=botscalp"
    )


def test_a_note_names_what_decided_and_what_was_set_aside(finished: Run) -> None:
    rules = [
        {"name": "auc", "result": "pass", "words": "ranks", "value": 0.6, "threshold": 0.5, "low": 0.5, "high": 0.7},
        {
            "name": "net",
            "result": "fail",
            "words": "earns\nmoney",
            "value": -1,
            "threshold": 0,
            "low": -2,
            "high": -0.5,
        },
        {"name": "real", "result": "overridden", "words": "*", "value": 0, "threshold": 1, "low": None, "high": None},
    ]
    summary = {**finished.summary, "verdict": {"outcome": "REJECTED", "reasons": ["net"], "rules": rules}}
    first, _, *why = run_note(summary).splitlines()
    assert first.startswith("**REJECTED**: net ")
    assert why == ["- fail: earns money: -1 [-2, -0.5], line at 0 (net)", "- overridden: *: 0, line at 1 (real)"]


def test_a_note_of_no_trades_and_no_open_rule(finished: Run) -> None:
    backtest = {**finished.summary["backtest"], "trades": 0, "mean_net_bps": None}
    intervals = {**finished.summary["intervals"], "backtest": {"mean_net_bps": None}}
    verdict = {"outcome": "CANDIDATE", "reasons": [], "rules": []}
    changed = {**finished.summary, "backtest": backtest, "intervals": intervals, "verdict": verdict}
    first, _, last = run_note(changed).splitlines()
    assert "net n/a bps a trade" in first and " 0 trades in 2 windows" in first
    assert last == "- every rule is passed"


def test_a_note_that_mlflow_would_cut_says_what_is_left_out(finished: Run) -> None:
    rule = {"result": "fail", "words": "w" * 900, "value": 1.0, "threshold": 0.0, "low": None, "high": None}
    rules = [{**rule, "name": f"rule_{number}"} for number in range(12)]
    verdict = {"outcome": "REJECTED", "reasons": [rule["name"] for rule in rules], "rules": rules}
    note = run_note({**finished.summary, "verdict": verdict})
    assert 7_000 < len(note) < 8_000
    assert note.splitlines()[-1] == f"- and {12 - note.count('- fail')} more, in verdict.csv"


def test_a_study_s_line_counts_verdicts_and_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_note(["REJECTED", None, "REJECTED", "CANDIDATE"], "horizons", Path("mlruns")) == (
        "4 runs: 2 REJECTED, 1 without a verdict, 1 CANDIDATE. Side by side: `python -m botscalp.compare study=horizons`"
    )
    assert study_note(["REJECTED"], "my study", tmp_path / "elsewhere").endswith(
        f"1 run: 1 REJECTED. Side by side: `python -m botscalp.compare study='my study' store={tmp_path}/elsewhere`"
    )
    assert study_note([], "none", Path("mlruns")) == "no runs yet"


def test_runs_from_elsewhere_get_colours_and_their_study_a_view(store: Path) -> None:
    """A machine's store gives every first run the first colour, and what it says of its study stays there."""
    client, experiment_id, _ = open_store(store, "s")
    for _ in range(3):
        client.create_run(experiment_id, tags={"level": "study", COLOUR: COLOURS[0], "verdict": "REJECTED"})
    client.create_run(experiment_id, tags={"level": "window", COLOUR: COLOURS[0], "verdict": "REJECTED"})
    runs = present_study(client, experiment_id, store)
    assert [client.get_run(run.info.run_id).data.tags[COLOUR] for run in runs] == list(COLOURS[:3])
    tags = client.get_experiment(experiment_id).tags
    assert tags[NOTE].startswith("3 runs: 3 REJECTED. ") and VIEW in tags


def test_a_study_is_presented_whenever_a_run_of_it_finishes(store: Path) -> None:
    seen = []
    for verdict, horizon in (("REJECTED", "3"), ("CANDIDATE", "6")):
        with MlflowTracking().run(new_run(store, params={"label.horizon": horizon})) as run:
            (store / "files").mkdir(exist_ok=True)
            run.log_result(TrackedResult(metrics={"test/auc": 0.5}, tags={"verdict": verdict}), store / "files")
        client, experiment_id, _ = open_store(store, "s")
        seen.append(client.get_experiment(experiment_id).tags)
    assert seen[0][NOTE].startswith("1 run: 1 REJECTED") and seen[1][NOTE].startswith("2 runs: 1 REJECTED, 1 CANDIDATE")
    assert seen[0][VIEW] != seen[1][VIEW], "the second run differs from the first"
    present_study(client, experiment_id, store)
    assert client.get_experiment(experiment_id).tags == seen[1]


def test_runs_that_begin_at_once_take_colours_of_their_own(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks at the others' colours and waits for the other to have looked, which one that is alone does in vain."""
    open_store(store, "s")
    both = threading.Barrier(2)

    def looked(client: "MlflowClient", experiment_id: str) -> "list[TrackedRun]":
        found = runs_of(client, experiment_id)
        with suppress(threading.BrokenBarrierError):
            both.wait(1.0)
        return found

    def record(new: NewRun) -> None:
        with MlflowTracking().run(new):
            pass

    monkeypatch.setattr("botscalp.pipeline.tracking.mlflow_run.runs_of", looked)
    monkeypatch.setattr("botscalp.pipeline.tracking.mlflow_run.present_study", lambda *_: [])  # it would mend them
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(record, [new_run(store, name=name) for name in "ab"]))
    assert {run.data.tags[COLOUR] for run in runs_at(client_of(store), "study")} == set(COLOURS[:2])


def test_a_study_s_first_two_runs_present_it_one_after_the_other(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's store refuses a tag's first value from two who write it at the same moment."""
    client, experiment_id, _ = open_store(store, "s")
    inside = threading.Semaphore(1)

    def presented(*_: object) -> list[str]:
        assert inside.acquire(blocking=False), "two at once"
        time.sleep(0.2)
        inside.release()
        return []

    monkeypatch.setattr("botscalp.pipeline.tracking.study.runs_of", presented)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: present_study(client, experiment_id, store), range(2)))


def test_a_page_that_cannot_be_presented_costs_no_run(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.exceptions import MlflowException

    def fail(*_: object) -> None:
        raise MlflowException("the disk is full")

    monkeypatch.setattr(mlflow_run, "present_study", fail)
    with MlflowTracking().run(new_run(store)) as run:
        pass
    assert run.writer.client.get_run(run.writer.run_id).info.status == "FINISHED"
    assert "the page of study s in MLflow is not up to date: the disk is full" in caplog.text
