"""Stored predictions under other settings: the same figures as a backtest of one's own, one run recorded, clear refusals."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import backtest, noise
from omegaconf import OmegaConf

from botscalp.backtest import PredictedBars, summarize, sweep
from botscalp.data.bars import market_digest
from botscalp.errors import UserError
from botscalp.indicators import atr
from botscalp.options import described
from botscalp.pipeline.scores import read_scores
from tests.forked import Done, forked

ROOT = Path(__file__).resolve().parents[1]
FIRST, LAST = 1_000, 11_000
"""bars of the test range; the predictions begin later and end sooner"""
WINDOW = 0


@pytest.fixture(scope="module")
def market() -> PredictedBars:
    """40 days of bars, ten thousand of them predicted or in the test range."""
    market = noise(seed=8, days=40)
    p = np.full(len(market.bars), np.nan)
    p[FIRST + 50 : LAST - 50] = market.p[FIRST + 50 : LAST - 50]
    return replace(market, p=p, atr=atr(market.bars, 14))


@pytest.fixture
def run_folder(tmp_path: Path, market: PredictedBars) -> Path:
    """What a finished run leaves behind, as far as re-scoring needs it."""
    bars, folder = market.bars, tmp_path / "run"
    folder.mkdir()
    times = pd.to_datetime(bars.open_time_ns, utc=True)
    names = ("open", "high", "low", "close", "volume")
    pd.DataFrame({"open_time": times} | {name: getattr(bars, name) for name in names}).to_parquet(
        tmp_path / "bars.parquet"
    )
    known = ~np.isnan(market.p)
    predictions = {"open_time": times[known], "symbol": "BTCUSDT", "window": WINDOW, "p": market.p[known]}
    pd.DataFrame(predictions).to_parquet(folder / "predictions.parquet")
    test = [str(times[FIRST]), str(times[LAST])]
    (folder / "summary.json").write_text(
        json.dumps({"windows": [{"test": test}], "data": {"digest": market_digest((bars,))}})
    )
    data = {"_target_": "botscalp.data.files.FileSource", "path": str(tmp_path / "bars.parquet")}
    data |= {"symbols": ["BTCUSDT"], "start": None, "end": None}  # type: ignore[dict-item]
    OmegaConf.save(
        OmegaConf.create({"data": data, "backtest": described(backtest(taker_bps=3.0))}), folder / "config.yaml"
    )
    return folder


def rescored(folder: Path, *words: str) -> Done:
    return forked("backtest", (f"store={folder / 'store'}", *words), cwd=ROOT)


def in_test_range(market: PredictedBars) -> PredictedBars:
    """The bars of the test range."""
    inside = slice(FIRST, LAST)
    return PredictedBars(
        bars=market.bars[inside], p=market.p[inside], atr=market.atr[inside], window=np.full(LAST - FIRST, WINDOW)
    )


def figures(rules: Any, market: PredictedBars) -> dict[str, Any]:
    result = rules.run([market])
    return asdict(summarize(result.records, result.close_time_ns, result.equity_quote, result.capital_quote))


def test_a_run_under_another_setting(run_folder: Path, market: PredictedBars) -> None:
    """Typed settings change, the others stay the run's (a taker fee of 3 bps)."""
    done = rescored(run_folder.parent, f"run={run_folder}", "backtest.threshold=0.6", "tracking=none")
    assert done.code == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    stored = json.loads((folder / "backtest.json").read_text())
    assert stored["backtest"] == figures(backtest(taker_bps=3.0, threshold=0.6), in_test_range(market))
    assert stored["trials"] == 1 and stored["brackets"] is None
    assert stored["anatomy"]["trades"]["longest_loss_streak"] > 1
    trades = pd.read_parquet(folder / "trades.parquet")
    assert len(trades) == stored["backtest"]["trades"] > 50
    assert (trades.window == WINDOW).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # MLflow's own, about SQLAlchemy
