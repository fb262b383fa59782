"""What MLflow holds after a run: two levels, headline first, dated windows, tags, note, bars, tables and files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runs import TINY, Run, walk
from tracked import runs_at

from botscalp.pipeline.summary import headline
from botscalp.pipeline.tracking.colours import COLOUR, COLOURS
from botscalp.pipeline.tracking.view import VIEW

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def client(workplace: Path) -> "MlflowClient":
    """Of the finished run's store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{workplace / 'mlruns' / 'mlflow.db'}")


@pytest.fixture
def parent(client: "MlflowClient") -> "MlflowRun":
    (run,) = runs_at(client, "study")
    return run


def test_two_levels_and_no_third(client: "MlflowClient", parent: "MlflowRun", finished: Run) -> None:
    children = runs_at(client, "window")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    assert len(client.search_runs(ids)) == 1 + len(children) == 3
    assert parent.info.run_name == "gru-h3"
    assert [child.info.run_name for child in children] == ["gru-h3 w00 2023-02-06", "gru-h3 w01 2023-02-13"]
    assert all(child.data.tags["mlflow.parentRunId"] == parent.info.run_id for child in children)
    assert [child.data.tags["window.test_start"] for child in children] == [
        window["test"][0] for window in finished.summary["windows"]
    ]
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert client.get_experiment(parent.info.experiment_id).name == "botscalp"
    assert finished.summary["mlflow"]["run_id"] == parent.info.run_id
    assert finished.summary["mlflow"]["tracking_uri"].startswith("sqlite:///")


def test_headline_metrics_are_the_summary_s_one_value_each(
    client: "MlflowClient", parent: "MlflowRun", finished: Run
) -> None:
    summary = finished.summary
    (dearer,) = (level for level in summary["costs"] if level["name"] == "costs_x2")
    expected = {
        **{f"test/{name}": summary["metrics"][name] for name in ("auc", "brier_skill", "ece", "log_loss", "accuracy")},
        **{
            f"backtest/{name}": summary["backtest"][name]
            for name in ("mean_net_bps", "trades", "win_rate", "max_drawdown", "net_pnl")
        },
        **{f"time/{name}": summary["time"][name] for name in ("total_s", "fit_s")},
        "backtest/net_pnl_2x_cost": dearer["net_pnl"],
        "time/windows_per_s": 2 / summary["time"]["fit_s"],
    }
    for group, name in (
        *(("test", name) for name in ("auc", "brier_skill", "log_loss", "accuracy")),
        *(("backtest", name) for name in ("mean_net_bps", "win_rate")),
    ):
        low, high = summary["intervals"][group][name]
        expected |= {f"{group}/{name}_lo": low, f"{group}/{name}_hi": high}
    assert expected.items() <= parent.data.metrics.items()
    for name in parent.data.metrics:
        if not name.startswith(("window/", "system/")):
            (only,) = client.get_metric_history(parent.info.run_id, name)
            assert only.step == 0
    assert summary["backtest"]["sharpe"] is None and "backtest/sharpe" not in parent.data.metrics
    assert summary["trials"]["deflated_sharpe"] is None and "backtest/dsr" not in parent.data.metrics


def test_pages_list_the_headline_first_and_windows_last(parent: "MlflowRun", finished: Run) -> None:
    """In the order in which they were logged: the comparison preselects the first of them."""
    names = list(parent.data.metrics)
    known = [name for name, value in headline(finished.summary).items() if value is not None]
    assert names[: len(known)] == known
    windows = [name for name in names if name.startswith("window/")]
    assert names[len(known) : len(known) + len(windows)] == windows
    assert all(name.startswith("system/") for name in names[len(known) + len(windows) :])
    ends = ["backtest/mean_net_bps", "backtest/mean_net_bps_lo", "backtest/mean_net_bps_hi"]
    assert names[:7] == [*ends, "test/auc", "test/auc_lo", "test/auc_hi", "test/brier_skill"]


