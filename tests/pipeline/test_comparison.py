"""Runs side by side: what is joined, what is refused, and when the best is said to be more than luck."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from runs import quiet_libraries
from scipy.stats import ttest_1samp

from botscalp.errors import UserError
from botscalp.pipeline.comparison.ranking import Comparison, compare_runs
from botscalp.pipeline.comparison.written import found_of, lines, write_comparison
from botscalp.pipeline.ledger import Search, Trial, record_sharpes, record_trial
from botscalp.pipeline.luck import Luck
from botscalp.pipeline.stored_run import StoredRun, by_day
from botscalp.statistics.luck import Deflated
from botscalp.times import DAY_NS

LABEL = {"_target_": "botscalp.labels.direction.Direction", "horizon": 3}
BTC = "real BTCUSDT 5m"
AUC_RULE = {
    **{"name": "auc", "result": "undecided", "value": 0.52, "threshold": 0.5},
    **{"words": "ranks up above down", "low": 0.49, "high": 0.53},
}


def run(
    name: str,
    *,
    mean: float = 0.0,
    days: int = 100,
    start: str = "2024-01-01",
    markets: tuple[str, ...] = (BTC,),
    label_seed: int = 0,
    skill: float = 0.0,
    config: dict[str, Any] | None = None,
    verdict: str = "INCONCLUSIVE",
) -> StoredRun:
    """A run whose days earn `mean` standard deviations, and whose p knows `skill` of the label."""
    rng = np.random.default_rng([ord(letter) for letter in name])
    pnl = 10 * (rng.standard_normal(days) + mean)
    hours = pd.date_range(start, periods=days * 24, freq="h", tz="UTC")
    label = np.random.default_rng(label_seed).integers(0, 2, len(hours)).astype(float)
    p = np.clip(0.5 + 0.1 * rng.standard_normal(len(hours)) + skill * (label - 0.5), 0, 1)
    interval = [-1.0, 1.0]
    summary = {
        "title": name,
        "mlflow": {"run_id": f"id-{name}"},
        "data": {"markets": list(markets), "interval": "5m"},
        "metrics": {"auc": 0.52, "log_loss": 0.69, "brier_skill": None},
        "intervals": {
            "test": {"auc": [0.51, 0.53], "log_loss": None, "brier_skill": None},
            "backtest": {"mean_net_bps": interval, "sharpe": interval},
        },
        "backtest": {"trades": 9, "mean_net_bps": 0.5, "sharpe": 0.1, "net_pnl": float(pnl.sum())},
        "baselines": {"buy_and_hold": {"metrics": None, "backtest": {"mean_net_bps": 30.0, "net_pnl": 7.0 * days}}},
        "verdict": {"outcome": verdict, "reasons": ["auc"], "rules": [AUC_RULE]},
        "windows": [{}, {}],
        "device": "cpu",
        "time": {"total_s": 5.0, "fit_s": 3.0},
    }
    return StoredRun(
        folder=Path(name),
        config={"label": LABEL, **(config or {})},
        summary=summary,
        labelled=pd.DataFrame(
            {"p": p, "label": label},
            index=pd.MultiIndex.from_product([["BTCUSDT"], hours], names=["symbol", "open_time"]),
        ),
        daily=pd.DataFrame({"return": pnl / 1e4, "pnl_quote": pnl}, index=pd.date_range(start, periods=days, tz="UTC")),
    )


def compared(*runs: StoredRun, store: Path = Path("nowhere")) -> Comparison:
    return compare_runs(runs, store=store, seed=0, key="study", value="s")


def test_the_best_is_first_and_the_others_are_set_against_it() -> None:
    runs = [run("a"), run("b", mean=0.5), run("c", mean=-0.5)]
    rows = compared(*runs).rows
    assert [row.title for row in rows] == ["b", "a", "c"]
    assert rows[0].daily_pnl_less_best.value is None and rows[0].auc_less_best.value is None
    less = (runs[2].daily["pnl_quote"] - runs[1].daily["pnl_quote"]).to_numpy()
    assert rows[2].daily_pnl_less_best.value == pytest.approx(less.mean())
    assert rows[2].daily_pnl_less_best.interval == pytest.approx(
        tuple(ttest_1samp(less, 0).confidence_interval()), rel=0.1
    )


def test_who_may_be_the_best_counts_that_it_was_picked() -> None:
    """Equal runs may all be the best, though some of their intervals miss 0; one that is clearly worse may not."""
    equal = [run(name) for name in "abcdefghijklmnop"]
    found = compared(*equal, run("bad", mean=-1))
    standing = {row.title: row.standing for row in found.rows}
    assert standing.pop("bad") == "worse" and sorted(standing.values()) == ["best", *["may be as good"] * 15]
    assert any(row.daily_pnl_less_best.interval[1] < 0 for row in found.rows[1:-1])  # type: ignore[index]
    said = next(line for line in lines(found_of(found)) if line.startswith("By net PnL a day"))
    assert (
        said.endswith("#17 bad is worse by more than chance explains.") and "cannot be told from the best, #1" in said
    )


def test_of_two_runs_the_worse_has_an_interval_below_0() -> None:
    for mean in (-0.7, -0.5, -0.4, -0.3, -0.2, -0.1):
        row = compared(run("a"), run("b", mean=mean)).rows[1]
        assert row.daily_pnl_less_best.interval is not None
        assert (row.standing == "worse") == (row.daily_pnl_less_best.interval[1] < 0)


def test_buying_and_holding_is_of_the_common_days_or_not_told() -> None:
    rows = compared(run("a"), run("b", days=110)).rows
    by_title = {row.title: row.baselines["buy_and_hold"]["daily_pnl"] for row in rows}
    assert by_title == {"a": 7.0, "b": None}


def test_auc_is_compared_on_the_rows_that_both_have() -> None:
    """The second run begins ten days later and knows less of the same labels."""
    best, other = run("best", mean=1, skill=0.1), run("other", skill=0.02)
    late = replace(other, labelled=other.labelled.iloc[240:])
    difference = compared(best, late).rows[1].auc_less_best
    assert difference.value is not None and difference.interval is not None
    assert difference.interval[0] < difference.value < difference.interval[1] < 0
    assert difference.value == pytest.approx(sum(difference.interval) / 2, rel=0.02)
    assert compared(best, run("third", label_seed=1)).rows[1].auc_less_best.value is None, "other labels"


def test_only_the_common_days_count() -> None:
    found = compared(run("a"), run("b", start="2024-01-21"))
    assert (found.days, found.first_day, found.last_day) == (80, "2024-01-21", "2024-04-09")
    assert found.luck.undefined is None and found.luck.spa_p is not None and found.luck.pbo is not None


def test_few_common_days_tell_nothing_of_luck() -> None:
    found = compared(run("a"), run("b", start="2024-03-01"))
    luck = found.luck
    assert (luck.pbo, luck.spa_p, luck.deflated, luck.more_than_luck) == (None, None, None, None)
    assert (
        found.conclusion.startswith("Whether the best of 2 runs,")
        and "40 days in common, and it takes 60" in found.conclusion
    )
    assert found.conclusion.endswith("Its own verdict is INCONCLUSIVE.")
    said = list(lines(found_of(found)))
    assert "40 days in common" in said[0] and said[-1] == found.conclusion
    assert {row.standing for row in found.rows} == {"best", "may be as good"}, "40 days tell something of two runs"


def test_an_edge_is_more_than_luck_and_noise_is_not() -> None:
    noise = [run(name) for name in "abcde"]
    found = compared(*noise)
    assert found.luck.more_than_luck is False and "is not more than luck: SPA p 0." in found.conclusion
    found = compared(*noise, run("edge", mean=0.5))
    assert found.rows[0].title == "edge" and found.luck.more_than_luck is True
    assert found.conclusion.startswith("The best of 6 runs, edge, is more than luck")


@pytest.mark.parametrize(
    ("spa_p", "pbo", "deflated", "more"),
    [
        (0.05, 0.2, 0.95, True),
        (0.051, 0.2, 0.95, False),
        (0.05, 0.21, 0.95, False),
        (0.05, 0.2, 0.949, False),
        (0.9, 0.0, None, False),
        (0.01, 0.0, None, None),
    ],
)
def test_all_three_have_to_hold(spa_p: float, pbo: float, deflated: float | None, more: bool | None) -> None:
    probability = None if deflated is None else Deflated(expected_best_sharpe=1.0, probability=deflated)
    luck = Luck(
        search=Search(count=2, sharpe_variance=None),
        spa_p=spa_p,
        pbo=pbo,
        deflated=probability,
        undefined="it is too wild" if deflated is None else None,
    )
    assert luck.more_than_luck is more
    words = {True: "is more than luck", False: "is not more than luck", None: "cannot be told: it is too wild"}[more]
    assert words in luck.sentence("the best")


def test_a_best_that_never_trades_is_no_skill() -> None:
    flat = run("flat")
    flat = replace(flat, daily=flat.daily * 0)
    found = compared(flat, run("loser", mean=-1))
    assert any(line.split()[:3] == ["SPA", "p", "1.000"] for line in lines(found_of(found)))
    assert found.rows[0].title == "flat" and found.luck.spa_p == 1.0 and found.luck.more_than_luck is False


def test_the_search_is_all_that_the_ledger_knows_of_these_days(tmp_path: Path) -> None:
    assert compared(run("a"), run("b"), store=tmp_path).luck.search == Search(count=2, sharpe_variance=None), (
        "no ledger"
    )
    for run_id, market, count in (("grid", BTC, 500), ("other", "real ETHUSDT 5m", 7)):
        trial = Trial(count=count, markets=(market,), test_start="2024-02-01", test_end="2024-03-01")
        record_trial(tmp_path, trial, run_id)
        record_sharpes(tmp_path, [1.0, 3.0], run_id)
    assert compared(run("a"), run("b"), store=tmp_path).luck.search == Search(count=500, sharpe_variance=2.0)


def test_what_differs_is_what_was_chosen() -> None:
    gru = {"model": {"_target_": "botscalp.models.gru.Gru", "hidden": 64}, "seed": 0, "study": "x", "resume": True}
    linear = {"model": {"_target_": "botscalp.models.linear.Linear"}, "seed": 0, "study": "y"}
    rows = compared(
        run("a", config=gru, mean=2), run("b", config={**linear, "seed": 1}, mean=1), run("c", config=linear)
    ).rows
    assert [row.differs for row in rows] == [
        {"model": "Gru", "seed": "0"},
        {"model": "Linear", "seed": "1"},
        {"model": "Linear", "seed": "0"},
    ]


@pytest.mark.parametrize(
    ("runs", "problem", "remedy"),
    [
        ([run("a")], "two finished runs or more, not 1", "runs="),
        ([run("a"), run("a")], "names a run twice", "once"),
        (
            [run("a"), run("b", markets=("real ETHUSDT 5m",)), run("c")],
            "2 on real BTCUSDT 5m; 1 on real ETHUSDT 5m",
            "runs=[id-a,id-c]",
        ),
        (
            [run("a"), run("b", markets=(BTC, "real ETHUSDT 5m"))],
            "1 on real BTCUSDT 5m, real ETHUSDT 5m",
            "study=NAME",
        ),
        ([run("a"), run("b", start="2024-06-01")], "b 2024-06-01 .. 2024-09-08", "overlap"),
    ],
    ids=["one", "twice", "other symbols", "more symbols", "other days"],
)
def test_what_cannot_be_compared(runs: list[StoredRun], problem: str, remedy: str) -> None:
    with pytest.raises(UserError) as error:
        compared(*runs)
    assert (error.value.key, error.value.value) == ("study", "s")
    assert problem in error.value.problem and remedy in error.value.remedy


def test_the_table_has_a_column_a_figure(tmp_path: Path) -> None:
    found = compared(run("a", config={"seed": 0}), run("b", config={"seed": 1}))
    with quiet_libraries():
        write_comparison(tmp_path, found)
        table = pd.read_parquet(tmp_path / "runs.parquet")
    assert list(table["seed"]) == [row.differs["seed"] for row in found.rows]
    assert table["auc_low"].tolist() == [0.51, 0.51] and table["brier_skill"].isna().all()
    assert table["rule auc"].tolist() == ["undecided", "undecided"] and table["standing"].tolist()[0] == "best"
    assert table["buy_and_hold daily_pnl"].tolist() == [7.0, 7.0]
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 2
    stored = json.loads((tmp_path / "compare.json").read_text())
    assert stored["schema"] == 2 and stored["runs"][0]["auc"] == {"value": 0.52, "low": 0.51, "high": 0.53}
    assert stored["runs"][0]["daily_pnl_less_best"] == {"value": None, "low": None, "high": None}
    assert stored["conclusion"] == found.conclusion and stored["more_than_luck"] is found.luck.more_than_luck


def test_a_day_is_what_the_account_did_in_it() -> None:
    """Two closes a day, the second at midnight; the first day starts from the capital."""
    closes_ns = np.arange(1, 9) * (DAY_NS // 2)
    daily = by_day(closes_ns, np.array([1.0, 110, 1, 99, 1, 0, 1, 50]), 100.0)
    assert daily["pnl_quote"].tolist() == [10, -11, -99, 50]
    assert daily["return"].tolist() == pytest.approx([0.1, -0.1, -1, 0]), "lost on the third day"
    assert list(daily.index) == list(pd.date_range("1970-01-01", periods=4, tz="UTC"))
