"""The parts of docs/extend: each is short, and all of them make a run together without botscalp being touched."""

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
from runs import TINY, Run, command, composed

EXTEND = Path(__file__).resolve().parents[2] / "docs" / "extend"
GROUPS = ("features", "model", "label", "calibration", "backtest", "verdict", "data")
WORDS = (
    *("--trust", "my_package", "--config-dir", str(EXTEND / "conf"), *(f"{group}=mine" for group in GROUPS)),
    *(word for word in TINY if not word.startswith(("data.", "backtest."))),
    *("data.path=bars.db", "model.hidden=4", "tracking=none", "report=false", "backtest.threshold=0.51"),
)


def trained(folder: Path, extend: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(extend), os.environ.get("PYTHONPATH", "")])
    return command("train", *WORDS, *words, cwd=folder, env={"PYTHONPATH": path})


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The tiny market's bars, as the data source of the example reads them."""
    (bars,) = composed().data.load()
    assert bars.taker_buy_volume is not None
    with sqlite3.connect(tmp_path / "bars.db") as opened:
        opened.execute("CREATE TABLE bars (symbol, time_s, open, high, low, close, volume, taker)")
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.taker_buy_volume)
        rows = zip((bars.open_time_ns // 10**9).tolist(), *(column.tolist() for column in columns), strict=True)
        opened.executemany("INSERT INTO bars VALUES ('BTCUSDT', ?, ?, ?, ?, ?, ?, ?)", rows)
    opened.close()
    return tmp_path


@pytest.mark.parametrize("path", sorted(EXTEND.glob("my_package/[!_]*.py")), ids=lambda path: path.stem)
def test_each_is_one_short_file(path: Path) -> None:
    assert sum(bool(line.strip()) for line in path.read_text().splitlines()) < 30


def test_all_of_them_make_a_run_together(database: Path) -> None:
    done = trained(database, EXTEND)
    assert done.returncode == 0, done.stderr
    run = Run(database / done.stdout.splitlines()[-1])
    assert run.summary["data"]["source"] == "database"
    (rule,) = [rule for rule in run.summary["verdict"]["rules"] if rule["name"] == "drawdown"]
    assert rule["threshold"] == 0.1 and rule["result"] in ("pass", "fail")
    trades = run.table("trades")
    equity = run.table("equity")["equity_quote"]
    assert len(trades) > 10
    shares = trades["size_base"] * trades["entry_price"] / 10_000
    assert shares.nunique() > len(trades) / 2 and shares.max() < 0.5 * equity.max() / 10_000 * 1.01
    labels = run.predictions["label"]
    assert 0.02 < np.isnan(labels).mean() < 0.9, "moves within the costs have none"
    model = json.loads((run.folder / "models" / "0" / "model.json").read_text())
    assert model["model"]["_target_"] == "my_package.head.Elman"
    assert model["features"]["wick"] == [1, 12]
    assert (model["calibrator"]["map"], len(model["calibrator"]["x"])) == ("isotonic", 10)


@pytest.mark.slow
def test_a_window_is_fitted_again_once_the_package_has_changed_and_not_before(database: Path, tmp_path: Path) -> None:
    extend = tmp_path / "extend"
    shutil.copytree(EXTEND, extend, ignore=shutil.ignore_patterns("__pycache__"))
    assert trained(database, extend).returncode == 0
    fitted = set(os.listdir(database / "mlruns/windows"))
    assert trained(database, extend, "resume=true").returncode == 0
    assert set(os.listdir(database / "mlruns/windows")) == fitted
    with (extend / "my_package" / "label.py").open("a") as file:
        file.write("# changed\n")
    assert trained(database, extend, "resume=true").returncode == 0
    assert len(os.listdir(database / "mlruns/windows")) == 2 * len(fitted) - 1, "all but the lock"


def test_without_trust_it_is_not_even_imported(database: Path) -> None:
    words = [word for word in WORDS if word not in ("--trust", "my_package")]
    path = os.pathsep.join([str(EXTEND), os.environ.get("PYTHONPATH", "")])
    done = command("train", *words, cwd=database, env={"PYTHONPATH": path})
    assert done.returncode == 2 and "--trust PACKAGE" in done.stderr and "my_package" in done.stderr
