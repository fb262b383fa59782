"""python -m botscalp.compare on real runs: a study, runs by name, and what it refuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from runs import Outcome, Run, arguments, quiet_libraries

from botscalp.backtest.performance import utc_day_returns
from botscalp.statistics.overfitting import pbo
from tests.forked import forked_together

LINEAR = (
    *("model=linear", "data.start=2023-01-01", "data.end=2023-04-12", "data.edge=0.3", "features.lags=4"),
    *("wfo=weekly", "wfo.train=2w", "trainer.epochs=1", "trainer.lr=0.03", "trainer.device=cpu", "report=false"),
)
RUNS = {
    "h3": ("wfo.windows=9", "study=sweep"),
    "fast": ("wfo.windows=9", "study=sweep", "trainer.lr=0.1"),
    "h6": ("wfo.windows=9", "study=sweep", "label.horizon=6"),
    "short": ("wfo.windows=1", "study=single"),
    "eth": ("wfo.windows=1", "study=mixed", "data.symbols=[ETHUSDT]"),
    "btc": ("wfo.windows=1", "study=mixed"),
}


@pytest.fixture(scope="module")
def made(once: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Outcome]:
    """The runs, and the comparisons by what is typed, in one process."""

    def make(folder: Path) -> None:
        typed = {name: ("train", _last(LINEAR, words)) for name, words in RUNS.items()}
        trained = forked_together([command for command in typed.values()], cwd=folder)
        _add_failed_run(folder / "mlruns", "sweep")
        folders = {name: outcome["stdout"].splitlines()[-1] for name, outcome in zip(RUNS, trained, strict=True)}
        compared = {
            "study": ["study=sweep"],
            "again": ["study=sweep", f"out={folder}/again"],
            "named": [f"runs=[{folders['h3']},{_id(folders['h6'])}]", f"out={folder}/named"],
            "few days": [f"runs=[{folders['short']},{folders['h3']}]"],
            "no such study": ["study=swep"],
            "no store": ["store=elsewhere"],
            "one run": ["study=single"],
            "other symbols": ["study=mixed"],
            "twice": [f"runs=[{folders['h3']},{_id(folders['h3'])}]"],
            "no such run": [f"runs=[{folders['h3']},0123abc]"],
            "no run": [f"runs=[{folders['h3']},{folder}]"],
            "no list": ["runs=abc"],
        }
        outcomes = forked_together([("compare", words) for words in compared.values()], cwd=folder)
        found = dict(zip([*RUNS, *compared], [*trained, *outcomes], strict=True))
        (folder / "outcomes.json").write_text(json.dumps(found))

    return dict(json.loads((once("compare", make) / "outcomes.json").read_text()))


def _add_failed_run(store: Path, study: str) -> None:
    """One that came to nothing, as MLflow keeps it."""
    with quiet_libraries():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
        experiment = client.get_experiment_by_name(study)
        assert experiment is not None
        run = client.create_run(experiment.experiment_id, tags={"level": "study"})
        client.set_terminated(run.info.run_id, "FAILED")


def _last(words: tuple[str, ...], more: tuple[str, ...]) -> list[str]:
    """The words with the later override of a key alone, as Hydra wants them."""
    kept = {word.partition("=")[0]: word for word in (*words, *more)}
    return list(kept.values())


def _id(folder: str) -> str:
    return str(Run(Path(folder)).summary["mlflow"]["run_id"])


def result(outcome: Outcome) -> Path:
    assert outcome["code"] == 0, outcome["stderr"]
    return Path(outcome["stdout"].splitlines()[-1])


def trained(made: dict[str, Outcome], name: str) -> Run:
    return Run(result(made[name]))


def test_a_study_s_runs_side_by_side(made: dict[str, Outcome]) -> None:
    folder = result(made["study"])
    files = {"runs.parquet", "runs.csv", "compare.json", "compare.html", "figures"}
    assert {file.name for file in folder.iterdir()} == files
    assert f"{folder.resolve()}/compare.html" in made["study"]["stdout"]
    found = json.loads((folder / "compare.json").read_text())
    assert found["days"] == 63 and len(found["runs"]) == 3 and found["luck"]["search"]["count"] >= 3
    pnl = [run["daily_pnl"] for run in found["runs"]]
    assert pnl == sorted(pnl, reverse=True)
    assert {tuple(sorted(run["differs"].items())) for run in found["runs"]} == {
        (("label.horizon", "3"), ("trainer.lr", "0.03")),
        (("label.horizon", "3"), ("trainer.lr", "0.1")),
        (("label.horizon", "6"), ("trainer.lr", "0.03")),
    }
    for name in ("h3", "fast", "h6"):
        run = trained(made, name)
        (row,) = (row for row in found["runs"] if row["run"] == run.summary["mlflow"]["run_id"])
        assert row["net_pnl"] == run.summary["backtest"]["net_pnl"] == pytest.approx(row["daily_pnl"] * 63)
        assert row["auc"]["value"] == run.summary["metrics"]["auc"]
        assert row["rules"]["auc"]["value"] == pytest.approx(row["auc"]["value"]) and row["windows"] == 9
        assert Path(row["folder"], "summary.json").is_file()
    assert found["conclusion"] in made["study"]["stdout"] and found["study"] == "sweep"


def test_runs_that_did_not_finish_are_told(made: dict[str, Outcome]) -> None:
    found = json.loads((result(made["study"]) / "compare.json").read_text())
    assert found["unfinished"] == {"FAILED": 1} and len(found["runs"]) == 3
    page = (result(made["study"]) / "compare.html").read_text()
    assert "1 FAILED of this study" in page
    assert json.loads((result(made["named"]) / "compare.json").read_text())["unfinished"] is None


def test_the_page_leads_to_what_the_runs_found(made: dict[str, Outcome]) -> None:
    folder = result(made["study"])
    page = (folder / "compare.html").read_text()
    for name in ("h3", "fast", "h6"):
        assert trained(made, name).summary["mlflow"]["run_id"] in page
    assert {path.stem for path in (folder / "figures").iterdir()} == {"ranking", "parallel", "overlay", "search_luck"}


def test_the_measures_are_of_the_runs_daily_returns(made: dict[str, Outcome]) -> None:
    found = json.loads((result(made["study"]) / "compare.json").read_text())
    returns = {}
    for name in ("h3", "fast", "h6"):
        equity = trained(made, name).table("equity")
        close_ns = equity["close_time"].dt.as_unit("ns").astype("int64").to_numpy()
        returns[name] = utc_day_returns(close_ns, equity["equity_quote"].to_numpy(), 10_000.0)
    assert found["luck"]["pbo"] == pbo(pd.DataFrame(returns).to_numpy())
    assert 0 < found["luck"]["spa_p"] <= 1 and found["luck"]["undefined"] is None
    again = json.loads((result(made["again"]) / "compare.json").read_text())
    assert again == found, "seeded"


def test_labels_are_compared_where_they_are_the_same(made: dict[str, Outcome]) -> None:
    rows = json.loads((result(made["study"]) / "compare.json").read_text())["runs"]
    for row in rows[1:]:
        same = row["differs"]["label.horizon"] == rows[0]["differs"]["label.horizon"]
        assert (row["auc_less_best"]["value"] is not None) == same
        assert row["daily_pnl_less_best"]["low"] < row["daily_pnl_less_best"]["value"] <= 0


def test_runs_by_folder_and_by_id(made: dict[str, Outcome]) -> None:
    found = json.loads((result(made["named"]) / "compare.json").read_text())
    assert {run["title"] for run in found["runs"]} == {"linear-h3", "linear-h6"}
    assert set(found["runs"][0]["differs"]) == {"label.horizon"}


def test_a_week_tells_nothing_of_luck(made: dict[str, Outcome]) -> None:
    found = json.loads((result(made["few days"]) / "compare.json").read_text())
    assert found["days"] == 7 and found["more_than_luck"] is None and found["luck"]["spa_p"] is None
    assert [run["standing"] for run in found["runs"]] == ["best", "cannot be told"]
    assert "cannot be told: 7 days in common" in made["few days"]["stdout"]


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("no such study", ("study=swep: no such study", "did you mean sweep?")),
        ("no store", ("store=elsewhere: no runs are tracked", "remedy: make some")),
        ("one run", ("study=single: a comparison takes two finished runs or more, not 1", "runs=[...]")),
        ("other symbols", ("study=mixed: ", "1 on simulated ETHUSDT 5m", "1 on simulated BTCUSDT 5m", "study=NAME")),
        ("twice", ("runs=[", "names a run twice")),
        ("no such run", ("run=0123abc: neither a folder nor a run",)),
        ("no run", ("run=", "it holds no config.yaml", "that `train` finished")),
        ("no list", ("runs=abc", "write a list: runs=[abc]")),
    ],
)
def test_mistakes_are_explained(name: str, fragments: tuple[str, ...], made: dict[str, Outcome]) -> None:
    outcome = made[name]
    assert outcome["code"] == 2 and "Traceback" not in outcome["stderr"] and outcome["stdout"] == ""
    assert [fragment for fragment in fragments if fragment not in outcome["stderr"]] == [], outcome["stderr"]
    assert len(outcome["stderr"].splitlines()) == 2, "problem and remedy"


def test_help_is_answered_at_once(tmp_path: Path) -> None:
    python, *rest = arguments("compare", "--help")
    done = subprocess.run([python, "-X", "importtime", *rest], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "python -m botscalp.compare study=" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mlflow", "numba", "sklearn", "scipy", "pandas", "pyarrow", "arch"}
    assert list(tmp_path.iterdir()) == []