def test_a_grid_is_one_run_in_mlflow(run_folder: Path, market: PredictedBars) -> None:
    from mlflow import MlflowClient

    words = ("grid.threshold=[0.52,0.6]", "grid.stop_atr=[1,2]", "grid.max_hold=[5,20]")
    done = rescored(run_folder.parent, f"run={run_folder}", *words)
    assert done.code == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1])
    grid = {"threshold": [0.52, 0.6], "stop_atr": [1.0, 2.0], "max_hold": [5, 20]}
    expected = sweep([in_test_range(market)], backtest(taker_bps=3.0), grid)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "grid.parquet"), expected, check_exact=True)
    assert (folder / "grid.png").stat().st_size > 5_000
    client = MlflowClient(f"sqlite:///{run_folder.parent / 'store' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("botscalp").experiment_id])
    assert run.data.tags["trials"] == "8"
    assert run.data.metrics["grid/configs"] == 8
    assert run.data.metrics["grid/sharpe_sd"] == pytest.approx(expected.sharpe.std())
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"grid.parquet", "grid.png", "grid.json"}


def test_brackets_chosen_on_the_run_s_validation(run_folder: Path, market: PredictedBars) -> None:
    """Two windows whose validation ranges overlap; a typed list of candidates replaces the run's."""
    times = pd.to_datetime(market.bars.open_time_ns, utc=True)
    rows = slice(FIRST + 50, FIRST + 900)
    validation = pd.DataFrame({"open_time": times[rows], "symbol": "BTCUSDT", "window": WINDOW, "p": market.p[rows]})
    validation.to_parquet(run_folder / "validation.parquet")
    words = (
        "backtest.select=validation",
        "backtest.candidates.threshold=[0.5,0.6]",
        "backtest.candidates.stop_atr=null",
    )
    done = rescored(run_folder.parent, f"run={run_folder}", *words, "backtest.taker_bps=0", "tracking=none")
    assert done.code == 0, done.stderr
    (bracket,) = json.loads((Path(done.stdout.splitlines()[-1]) / "backtest.json").read_text())["brackets"]
    assert bracket["threshold"] in (0.5, 0.6) and bracket["stop_atr"] == 1.5 and bracket["max_hold"] == 20
    table = pd.concat([validation, validation.assign(window=1)])
    table.to_parquet(run_folder / "twice.parquet")
    once = ("symbol", "open_time", "window")
    assert len(read_scores(run_folder / "twice.parquet", (market.bars,), once=once).p) == 2 * len(validation)


def test_simulated_bars_may_be_traded_too(tmp_path: Path) -> None:
    times = pd.date_range("2023-01-05", periods=500, freq="5min", tz="UTC")
    pd.DataFrame({"open_time": times, "p": 0.6}).to_csv(tmp_path / "scores.csv", index=False)
    done = rescored(tmp_path, f"predictions={tmp_path / 'scores.csv'}", "data=simulated", "seed=3", "tracking=none")
    assert done.code == 0, done.stderr


def test_other_bars_than_the_run_s_are_noticed(run_folder: Path) -> None:
    bars = pd.read_parquet(run_folder.parent / "bars.parquet")
    prices = ["open", "high", "low", "close"]
    bars.assign(**{name: bars[name] / 2 for name in prices}).to_parquet(run_folder.parent / "half.parquet")
    path = run_folder.parent / "half.parquet"
    done = rescored(run_folder.parent, f"run={run_folder}", f"data.path={path}", "tracking=none")
    assert done.code == 0 and "not the bars that the run was made on" in done.stdout


@pytest.mark.parametrize("windows", [[1, 0], [5, 6]])
def test_windows_of_a_file_are_numbered_from_0_in_order(tmp_path: Path, run_folder: Path, windows: list[int]) -> None:
    table = pd.read_parquet(run_folder / "predictions.parquet")
    table.assign(window=np.repeat(windows, [4_000, len(table) - 4_000])).to_parquet(tmp_path / "p.parquet")
    words = (f"predictions={tmp_path / 'p.parquet'}", f"data.path={tmp_path / 'bars.parquet'}", "tracking=none")
    done = rescored(tmp_path, *words)
    assert done.code == 2 and "number them 0, 1, 2" in done.stderr


