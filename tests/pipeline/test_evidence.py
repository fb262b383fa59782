"""The blocks beside the headline: baselines, periods, regimes and costs, from arrays made by hand and from a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runs import Run, composed, walk

from botscalp.errors import UserError
from botscalp.pipeline.baselines import previous_sign
from botscalp.pipeline.evidence.estimates import Estimate, Estimator, TradeRows
from botscalp.pipeline.evidence.periods import compared
from botscalp.pipeline.panel import build_panel
from botscalp.pipeline.predictions import ModelPredictions, Predictions
from botscalp.statistics import figures
from botscalp.statistics.bootstrap import Resampling
from botscalp.types import Float64, Int64

BAR_NS = 300 * 10**9


def predictions(p: Float64, label: Float64, first: int = 0) -> Predictions:
    n = len(p)
    return Predictions(
        row=np.arange(n),
        open_time_ns=(first + np.arange(n)) * BAR_NS,
        symbol=np.zeros(n, np.int64),
        window=np.zeros(n, np.int64),
        p_raw=p,
        p=p,
        label=label,
        base_rate=np.full(n, 0.5),
    )


def trades(net_bps: Float64, first: int = 0) -> TradeRows:
    entry_ns: Int64 = (first + np.arange(len(net_bps))) * BAR_NS
    return TradeRows(entry_ns=entry_ns, net_bps=net_bps, gross_bps=net_bps + 10)


def estimator(bars: int) -> Estimator:
    draws = Resampling.of([], start_ns=0, end_ns=bars * BAR_NS, cell_ns=BAR_NS, span_ns=BAR_NS, seed=0)
    return Estimator(bars=draws, days=draws)


def skilled(rng: np.random.Generator, n: int, skill: float) -> tuple[Float64, Float64]:
    p = np.clip(0.5 + skill * rng.normal(size=n), 0.01, 0.99)
    return p, (rng.random(n) < p).astype(float)


@pytest.mark.parametrize(("train_skill", "overfitted"), [(0.2, True), (0.04, False)])
def test_overfitting_is_said_of_a_loss_beyond_luck_and_of_no_other(train_skill: float, overfitted: bool) -> None:
    rng = np.random.default_rng(1)
    parts = {
        name: predictions(*skilled(rng, 3_000, skill), first=3_000 * position)
        for position, (name, skill) in enumerate({"train": train_skill, "validation": 0.04, "test": 0.04}.items())
    }
    flat = {name: [trades(rng.normal(size=200))] for name in parts}
    periods = compared(parts, flat, estimator(9_000))
    loss = periods.losses["train_to_test"]["auc"]
    assert periods.overfitted == (["auc"] if overfitted else [])
    assert loss.value == pytest.approx(
        (periods.by_name["train"].estimates["auc"].value or 0) - (periods.by_name["test"].estimates["auc"].value or 0)
    )


def test_the_old_rule_is_shown_with_what_it_can_know() -> None:
    rng = np.random.default_rng(2)
    parts = {name: predictions(*skilled(rng, 500, 0.05)) for name in ("train", "validation", "test")}
    wins = np.where(np.arange(307) < 150, 5.0, -5.0)
    periods = compared(parts, {name: [trades(wins[:200]), trades(wins[200:], 200)] for name in parts}, estimator(600))
    rule = periods.old_rule
    assert rule.win_rate == pytest.approx(150 / 307) and rule.says_overfitting
    assert rule.power < 0.2 and rule.trades_needed == 3_863
    assert periods.by_name["test"].trades == 307


def test_the_previous_sign_counts_what_followed_such_bars_in_training() -> None:
    experiment = composed()
    panel = build_panel(experiment.data.load(), features=experiment.features, label=experiment.label, seed=0)
    purge_ns = experiment.label.span_bars * panel.interval_ns
    windows = experiment.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=purge_ns)
    rows = [panel.predictable_rows(window.test) for window in windows]
    model = Predictions(
        row=np.concatenate(rows),
        open_time_ns=panel.open_time_ns[np.concatenate(rows)],
        symbol=np.zeros(sum(map(len, rows)), np.int64),
        window=np.repeat(np.arange(len(rows)), [len(one) for one in rows]),
        **dict.fromkeys(("p_raw", "p", "label", "base_rate"), np.zeros(sum(map(len, rows)))),
    )
    found = previous_sign(panel, windows, ModelPredictions(train=model, validation=model, test=model)).test
    close, label = pd.Series(panel.bars[0].close), pd.Series(panel.label_N.astype(float))
    rose = close.diff() > 0
    for number, window in enumerate(windows):
        training = panel.labelled_rows(window.train)
        rate = label[training].groupby(rose[training]).mean()
        here = found.window == number
        expected = rose[found.row[here]].map(rate).to_numpy()
        assert found.p[here] == pytest.approx(expected, abs=1e-12)
    assert len(np.unique(found.p)) <= 2 * len(windows) and (found.p == found.p_raw).all()


def test_trades_are_rows_at_their_entry(tmp_path: Path) -> None:
    run = walk(tmp_path / "run")
    table = run.table("trades")
    bps = table.pnl_quote / (table.size_base * table.entry_price) * 1e4
    assert run.summary["backtest"]["mean_net_bps"] == pytest.approx(bps.mean())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Long enough for intervals of days."""
    words = ("data.end=2023-05-01", "wfo.windows=8", "wfo.train=3w", "backtest.threshold=0.51")
    return walk(tmp_path_factory.mktemp("evidence") / "run", *words)