def test_what_is_left_of_a_sharpe_ratio_and_of_the_account_at_twice_the_costs(finished: Run) -> None:
    deflated = {**finished.summary, "trials": {"count": 7, "deflated_sharpe": 0.25}}
    assert headline(deflated)["backtest/dsr"] == 0.25
    assert headline({**finished.summary, "trials": None})["backtest/dsr"] is None
    assert headline({**finished.summary, "costs": []})["backtest/net_pnl_2x_cost"] is None


def test_window_values_are_steps_of_the_parent_at_their_test_starts(
    client: "MlflowClient", parent: "MlflowRun", finished: Run
) -> None:
    names = {name for name in parent.data.metrics if name.startswith("window/")}
    assert {f"window/test/{name}" for name in ("auc", "brier_skill", "ece")} <= names
    assert {f"window/time/{name}" for name in ("fit_s", "epochs", "samples_per_s")} <= names
    assert {f"window/backtest/{name}" for name in ("mean_net_bps", "trades")} <= names
    windows = finished.summary["windows"]
    for name in names:
        history = client.get_metric_history(parent.info.run_id, name)
        assert [point.step for point in history] == [0, 1]
        times = [datetime.fromtimestamp(point.timestamp / 1000, UTC) for point in history]
        assert times == [datetime.fromisoformat(window["test"][0]) for window in windows]
        _, group, figure = name.split("/")
        if group != "time":
            found = [(window["metrics"] if group == "test" else window)[figure] for window in windows]
            assert [point.value for point in history] == found


def test_the_machine_is_sampled_while_the_run_lasts(client: "MlflowClient", parent: "MlflowRun") -> None:
    for name in ("cpu_utilization_percentage", "system_memory_usage_megabytes", "network_receive_megabytes"):
        history = client.get_metric_history(parent.info.run_id, f"system/{name}")
        assert [point.step for point in history] == list(range(len(history))) and history
        times = [point.timestamp for point in history]
        assert times == sorted(times)
        assert parent.info.start_time <= times[0] and times[-1] <= parent.info.end_time
    assert parent.data.metrics["system/system_memory_usage_megabytes"] > 0


def test_children_hold_their_epochs_and_their_metrics(client: "MlflowClient", finished: Run) -> None:
    for child, window in zip(runs_at(client, "window"), finished.summary["windows"], strict=True):
        for name in ("train/loss", "val/loss", "val/auc"):
            history = client.get_metric_history(child.info.run_id, name)
            assert [point.step for point in history] == list(range(window["epochs"]))
        assert child.data.metrics["test/auc"] == window["metrics"]["auc"]
        assert "verdict" not in child.data.tags, "a filter by verdict returns runs, not windows"
        assert child.data.params == {}


def test_params_are_what_a_person_compares_and_what_was_typed(parent: "MlflowRun") -> None:
    words = [word.partition("=") for word in TINY]
    typed = {key if "." in key else f"{key}.name": value for key, _, value in words}
    assert typed.items() <= parent.data.params.items()
    compared = {
        "model.name": "gru",
        "model.layers": "1",
        "label.name": "direction",
        "label.horizon": "3",
        "features.name": "technical",
        "calibration.name": "platt",
        "data.symbols": "BTCUSDT",
        "trainer.batch": "512",
        "backtest.taker_bps": "5.0",
        "seed": "0",
    }
    assert compared.items() <= parent.data.params.items()
    assert len(parent.data.params) <= 20 + len(typed)


def test_tags_are_what_a_person_filters_by(client: "MlflowClient", parent: "MlflowRun", finished: Run) -> None:
    tags, summary = parent.data.tags, finished.summary
    assert tags["verdict"] == summary["verdict"]["outcome"]
    assert tags["verdict.reason"] == summary["verdict"]["reasons"][0]
    assert tags["data.digest"] == summary["data"]["digest"] and tags["data.source"] == "simulated"
    assert tags["device"] == "cpu"
    assert tags["mlflow.source.git.commit"] == (summary["code"]["commit"] or "")
    assert tags["code.dirty"] == json.dumps(summary["code"]["dirty"]).replace("null", "none")
    assert {run.data.tags[COLOUR] for run in (parent, *runs_at(client, "window"))} == {COLOURS[0]}


