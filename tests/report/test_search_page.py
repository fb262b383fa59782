"""The page of a search: whole and escaped whatever was found, and it says of every trial what search.json says."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from documents import Document, document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import clipped, foreign_colours, overlapping
from runs import quiet_libraries

from botscalp.report.figures.trial_history import trial_history
from botscalp.report.figures.trial_importance import trial_importance
from botscalp.report.figures.trial_slices import trial_slices
from botscalp.report.figures.trial_windows import trial_windows
from botscalp.report.page import FIGURES
from botscalp.report.search_page import FILE, write_search_page

MONTHS = [f"2024-{month:02d}-01T00:00:00Z" for month in range(1, 13)]
WINDOWS = 6
scores = st.lists(st.floats(-0.01, 0.01), min_size=WINDOWS, max_size=WINDOWS)
params = st.fixed_dictionaries(
    {"model.hidden": st.integers(8, 512), "trainer.lr": st.floats(1e-4, 1e-2)},
    optional={"model": st.sampled_from(["gru", "lstm", "<b>&"]), "trainer.compile": st.booleans()},
)


@st.composite
def trials(draw: Any) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 14))):
        state = draw(st.sampled_from(["complete", "pruned", "failed"]))
        own = draw(scores)
        own = {"complete": own, "pruned": own[:3], "failed": []}[state]
        value = sum(own) / len(own) if own else None
        made.append(
            {"number": number, "params": draw(params), "state": state, "value": value, "scores": own, "incumbent": None}
            | {"reason": "" if state == "complete" else f"because <{number}> & so", "seconds": 3.0, "fit_s": 2.0}
            | {"sharpe": None, "folder": f"mlruns/search/s/{number}"}
        )
    return made


def found_of(made: list[dict[str, Any]], *, holdout: bool = True, told: bool = True) -> dict[str, Any]:
    """What search.json holds of these trials."""
    complete = sorted((one for one in made if one["state"] == "complete"), key=lambda one: -one["value"])
    best, second = [*(one["number"] for one in complete[:2]), None, None][:2]
    estimate = {"value": 0.002, "low": -0.001, "high": 0.004}
    return {
        **{"schema": 1, "study": "s<1>", "objective": "brier_skill", "direction": "maximize", "sampler": "tpe"},
        **{"created": "2026-01-01", "markets": ["real BTCUSDT 5m"], "best": best, "runner_up": second},
        "search": {"windows": [{"test": [*ends]} for ends in pairwise(MONTHS[:7])]},
        "holdout": {"windows": [{"test": [*ends]} for ends in pairwise(MONTHS[6:10])]},
        "trials": made,
        "difference": None if second is None else estimate,
        "luck": {"trials": len(made), "completed": len(complete), "pbo": 0.4 if told else None}
        | {"sharpe": -3.0, "expected_best_sharpe": 2.0 if told else None, "deflated": 0.01 if told else None}
        | {"expected_best_value": 0.003 if told else None, "undefined": None if told else "too few days"},
        "holdout_run": {"trial": best, "times": 1, "verdict": "REJECTED", "auc": estimate, "objective": estimate}
        | {"mean_net_bps": estimate, "folder": "f", "report": None}
        if holdout and best is not None
        else None,
        "importance": {"model.hidden": 0.7, "trainer.lr": 0.3} if len(complete) > 3 else None,
        "time": {"total_s": 60.0, "fit_s": 50.0, "pruned": sum(one["state"] == "pruned" for one in made)}
        | {"saved_windows": 3, "failed": sum(one["state"] == "failed" for one in made)},
        "conclusion": "Trial 3 is <the> best.",
    }


def written(folder: Path, found: dict[str, Any]) -> Document:
    write_search_page(folder, found)
    return document((folder / FILE).read_text())


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=trials(), holdout=st.booleans(), told=st.booleans())
def test_whatever_was_found_is_told(
    made: list[dict[str, Any]], holdout: bool, told: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = found_of(made, holdout=holdout, told=told)
    with quiet_libraries():
        page = written(tmp_path_factory.mktemp("page"), json.loads(json.dumps(found, allow_nan=False)))
    assert len(page.ids) == len(set(page.ids))
    for one in made:
        if one["reason"]:
            assert one["reason"] in page.text
        if one["value"] is not None:
            assert f"{one['value']:+.5f}" in page.text
    assert "<b>&" in page.text or not any(one["params"].get("model") == "<b>&" for one in made)
    assert found["conclusion"] in page.text


@pytest.fixture(scope="module")
def many() -> dict[str, Any]:
    """Forty trials, of which some are pruned and two failed."""
    made = []
    for number in range(40):
        state = "failed" if number in (7, 21) else "pruned" if number % 4 == 1 else "complete"
        own = [0.001 * ((number * 7 + window * 3) % 5) for window in range(WINDOWS)]
        own = {"complete": own, "pruned": own[:3], "failed": []}[state]
        made.append(
            {"number": number, "state": state, "scores": own, "value": sum(own) / len(own) if own else None}
            | {
                "params": {
                    "model.hidden": 8 + number,
                    "trainer.lr": 10 ** (-4 + number / 20),
                    "model": ["gru", "lstm"][number % 2],
                }
            }
            | {"incumbent": None, "reason": "" if state == "complete" else "why", "seconds": 1.0, "fit_s": 1.0}
            | {"sharpe": -2.0, "folder": "f"}
        )
    return found_of(made)


@pytest.mark.parametrize("draw", [trial_history, trial_importance, trial_slices, trial_windows])
def test_pictures_are_whole_and_read_aloud(draw: Any, many: dict[str, Any]) -> None:
    with quiet_libraries():
        picture = draw(many)
        assert picture is not None and re.search(r"\d", picture.reading)
        assert not clipped(picture.figure) and not overlapping(picture.figure)
        assert not foreign_colours(picture)
    assert len(picture.table)


@pytest.mark.parametrize("draw", [trial_history, trial_importance, trial_slices, trial_windows])
def test_nothing_is_drawn_of_nothing(draw: Any) -> None:
    assert draw(found_of([])) is None


def test_one_file_that_fetches_nothing(many: dict[str, Any], tmp_path: Path) -> None:
    with quiet_libraries():
        page = written(tmp_path, many)
    assert {path.stem for path in (tmp_path / FIGURES).iterdir()} == {"history", "windows", "importance", "slices"}
    for element in page.elements:
        assert not {"src", "srcset", "data"} & element.attributes.keys(), element
        for key, value in element.attributes.items():
            assert "://" not in value or key.startswith("xmlns"), element


def test_the_windows_of_a_year_of_weeks_are_named_apart(many: dict[str, Any]) -> None:
    weeks = [(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(weeks=week)).isoformat() for week in range(55)]
    windows = [{"test": [*ends]} for ends in pairwise(weeks)]
    own = [one | {"scores": [*one["scores"]] * 6} for one in many["trials"]]
    found = many | {"trials": own, "search": {"windows": windows[:36]}, "holdout": {"windows": windows[36:]}}
    with quiet_libraries():
        picture = trial_windows(found)
        assert picture is not None and not clipped(picture.figure) and not overlapping(picture.figure)


@pytest.mark.parametrize("runner_up", [True, False])
def test_the_best_has_one_colour_on_both_sides(many: dict[str, Any], runner_up: bool) -> None:
    found = many if runner_up else many | {"runner_up": None, "difference": None}
    with quiet_libraries():
        picture = trial_windows(found)
    assert picture is not None
    best, *_, unseen = picture.figure.axes[0].lines
    assert best.get_color() == unseen.get_color()


def test_numbers_of_a_choice_stand_side_by_side_and_an_interval_keeps_its_axis(many: dict[str, Any]) -> None:
    chosen = [5, 3, 10, 200]
    kinds = ["gru", "lstm", "tcn", "transformer", "patchtst", "logistic", "boosted", "ensemble"]
    own = [
        one
        | {
            "params": {
                "label.horizon": chosen[one["number"] % 4],
                "trainer.lr": one["params"]["trainer.lr"],
                "model": kinds[one["number"] % 8],
                "model.norm": [True, 1, None][one["number"] % 3],
            }
        }
        for one in many["trials"]
    ]
    with quiet_libraries():
        picture = trial_slices(many | {"trials": own})
        assert picture is not None and not clipped(picture.figure) and not overlapping(picture.figure)
    horizon, rate, _, norm, *_ = picture.figure.axes
    assert [text.get_text() for text in horizon.get_xticklabels()] == ["3", "5", "10", "200"]
    assert horizon.get_xscale() == "linear" and rate.get_xscale() == "log"
    assert {text.get_text() for text in norm.get_xticklabels()} == {"True", "1", "None"}


def test_failures_are_in_sight_however_many_were_pruned(many: dict[str, Any], tmp_path: Path) -> None:
    pruned = [one | {"state": "pruned", "reason": f"-0.003 beside trial {one['number']}"} for one in many["trials"]]
    failed = many["trials"][7] | {"reason": "OutOfMemoryError: CUDA out of memory"}
    found = found_of([failed if one["number"] == 7 else one for one in pruned])
    with quiet_libraries():
        write_search_page(tmp_path, found)
    html = (tmp_path / FILE).read_text()
    in_sight = document(re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)).text
    assert failed["reason"] in in_sight and pruned[0]["reason"] not in in_sight


def test_a_reason_that_begins_with_a_figure_is_read_as_a_sentence(many: dict[str, Any], tmp_path: Path) -> None:
    reason = "-0.00064 beside trial 0 on the same 4 windows: probability 0.033 if it were as good"
    found = many | {"trials": [one | {"reason": reason if one["state"] == "pruned" else ""} for one in many["trials"]]}
    with quiet_libraries():
        write_search_page(tmp_path, found)
    assert f'<td class="prose">{reason}</td>' in (tmp_path / FILE).read_text()


def test_luck_is_an_expectation_and_a_probability_no_ceiling_and_no_claim(many: dict[str, Any], tmp_path: Path) -> None:
    with quiet_libraries():
        picture, page = trial_history(many), written(tmp_path, many)
    assert picture is not None and "at most" not in picture.reading
    assert (
        "With a probability of 0.010: that its Sharpe ratio, -3.00 on the search windows, is truly above" in page.text
    )


def test_the_best_so_far_never_falls(many: dict[str, Any]) -> None:
    with quiet_libraries():
        picture = trial_history(many)
    assert picture is not None
    best = [float(text) for text in picture.table["best so far"] if text != "n/a"]
    assert best == sorted(best)