def test_regimes_part_the_rows_and_the_trades(run: Run) -> None:
    regimes = pd.DataFrame(run.summary["regimes"])
    labelled, table = run.predictions.dropna(subset="label"), run.table("trades")
    for kind, count in {"volatility": 3, "hour": 24, "weekday": 7}.items():
        mine = regimes[regimes.kind == kind]
        assert len(mine) == count
        assert mine.rows.sum() == len(labelled) and mine.trades.sum() == len(table)
    hours = regimes[regimes.kind == "hour"].set_index("name")
    at_nine = table[table.signal_time.dt.hour == 9]
    assert hours.loc["09"].trades == len(at_nine)
    bps = at_nine.pnl_quote / (at_nine.size_base * at_nine.entry_price) * 1e4
    assert hours.loc["09"].mean_net_bps["value"] == pytest.approx(bps.mean())
    days = regimes[regimes.kind == "weekday"].set_index("name")
    assert days.loc["Sat"].rows == (labelled.open_time.dt.day_of_week == 5).sum()
    months = regimes[regimes.kind == "month"].set_index("name")
    assert months.loc["2023-04"].rows == (labelled.open_time.dt.month == 4).sum()
    terciles = regimes[regimes.kind == "volatility"].set_index("name")
    assert list(terciles.index) == ["low", "middle", "high"]
    assert terciles.rows.max() < 1.1 * terciles.rows.min()


def test_windows_have_intervals_about_their_figures_that_are_wider_than_the_whole_s(run: Run) -> None:
    """A week of bars is enough to tell an AUC, eight of them tell more."""
    whole, windows = run.summary["intervals"], run.summary["windows"]
    assert sum(window["trades"] for window in windows) == run.summary["backtest"]["trades"]
    for window in windows:
        for name, group in {"auc": "test", "brier_skill": "test", "mean_net_bps": "backtest"}.items():
            low, high = window["intervals"][name]
            value = window["mean_net_bps"] if name == "mean_net_bps" else window["metrics"][name]
            assert low < value < high
            assert high - low > whole[group][name][1] - whole[group][name][0]
    rule = next(rule for rule in run.summary["verdict"]["rules"] if rule["name"] == "auc_too_high")
    lows = [window["intervals"]["auc"][0] for window in windows]
    assert rule["low"] == max(whole["test"]["auc"][0], *lows), "the sentinel looks at each"


def test_a_window_without_trades_has_no_mean(tmp_path: Path) -> None:
    (window, _) = walk(tmp_path / "run", "backtest.threshold=0.99").summary["windows"]
    assert (window["trades"], window["mean_net_bps"], window["intervals"]["mean_net_bps"]) == (0, None, None)