def test_the_note_tells_the_verdict_and_the_study_s_tells_of_its_runs(
    client: "MlflowClient", parent: "MlflowRun", finished: Run
) -> None:
    first, blank, *why = parent.data.tags["mlflow.note.content"].splitlines()
    backtest = finished.summary["backtest"]
    assert first.startswith(f"**{finished.summary['verdict']['outcome']}**: net {backtest['mean_net_bps']:+.2f} [")
    assert f"{backtest['trades']:,} trades in 2 windows, 2023-02-06 .. 2023-02-20" in first
    assert "SIMULATED" in first and blank == ""
    assert [line.rpartition("(")[2] for line in why] == [f"{name})" for name in finished.summary["verdict"]["reasons"]]
    experiment = client.get_experiment(parent.info.experiment_id)
    assert experiment.tags["mlflow.note.content"].startswith(f"1 run: 1 {finished.summary['verdict']['outcome']}. ")
    assert VIEW in experiment.tags


def test_the_bars_are_the_data_set(parent: "MlflowRun", finished: Run) -> None:
    (used,) = parent.inputs.dataset_inputs
    data, profile = finished.summary["data"], json.loads(used.dataset.profile)
    assert used.dataset.name == data["markets"][0] and used.dataset.digest == data["digest"][:12]
    assert profile["num_rows"] == data["rows"] and profile["sha256"] == data["digest"]
    assert (profile["first_bar"], profile["last_bar_ends"]) == (data["start"], data["end"])
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "walk-forward")]


def test_the_run_folder_and_a_table_of_windows_are_the_artifacts(parent: "MlflowRun", finished: Run) -> None:
    artifacts = Path(parent.info.artifact_uri.removeprefix("file://"))
    ours, theirs = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (finished.folder, artifacts)
    )
    table = json.loads(theirs.pop(Path("tables/windows.json")))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert json.loads(parent.data.tags["mlflow.loggedArtifacts"]) == [{"path": "tables/windows.json", "type": "table"}]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert table["columns"][:2] == ["test_start", "mean_net_bps"], (
        "tables are set side by side by the first, on the second"
    )
    assert [row["test_start"] for row in rows] == ["2023-02-06", "2023-02-13"]
    for row, window in zip(rows, finished.summary["windows"], strict=True):
        assert row["trades"] == window["trades"]
        assert row["auc"].startswith(f"{window['metrics']['auc']:.3f} [")


def test_a_study_s_runs_lie_beside_each_other(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    words = ("tracking=mlflow", "wfo.windows=1", "data.end=2023-02-06", "wfo.train=1w", "trainer.epochs=1")
    walk(tmp_path / "one", *words, "study=a")
    walk(tmp_path / "two", *words, "study=a", "++model.hidden=5", "resume=true")
    walk(
        tmp_path / "three",
        *words,
        "study=b",
        "model=ensemble",
        "+model@model.members.linear=linear",
        "~model.members.gru",
    )
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    names = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    parents = runs_at(client, "study")
    assert [names[run.info.experiment_id] for run in parents] == ["a", "a", "b"]
    assert [run.data.params.get("model.hidden") for run in parents] == ["4", "5", None]
    assert parents[2].data.params["model:model.members.linear"] == "linear"
    assert all("resume" not in run.data.params and "study" not in run.data.params for run in parents)
    assert [run.data.tags[COLOUR] for run in parents] == [COLOURS[0], COLOURS[1], COLOURS[0]]
    assert {run.info.status for run in parents} == {"FINISHED"}
    for run in parents:
        ours = [
            child for child in runs_at(client, "window") if child.data.tags["mlflow.parentRunId"] == run.info.run_id
        ]
        assert len(ours) == 1
        assert ours[0].data.tags[COLOUR] == run.data.tags[COLOUR]
