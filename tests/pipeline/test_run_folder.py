"""The files of a run: exactly those, by their schemas, and each in agreement with the others."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from omegaconf import OmegaConf
from pyarrow import parquet
from runs import TINY, Run, bits, composed, made, walk
from sklearn import metrics as sk

from botscalp.config import GROUPS, experiment_of

UTC_MS = pa.timestamp("ms", tz="UTC")
COLUMNS = {
    "predictions": {
        "open_time": UTC_MS,
        "symbol": pa.string(),
        "window": pa.int64(),
        "p_raw": pa.float64(),
        "p": pa.float64(),
        "label": pa.float64(),
    },
    "trades": {
        "symbol": pa.string(),
        "window": pa.int64(),
        "side": pa.int64(),
        "signal_time": UTC_MS,
        "entry_time": UTC_MS,
        "exit_time": UTC_MS,
        "entry_price": pa.float64(),
        "exit_price": pa.float64(),
        "size_base": pa.float64(),
        "reason": pa.string(),
        "gross_quote": pa.float64(),
        "slippage_quote": pa.float64(),
        "fees_quote": pa.float64(),
        "funding_quote": pa.float64(),
        "pnl_quote": pa.float64(),
    },
    "equity": {"close_time": UTC_MS, "equity_quote": pa.float64()},
}
BAR = pd.Timedelta(minutes=5)


def test_exactly_the_promised_files(finished: Run) -> None:
    files = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    models = {f"models/{window}/{name}" for window in (0, 1) for name in ("weights.safetensors", "model.json")}
    tables = {"predictions.parquet", "validation.parquet", "trades.parquet", "equity.parquet"}
    pictures = {file for file in files if file.startswith("figures/")}
    assert (
        files - pictures == {"config.yaml", "log.txt", "verdict.csv", "summary.json", "report.html"} | tables | models
    )
    assert {"figures/equity.png", "figures/windows.png", "figures/threshold-costs.png"} < pictures
    assert all(file.endswith(".png") for file in pictures)


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_the_public_columns_and_types(finished: Run, name: str) -> None:
    schema = parquet.read_schema(finished.folder / f"{name}.parquet")
    assert dict(zip(schema.names, schema.types, strict=True)) == COLUMNS[name]
    assert schema.names == list(COLUMNS[name]), "in this order"


def test_stdout_ends_with_the_run_folder_and_log_txt_holds_the_lines_before_it(
    finished: Run, stdout: list[str], workplace: Path
) -> None:
    assert finished.folder.is_absolute() and finished.folder.is_relative_to(workplace / "mlruns" / "runs" / "botscalp")
    log = (finished.folder / "log.txt").read_text()
    for line in stdout[:-1]:
        assert line in log
    outcome = finished.summary["verdict"]["outcome"]
    assert sum(line.startswith("VERDICT") and outcome in line for line in stdout) == 1
    assert sum(line.startswith("window ") for line in stdout) == 2
    assert "\x1b" not in "".join(stdout), "no colours and no progress bar where nobody watches"


def test_every_predictable_test_bar_has_one_prediction(finished: Run) -> None:
    # The simulated bars have no gap and warm up long before the first test: every bar of the tests is predictable.
    expected = []
    for window in finished.summary["windows"]:
        start, end = map(pd.Timestamp, window["test"])
        expected.append(pd.date_range(start, end, freq=BAR, inclusive="left"))
        rows = finished.predictions[finished.predictions["window"] == window["window"]]
        assert (rows["open_time"] == expected[-1]).all()
    assert len(finished.predictions) == sum(map(len, expected)) == 2 * 7 * 288
    assert finished.predictions["p"].between(0, 1).all() and finished.predictions["p_raw"].between(0, 1).all()
    # The last three bars lack the closes that their labels need: predicted, not labelled.
    unlabelled = finished.predictions["label"].isna()
    assert unlabelled.sum() == 3 and unlabelled[-3:].all()
    assert set(finished.predictions["label"].dropna()) == {0.0, 1.0}


def test_every_gap_between_ranges_is_the_purge_or_more(finished: Run) -> None:
    purge = 3 * BAR
    last_end = pd.Timestamp(0, tz="UTC")
    for window in finished.summary["windows"]:
        ranges = [tuple(map(pd.Timestamp, window[name])) for name in ("train", "validation", "test")]
        for (_, end), (start, _) in pairwise(ranges):
            assert start - end >= purge
        assert all(start < end for start, end in ranges)
        assert ranges[2][0] >= last_end
        last_end = ranges[2][1]
    assert last_end <= pd.Timestamp(finished.summary["data"]["end"])


@pytest.mark.parametrize(("key", "column"), [("metrics", "p"), ("metrics_raw", "p_raw")])
def test_metrics_follow_from_the_predictions(finished: Run, key: str, column: str) -> None:
    rows = finished.predictions.dropna(subset="label")
    check_metrics(finished.summary[key], rows["label"].to_numpy(), rows[column].to_numpy())


def test_window_metrics_follow_from_their_predictions(finished: Run) -> None:
    for window in finished.summary["windows"]:
        rows = finished.predictions[finished.predictions["window"] == window["window"]].dropna(subset="label")
        check_metrics(window["metrics"], rows["label"].to_numpy(), rows["p"].to_numpy())
        assert window["n_test"] == len(rows)


def test_window_trades_are_those_entered_in_its_test(finished: Run) -> None:
    trades = finished.table("trades")
    bps = 1e4 * trades["pnl_quote"] / (trades["size_base"] * trades["entry_price"])
    for window in finished.summary["windows"]:
        start, end = map(pd.Timestamp, window["test"])
        mine = bps[(trades["entry_time"] >= start) & (trades["entry_time"] < end)]
        assert window["trades"] == len(mine) > 0
        assert window["mean_net_bps"] == pytest.approx(mine.mean())


def check_metrics(ours: dict[str, float], label: np.ndarray, p: np.ndarray) -> None:
    """scikit-learn's figures; ECE by a loop over bins. torchmetrics sums in float32, hence 1e-6."""
    assert ours["n"] == len(label)
    assert ours["auc"] == pytest.approx(sk.roc_auc_score(label, p), abs=1e-6)
    assert ours["pr_auc"] == pytest.approx(sk.average_precision_score(label, p), abs=1e-6)
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(label, p > 0.5), abs=1e-12)
    assert ours["brier"] == pytest.approx(sk.brier_score_loss(label, p), abs=1e-12)
    assert ours["log_loss"] == pytest.approx(sk.log_loss(label, p), abs=1e-9)
    ece = 0.0
    for low in range(15):
        inside = (p >= low / 15) & (p < (low + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(label[inside].mean() - p[inside].mean())
    assert ours["ece"] == pytest.approx(ece, abs=1e-12)


def test_brier_skill_is_against_the_share_of_ups_in_training(finished: Run) -> None:
    (bars,) = composed().data.load()
    time = pd.to_datetime(bars.open_time_ns, utc=True)
    up = pd.Series(np.append(bars.close[3:] > bars.close[:-3], [np.nan] * 3), index=time)
    rows = finished.predictions.dropna(subset="label")
    base_rate = np.empty(len(rows))
    for window in finished.summary["windows"]:
        start, end = map(pd.Timestamp, window["train"])
        train = up[(time >= start) & (time < end)]
        assert len(train) == window["n_train"]
        base_rate[rows["window"] == window["window"]] = train.mean()
    brier = np.mean((rows["p"] - rows["label"]) ** 2)
    expected = 1 - brier / np.mean((base_rate - rows["label"]) ** 2)
    assert finished.summary["metrics"]["brier_skill"] == pytest.approx(expected, rel=1e-6)


def test_the_histogram_counts_every_prediction(finished: Run) -> None:
    edges, counts = finished.summary["histogram"].values()
    assert len(edges) == len(counts) + 1 and edges == sorted(edges)
    assert sum(counts) == len(finished.predictions)
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        assert count == ((finished.predictions["p"] >= low) & (finished.predictions["p"] < high)).sum()


def test_the_backtest_block_follows_from_the_trades(finished: Run) -> None:
    trades, block = finished.table("trades"), finished.summary["backtest"]
    reasons = trades["reason"].value_counts()
    for name in ("target", "stop", "timeout", "end"):
        assert block[f"{name}s"] == reasons.get(name, 0)
    assert min(reasons["target"], reasons["stop"], reasons["timeout"]) > 0, "the tiny run has trades of these kinds"
    assert block["trades"] == len(trades) == reasons.sum()
    costs = trades["slippage_quote"] + trades["fees_quote"] + trades["funding_quote"]
    assert np.allclose(trades["pnl_quote"], trades["gross_quote"] - costs, rtol=0, atol=1e-9)
    for name, column in {"gross": "gross_quote", "net": "pnl_quote"}.items():
        assert block[f"{name}_pnl"] == pytest.approx(trades[column].sum(), abs=1e-6)
    for name in ("fees", "slippage", "funding"):
        assert block[name] == pytest.approx(trades[f"{name}_quote"].sum(), abs=1e-6)
    notional = trades["size_base"] * trades["entry_price"]
    assert block["mean_net_bps"] == pytest.approx(1e4 * (trades["pnl_quote"] / notional).mean(), rel=1e-9)
    assert block["mean_gross_bps"] == pytest.approx(1e4 * (trades["gross_quote"] / notional).mean(), rel=1e-9)
    assert block["win_rate"] == pytest.approx((trades["pnl_quote"] > 0).mean())
    assert block["roi"] == pytest.approx(block["net_pnl"] / 10_000)


def test_equity_ends_at_capital_plus_net_and_falls_as_deep_as_said(finished: Run) -> None:
    equity, block = finished.table("equity"), finished.summary["backtest"]
    values = equity["equity_quote"].to_numpy()
    assert values[-1] == pytest.approx(10_000 + block["net_pnl"], abs=1e-6)
    peak = np.maximum.accumulate(np.append(10_000, values))[1:]
    assert block["max_drawdown"] == pytest.approx((values / peak - 1).min())
    assert block["max_drawdown_quote"] == pytest.approx((values - peak).min())
    first, last = finished.predictions["open_time"].iloc[[0, -1]]
    assert (equity["close_time"] == pd.date_range(first + BAR, last + BAR, freq=BAR)).all()


def test_the_anatomy_follows_from_the_tables_and_is_said(finished: Run) -> None:
    trades, equity, block = finished.table("trades"), finished.table("equity"), finished.summary["anatomy"]
    won = trades["pnl_quote"].to_numpy() > 0
    wins, losses = trades["pnl_quote"][won], -trades["pnl_quote"][~won]
    assert block["trades"]["profit_factor"] == pytest.approx(wins.sum() / losses.sum())
    assert block["trades"]["expectancy_quote"] == pytest.approx(trades["pnl_quote"].mean())
    streaks = [len(run) for run in "".join(np.where(won, "w", " ")).split()]
    assert block["trades"]["longest_win_streak"] == max(streaks)
    timeout = trades["reason"] == "timeout"
    held = (trades["exit_time"] - trades["entry_time"]) / BAR + ~timeout
    assert block["trades"]["mean_bars_held"] == pytest.approx(held.mean())
    assert block["exposure"] == pytest.approx(held.sum() / len(equity)), "one symbol without gaps"
    assert block["days"]["worst"] is None, "two weeks"
    values = np.append(10_000, equity["equity_quote"])
    times = [equity["close_time"][0] - BAR, *equity["close_time"]]
    trough = int(np.argmin(values / np.maximum.accumulate(values)))
    peak = times[np.flatnonzero(values == values[:trough].max())[-1]]
    assert block["drawdown"]["start"] == f"{peak:%Y-%m-%dT%H:%M:%SZ}"
    assert block["drawdown"]["trough"] == f"{times[trough]:%Y-%m-%dT%H:%M:%SZ}"
    said = (finished.folder / "log.txt").read_text()
    for name, value in (
        ("(profit factor)", f"{block['trades']['profit_factor']:.2f}"),
        ("when", f"{peak:%Y-%m-%d} .. "),
    ):
        assert len(re.findall(rf"{re.escape(name)} +{re.escape(value)}", said)) == 1


def test_every_trade_follows_a_prediction(finished: Run) -> None:
    trades = finished.table("trades")
    signal = trades.merge(
        finished.predictions, left_on=["symbol", "signal_time"], right_on=["symbol", "open_time"], how="left"
    )
    tests = pd.DataFrame([[*map(pd.Timestamp, window["test"])] for window in finished.summary["windows"]])
    starts, ends = (tests[side].iloc[trades["window"]].reset_index(drop=True) for side in (0, 1))
    assert ((trades["entry_time"] >= starts) & (trades["entry_time"] < ends)).all(), "the window of the entry"
    assert (np.where(trades["side"] == 1, signal["p"], 1 - signal["p"]) > 0.52).all()
    assert set(trades["side"]) == {1, -1}
    assert (trades["entry_time"] - trades["signal_time"] == BAR).all()
    assert (trades["exit_time"] >= trades["entry_time"]).all()
    assert (trades["signal_time"].to_numpy()[1:] >= trades["exit_time"].to_numpy()[:-1]).all(), "one position at a time"


def test_rules_weigh_the_figures_of_the_tables(finished: Run) -> None:
    trades, rules = finished.table("trades"), {rule["name"]: rule for rule in finished.summary["verdict"]["rules"]}
    bps = 1e4 / (trades["size_base"] * trades["entry_price"])
    assert rules["mean_net_bps"]["value"] == pytest.approx((trades["pnl_quote"] * bps).mean())
    rows = finished.predictions.dropna(subset="label")
    right = (rows["p"] > 0.5) == (rows["label"] == 1)
    saturated = (rows["p"] < 0.01) | (rows["p"] > 0.99)
    assert rules["probabilities_saturated"]["value"] == pytest.approx((saturated & right).mean())
    assert rules["accuracy_too_high"]["value"] == pytest.approx(right.mean())
    share_up = rows["label"].mean()
    assert rules["accuracy_too_high"]["threshold"] == pytest.approx(0.6 + max(share_up, 1 - share_up) - 0.5)
    aucs = [one["metrics"]["auc"] for one in (finished.summary, *finished.summary["windows"])]
    assert min(abs(auc - rules["auc_too_high"]["value"]) for auc in aucs) < 1e-6, "that of all windows or of the surest"
    assert rules["beats_linear"]["value"] == pytest.approx(
        finished.summary["metrics"]["auc"] - finished.summary["baselines"]["linear"]["metrics"]["auc"], abs=1e-6
    )


def test_sizes_scale_the_default_contracts(finished: Run) -> None:
    rows = finished.summary["sizes"]
    assert [row["contract"] for row in rows] == [0.001, 0.01, 0.05]
    assert all(row["trades"] == finished.summary["backtest"]["trades"] for row in rows)
    assert rows[1]["net_pnl"] == pytest.approx(10 * rows[0]["net_pnl"])
    assert rows[2]["fees"] == pytest.approx(50 * rows[0]["fees"])


def test_provenance_and_times(finished: Run) -> None:
    data, time = finished.summary["data"], finished.summary["time"]
    assert (data["source"], data["symbols"], data["interval"]) == ("simulated", ["BTCUSDT"], "5m")
    assert (data["start"], data["end"], data["rows"]) == ("2023-01-01T00:00:00Z", "2023-02-20T00:00:00Z", 50 * 288)
    assert (data["gaps"], data["missing_bars"]) == (0, 0)
    stages = sum(
        seconds for name, seconds in time.items() if name not in ("total_s", "samples_per_s", "steps_s", "overhead")
    )
    assert 0 < stages <= time["total_s"]
    assert time["startup_s"] > 0.5, "a process that imports torch"
    windows = finished.summary["windows"]
    assert time["fit_s"] == pytest.approx(sum(window["fit_s"] for window in windows))
    samples = sum(window["n_train"] * window["epochs"] for window in windows)
    assert time["samples_per_s"] == pytest.approx(samples / time["fit_s"])
    assert 0 < time["steps_s"] < time["total_s"], "of the model and of the baseline"
    assert time["overhead"] == pytest.approx(1 - time["steps_s"] / time["total_s"])


def test_what_was_typed_and_what_runs_are_compared_by(finished: Run) -> None:
    typed = finished.summary["overrides"]
    assert typed == dict(word.split("=", 1) for word in TINY)
    settings = finished.summary["settings"]
    assert settings["model.name"] == "gru" and settings["model.hidden"] == "4" and settings["label.horizon"] == "3"
    assert settings["wfo.name"] == "weekly" and settings["wfo.train"] == "2w"


def test_missing_bars_are_counted(tmp_path: Path, make_bars_file: Callable[..., Path]) -> None:
    def gaps(table: pd.DataFrame) -> pd.DataFrame:
        return table.drop(index=[100, 5_000, 5_001, 5_002, 9_000])

    path = make_bars_file("bars-{symbol}.parquet", symbols=("AAA", "BBB"), change=gaps)
    words = ("data=file", f"data.path='{path}'", "data.symbols=[AAA,BBB]", "model=linear", "wfo.windows=1")
    data = walk(tmp_path / "run", *words).summary["data"]
    assert (data["gaps"], data["missing_bars"]) == (6, 10)
    assert data["rows"] == 2 * (50 * 288 - 5)


def test_config_yaml_alone_describes_the_run(
    finished: Run, workplace: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What config.yaml composes finds the run's own windows, by their hash, and predicts the same bits."""
    monkeypatch.chdir(workplace)
    cfg = OmegaConf.load(finished.folder / "config.yaml")
    cfg.resume, cfg.report, cfg.tracking = True, False, {"_target_": "botscalp.pipeline.tracking.NoTracking"}
    names = dict.fromkeys(GROUPS, "") | {"model": "gru"}
    with caplog.at_level("INFO", "botscalp"):
        again = made(tmp_path / "again", experiment_of(cfg, names=names, overrides={}))
    assert caplog.text.count("fit found in") == 4
    assert bits(again.predictions[["p_raw", "p"]]) == bits(finished.predictions[["p_raw", "p"]])


def test_config_yaml_holds_every_key_and_nothing_to_resolve(finished: Run) -> None:
    text = (finished.folder / "config.yaml").read_text()
    assert "${" not in text and "???" not in text
    assert set(OmegaConf.load(finished.folder / "config.yaml")) >= {*GROUPS, "study", "seed", "store", "fail_on"}


def test_the_rules_stand_in_one_table_everywhere(finished: Run) -> None:
    table = pd.read_csv(finished.folder / "verdict.csv")
    rules = finished.summary["verdict"]["rules"]
    assert table["name"].tolist() == [rule["name"] for rule in rules] and len(rules) >= 19
    assert table["result"].tolist() == [rule["result"] for rule in rules]
    assert table["words"].tolist() == [rule["words"] for rule in rules]
    said = (finished.folder / "log.txt").read_text()
    assert all(rule["name"] in said for rule in rules)