def test_costs_stand_in_their_order_and_the_run_s_own_are_among_them(run: Run) -> None:
    costs = {level["name"]: level for level in run.summary["costs"]}
    multiples = [costs[f"costs_x{multiple}"]["net_pnl"] for multiple in ("0", "0.5", "1", "2", "3")]
    assert multiples == sorted(multiples, reverse=True)
    own, backtest = costs["costs_x1"], run.summary["backtest"]
    assert (own["net_pnl"], own["trades"]) == (backtest["net_pnl"], backtest["trades"])
    low, high = run.summary["intervals"]["backtest"]["mean_net_bps"]
    assert own["mean_net_bps"] == pytest.approx({"value": backtest["mean_net_bps"], "low": low, "high": high})
    assert own["outcome"] == run.summary["verdict"]["outcome"]
    rules = {rule["name"]: rule for rule in run.summary["verdict"]["rules"]}
    assert rules["mean_net_bps_at_double_costs"]["value"] == costs["costs_x2"]["mean_net_bps"]["value"]


def test_gains_are_differences_to_the_baselines(run: Run) -> None:
    summary = run.summary
    days = summary["backtest"]["days"]
    for baseline in summary["baselines"].values():
        other = baseline["backtest"]["net_pnl"] if baseline["backtest"] else 0.0
        expected = (summary["backtest"]["net_pnl"] - other) / days
        assert baseline["gains"]["pnl"]["value"] == pytest.approx(expected)
        if baseline["metrics"]:
            gain = baseline["gains"]["log_loss"]["value"]
            assert gain == pytest.approx(baseline["metrics"]["log_loss"] - summary["metrics"]["log_loss"])
    assert set(summary["baselines"]) == {"flat", "buy_and_hold", "previous_sign", "linear"}


def test_periods_are_those_of_the_ranges(run: Run) -> None:
    periods: dict[str, Any] = run.summary["periods"]
    assert periods["test"]["rows"] == run.summary["metrics"]["n"]
    assert periods["test"]["trades"] == run.summary["backtest"]["trades"]
    assert periods["test"]["auc"]["value"] == pytest.approx(run.summary["metrics_raw"]["auc"], abs=1e-6)
    validation = run.table("validation").dropna(subset="label")
    assert periods["validation"]["rows"] == len(validation)
    assert periods["train"]["rows"] == pytest.approx(periods["test"]["rows"], rel=0.02)


def test_calibration_speaks_of_the_test_rows(run: Run) -> None:
    calibration = run.summary["calibration"]
    assert sum(one["rows"] for one in calibration["reliability"]) == run.summary["metrics"]["n"]
    parts = calibration["brier_parts"]
    score = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert score == pytest.approx(run.summary["metrics"]["brier"], abs=1e-9)
    low, high = calibration["ece_null_band"]
    assert 0 < low < high


def test_an_estimate_without_figure_is_undefined() -> None:
    assert estimator(100).of(None) == Estimate(None, None)
    few = figures.mean(np.ones(3), np.arange(3) * BAR_NS)
    assert estimator(100).of(few) == Estimate(1.0, None), "three rows fill no twenty blocks"


def test_a_period_without_trades_has_none() -> None:
    rng = np.random.default_rng(3)
    parts = {name: predictions(*skilled(rng, 500, 0.05)) for name in ("train", "validation", "test")}
    periods = compared(parts, {"train": [], "validation": [], "test": [trades(np.ones(30))]}, estimator(600))
    assert periods.by_name["train"].trades == 0 and periods.by_name["train"].estimates["win_rate"].value is None
    assert periods.losses["train_to_test"]["mean_net_bps"] == Estimate(None, None)


def test_tests_with_time_between_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"wfo.step.*days without trades"):
        walk(tmp_path / "run", "wfo.step=2w", "data.end=2023-03-20")


def test_months_of_daily_bars_are_those_of_their_opens(tmp_path: Path) -> None:
    words = ("data.interval=1d", "data.start=2020-01-01", "data.end=2023-01-01", "wfo=monthly", "wfo.train=12mo")
    few = ("wfo.validation=6mo", "wfo.windows=3", "features=ohlcv", "label.horizon=1", "calibration=none")
    regimes = walk(tmp_path / "run", *words, *few).summary["regimes"]
    months = {regime["name"]: regime["rows"] for regime in regimes if regime["kind"] == "month"}
    assert list(months) == ["2022-10", "2022-11", "2022-12"] and months["2022-10"] == 31