@pytest.mark.usefixtures("run_folder")
def test_anybodys_probabilities(tmp_path: Path, market: PredictedBars) -> None:
    """A CSV of open_time and p: from its first bar to its last, under the default settings."""
    known = ~np.isnan(market.p)
    times = pd.to_datetime(market.bars.open_time_ns[known], utc=True)
    pd.DataFrame({"open_time": times, "p": market.p[known]}).to_csv(tmp_path / "scores.csv", index=False)
    bars = f"data.path={tmp_path / 'bars.parquet'}"
    done = rescored(tmp_path, f"predictions={tmp_path / 'scores.csv'}", bars, "tracking=none")
    assert done.code == 0, done.stderr
    stored = json.loads((Path(done.stdout.splitlines()[-1]) / "backtest.json").read_text())
    inside = slice(FIRST + 50, LAST - 50)
    part = PredictedBars(
        bars=market.bars[inside], p=market.p[inside], atr=market.atr[inside], window=market.window[inside]
    )
    assert stored["backtest"] == figures(backtest(), part)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "run=None: predictions come from a run or from a file"),
        (("run=",), "run=: neither a folder nor a run"),
        (("run=nowhere",), "run=nowhere: neither a folder nor a run"),
        (("run={run}", "grid.threshold=[0.4]"), "backtest.threshold=0.4"),
        (("run={run}", "grid.thresold=[0.6]"), "did you mean threshold?"),
        (("predictions=x.csv",), "data.path=: predictions of a file need their bars"),
        (("run={run}", "grid.threshold=0.55"), "write a list: grid.threshold=[0.55]"),
        (("run={run}", "grid.threshold=[]"), "grid.threshold=[]: is empty"),
        (("run={run}", "grid.threshold=[0.55,0.55]"), "repeats a value"),
        (("run={run}", "+grid.atr_span=[7,14]"), "grid.atr_span=[7.0, 14.0]: no such setting in a grid"),
        (("run={run}", "study=a/b"), "study=a/b: names a folder"),
        (("run={run}", "backtest.select=validation", "grid.threshold=[0.6]"), "cannot be a grid at once"),
        (
            ("predictions={run}/predictions.parquet", "data.path={run}/../bars.parquet", "backtest.select=validation"),
            "no validation range",
        ),
        (("run={run}", "backtest.tick=9000", "backtest.round_prices=true"), "more than a tenth"),
        (("run={run}", "backtest.funding=nowhere.csv"), "backtest.funding=nowhere.csv: no such file"),
    ],
)
def test_refusals_name_the_key(run_folder: Path, words: tuple[str, ...], message: str) -> None:
    done = rescored(run_folder.parent, *(word.format(run=run_folder) for word in words))
    assert done.code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda table: table.rename(columns={"p": "prob"}), "no column p"),
        (lambda table: table.assign(p=table.p + 1), "is no probability"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "is there twice"),
        (lambda table: table.assign(open_time=table.open_time + pd.Timedelta("1min")), "predictions have no bar"),
        (lambda table: table.assign(symbol="ETHUSDT"), "there are predictions of ETHUSDT"),
        (lambda table: table.assign(symbol=None), "a symbol is missing"),
        (lambda table: table.assign(window=0.5), "a window is no whole number"),
        (lambda table: table.assign(p="54.1%"), "is no number"),
        (lambda table: table.assign(open_time="yesterday"), "is no time"),
        (lambda table: table.iloc[:0], "holds no rows"),
    ],
)
def test_predictions_that_cannot_be_traded(
    tmp_path: Path, run_folder: Path, market: PredictedBars, changed: Any, problem: str
) -> None:
    changed(pd.read_parquet(run_folder / "predictions.parquet")).to_parquet(tmp_path / "changed.parquet")
    with pytest.raises(UserError, match=problem):
        read_scores(tmp_path / "changed.parquet", (market.bars,))
