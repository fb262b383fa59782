"""The verdict: each rule by its interval, each sentinel on planted evidence, and the precedence of outcomes.

Long, for every rule and every sentinel has its case at the line, above and below.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import composed_plainly, walk

from botscalp.backtest.anatomy import Anatomy, DayFigures, Drawdown, TradeFigures
from botscalp.backtest.performance import Summary
from botscalp.errors import UserError
from botscalp.pipeline.evidence.calibration import Calibrated
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.evidence.periods import OldRule, Periods
from botscalp.pipeline.evidence.trading import AtCosts
from botscalp.pipeline.evidence.weigh import Evidence
from botscalp.pipeline.evidence.windows import WindowEvidence
from botscalp.pipeline.ledger import Search
from botscalp.pipeline.rules import Override, Rule, above, beyond, decide, verdict_tags
from botscalp.pipeline.verdict import LIGHT, NAMES, RULES, SENTINELS, Thresholds, judge
from botscalp.statistics.luck import Deflated

THRESHOLDS: Thresholds = composed_plainly().verdict

HONEST_METRICS = {
    "accuracy": 0.53,
    "auc": 0.54,
    "pr_auc": 0.55,
    "brier": 0.248,
    "brier_skill": 0.006,
    "log_loss": 0.689,
    "ece": 0.004,
    "n": 20_000,
}
HONEST_BACKTEST = Summary(
    trades=1200,
    win_rate=0.51,
    break_even=0.48,
    targets=500,
    stops=550,
    timeouts=150,
    ends=0,
    gross_pnl=1800.0,
    net_pnl=300.0,
    fees=1200.0,
    slippage=300.0,
    funding=0.0,
    mean_net_bps=2.5,
    mean_gross_bps=15.0,
    roi=0.03,
    max_drawdown=-0.02,
    max_drawdown_quote=-200.0,
    sharpe=2.0,
    sharpe_undefined=None,
    days=360,
)
HONEST_ANATOMY = Anatomy(  # no rule weighs it
    drawdown=Drawdown(),
    trades=TradeFigures(**dict.fromkeys(TradeFigures.__dataclass_fields__)),
    days=DayFigures(),
    exposure=0.5,
    turnover_per_day=2.0,
)
HONEST_CALIBRATION = Calibrated(
    ece_apart=0.004,
    ece_null_band=(0.002, 0.009),
    squared_error=Estimate(1e-5, (0.0, 1e-4)),
    brier_parts=None,
    reliability=[],
    reliability_raw=[],
)
HONEST_PERIODS = Periods(  # no rule weighs them
    by_name={}, losses={}, old_rule=OldRule(line=0.52, win_rate=0.51, says_overfitting=True, power=0.4, trades_needed=1)
)


def windows(*aucs: Estimate) -> list[WindowEvidence]:
    """Of these AUCs; no rule weighs what else there is of a window."""
    none = Estimate(None, None)
    return [WindowEvidence(metrics={}, auc=auc, brier_skill=none, trades=0, mean_net_bps=none) for auc in aucs]


# Every rule passes and no sentinel fires.
HONEST = Evidence(
    metrics=HONEST_METRICS,
    metrics_raw=HONEST_METRICS,
    symbols=[],
    windows=windows(Estimate(0.52, (0.50, 0.54)), Estimate(0.56, (0.53, 0.59))),
    estimates={
        "test/auc": Estimate(0.54, (0.53, 0.55)),
        "test/accuracy": Estimate(0.53, (0.52, 0.54)),
        "test/brier_skill": Estimate(0.006, (0.004, 0.008)),
        "val/auc": Estimate(0.545, (0.535, 0.555)),
        "val/auc_decay": Estimate(-0.005, (-0.015, 0.005)),
        "backtest/mean_net_bps": Estimate(2.5, (1.0, 4.0)),
        "backtest/mean_gross_bps": Estimate(15.0, (13.0, 17.0)),
        "costs_x2/mean_net_bps": Estimate(1.5, (0.2, 2.8)),
        "backtest/win_rate": Estimate(0.51, (0.49, 0.53)),
        "backtest/sharpe": Estimate(2.0, (0.4, 3.6)),
        "backtest/last_bars_excess_bps": Estimate(5.0, (-25.0, 35.0)),
        "auc_gain/linear": Estimate(0.01, (0.004, 0.016)),
        "auc_gain/previous_sign": Estimate(0.03, (0.024, 0.036)),
        "pnl_gain/flat": Estimate(0.8, (0.2, 1.4)),
        "pnl_gain/linear": Estimate(0.9, (0.3, 1.5)),
    },
    backtest=HONEST_BACKTEST,
    anatomy=HONEST_ANATOMY,
    costs=[],
    best_baseline="flat",
    baseline_metrics={"linear": HONEST_METRICS, "previous_sign": HONEST_METRICS},
    baseline_backtests={"linear": HONEST_BACKTEST, "buy_and_hold": HONEST_BACKTEST},
    share_up=0.5,
    calibration=HONEST_CALIBRATION,
    periods=HONEST_PERIODS,
    regimes=[],
    histogram=([0.0, 1.0], [20_000]),
    auc_attainable=None,
    search=Search(count=1, sharpe_variance=None),
    deflated=Deflated(expected_best_sharpe=0.0, probability=0.98),
    saturated_and_right=0.0,
)

RULE_OF = {
    "test/auc": "auc",
    "test/brier_skill": "brier_skill",
    "val/auc_decay": "decay",
    "backtest/mean_net_bps": "mean_net_bps",
    "costs_x2/mean_net_bps": "mean_net_bps_at_double_costs",
    "backtest/sharpe": "sharpe",
    "auc_gain/linear": "beats_linear",
    "auc_gain/previous_sign": "beats_previous_sign",
    "pnl_gain/flat": "beats_best_baseline",
}
LINE_OF = {"test/auc": 0.5, "val/auc_decay": -0.02}


def changed(**parts: Any) -> Evidence:
    return replace(HONEST, **parts)


def estimated(name: str, value: float | None, interval: tuple[float, float] | None) -> Evidence:
    return changed(estimates={**HONEST.estimates, name: Estimate(value, interval)})


def rules_of(evidence: Evidence, *, real: bool = True, tracked: bool = True) -> dict[str, Rule]:
    verdict = judge(evidence, THRESHOLDS, real=real, tracked=tracked)
    rules = {rule.name: rule for rule in verdict.rules}
    assert len(rules) == len(verdict.rules), "names are unique"
    return rules


def outcome_of(evidence: Evidence, *, real: bool = True, tracked: bool = True) -> str:
    return judge(evidence, THRESHOLDS, real=real, tracked=tracked).outcome


def test_evidence_that_passes_everything_is_a_candidate() -> None:
    assert outcome_of(HONEST) == "CANDIDATE"
    assert judge(HONEST, THRESHOLDS, real=True, tracked=True).reasons() == ()
    results = {rule.result for rule in rules_of(HONEST).values()}
    assert results == {"pass", "clear"}


@pytest.mark.parametrize("name", RULE_OF)
@pytest.mark.parametrize(
    ("low", "high", "result", "outcome"),
    [
        (0.001, 0.003, "pass", "CANDIDATE"),
        (-0.003, -0.001, "fail", "REJECTED"),
        (-0.001, 0.001, "undecided", "INCONCLUSIVE"),
        (0.0, 0.002, "undecided", "INCONCLUSIVE"),  # an interval that touches the line is not beyond it
        (-0.002, 0.0, "undecided", "INCONCLUSIVE"),
    ],
)
def test_a_rule_follows_from_its_interval_and_its_line(
    name: str, low: float, high: float, result: str, outcome: str
) -> None:
    line = LINE_OF.get(name, 0.0)
    evidence = estimated(name, line + (low + high) / 2, (line + low, line + high))
    rule = rules_of(evidence)[RULE_OF[name]]
    assert (rule.result, rule.threshold, rule.low, rule.high) == (result, line, line + low, line + high)
    assert outcome_of(evidence) == outcome


@pytest.mark.parametrize("name", RULE_OF)
@pytest.mark.parametrize("value", [None, 5.0])
def test_a_figure_without_interval_decides_nothing(name: str, value: float | None) -> None:
    evidence = estimated(name, value, None)
    rule = rules_of(evidence)[RULE_OF[name]]
    assert (rule.result, rule.value, rule.low) == ("undecided", value, None)
    assert outcome_of(evidence) == "INCONCLUSIVE"


def test_every_rule_is_in_the_table_above() -> None:
    weighed = set(rules_of(HONEST)) - set(PLANTED)
    assert weighed == {*RULE_OF.values(), "real_data", "tracked", "enough_trades"}


@pytest.mark.parametrize(("real", "tracked", "open_rule"), [(False, True, "real_data"), (True, False, "tracked")])
def test_what_is_simulated_or_not_recorded_is_never_a_candidate(real: bool, tracked: bool, open_rule: str) -> None:
    verdict = judge(HONEST, THRESHOLDS, real=real, tracked=tracked)
    assert verdict.outcome == "INCONCLUSIVE"
    assert [rule.name for rule in verdict.reasons()] == [open_rule]
    facts = {rule.name: (rule.value, rule.threshold) for rule in verdict.rules if rule.name in ("real_data", "tracked")}
    assert facts == {"real_data": (float(real), 1.0), "tracked": (float(tracked), 1.0)}


def test_too_few_trades_decide_nothing_and_the_words_say_how_many_would() -> None:
    rule = rules_of(changed(backtest=replace(HONEST_BACKTEST, trades=588)))["enough_trades"]
    assert (rule.result, rule.value, rule.threshold) == ("undecided", 588, 600)
    assert "12 more would decide" in rule.words
    assert rules_of(changed(backtest=replace(HONEST_BACKTEST, trades=600)))["enough_trades"].result == "pass"


@pytest.mark.parametrize(
    ("value", "half_width", "more"),
    [
        # An interval's half-width falls with the root of the number of days: at 4 times the 360 days it is halved.
        (1.0, 2.0, "1,080 more such days would decide"),
        (-1.0, 2.0, "1,080 more such days would decide"),
        (2.0, 2.5, "202 more such days would decide"),
        (2.0, 1.0, None),
        (-2.0, 1.0, None),
        (0.0, 1.0, None),  # no number of days would
    ],
)
def test_an_open_mean_trade_says_how_many_days_would_decide(value: float, half_width: float, more: str | None) -> None:
    evidence = estimated("backtest/mean_net_bps", value, (value - half_width, value + half_width))
    words = rules_of(evidence)["mean_net_bps"].words
    assert (more in words) if more else ("would decide" not in words)


def test_no_trades_are_called_that() -> None:
    evidence = replace(
        estimated("backtest/mean_net_bps", None, None), backtest=replace(HONEST_BACKTEST, trades=0, win_rate=None)
    )
    assert rules_of(evidence)["mean_net_bps"].words.endswith("no trades")


def test_the_sharpe_ratio_decides_nothing_before_sixty_days() -> None:
    few = replace(estimated("backtest/sharpe", 12.0, (7.0, 17.0)), backtest=replace(HONEST_BACKTEST, days=59))
    rules = rules_of(few)
    assert rules["sharpe"].result == "undecided" and "59 UTC days" in rules["sharpe"].words
    assert rules["sharpe_too_high"].result == "clear"
    undefined = replace(HONEST_BACKTEST, sharpe=None, sharpe_undefined="n/a (equity never moves)")
    evidence = replace(estimated("backtest/sharpe", None, None), backtest=undefined)
    assert "equity never moves" in rules_of(evidence)["sharpe"].words
    sixty = replace(evidence, backtest=replace(undefined, days=60))  # enough, as far as days go
    assert "equity never moves" in rules_of(sixty)["sharpe"].words


def test_the_baseline_itself_has_nothing_to_beat() -> None:
    estimates = {name: estimate for name, estimate in HONEST.estimates.items() if name != "auc_gain/linear"}
    evidence = changed(estimates=estimates, baseline_metrics={"previous_sign": HONEST_METRICS})
    rule = rules_of(evidence)["beats_linear"]
    assert rule.result == "undecided" and "is the linear baseline itself" in rule.words
    assert outcome_of(evidence) == "INCONCLUSIVE"


PLANTED = {
    "auc_too_high": changed(windows=windows(Estimate(0.56, (0.53, 0.59)), Estimate(0.70, (0.651, 0.75)))),
    "accuracy_too_high": estimated("test/accuracy", 0.62, (0.601, 0.64)),
    "ece_too_small": changed(calibration=replace(HONEST_CALIBRATION, ece_apart=0.0019)),
    "sharpe_too_high": estimated("backtest/sharpe", 8.0, (6.1, 9.9)),
    "probabilities_saturated": changed(saturated_and_right=0.011),
    "profit_in_last_bars": estimated("backtest/last_bars_excess_bps", 60.0, (0.1, 120.0)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_sentinel_fires_on_what_it_is_there_for(name: str) -> None:
    verdict = judge(PLANTED[name], THRESHOLDS, real=True, tracked=True)
    assert verdict.outcome == "SUSPICIOUS"
    assert [rule.name for rule in verdict.reasons()] == [name]


@pytest.mark.parametrize(
    "evidence",
    [
        changed(windows=windows(Estimate(0.80, (0.65, 0.95)))),  # a window of few rows: luck
        changed(windows=windows(Estimate(0.80, None))),
        changed(windows=windows(Estimate(None, None))),
        estimated("test/auc", None, None),
        estimated("test/accuracy", 0.61, (0.60, 0.62)),
        replace(estimated("test/accuracy", 0.62, (0.61, 0.63)), share_up=0.52),  # always "up" is right in 0.52
        replace(estimated("test/accuracy", 0.62, (0.61, 0.63)), share_up=0.48),
        changed(calibration=replace(HONEST_CALIBRATION, ece_apart=0.002)),
        changed(calibration=replace(HONEST_CALIBRATION, ece_apart=0.02)),  # miscalibrated is another matter
        changed(calibration=replace(HONEST_CALIBRATION, ece_null_band=None)),
        estimated("backtest/sharpe", 8.0, (6.0, 10.0)),
        changed(saturated_and_right=0.01),
        estimated("backtest/last_bars_excess_bps", 60.0, (0.0, 120.0)),
        estimated("backtest/last_bars_excess_bps", None, None),
    ],
    ids=lambda _: "",
)
def test_sentinels_stay_clear_up_to_their_lines(evidence: Evidence) -> None:
    assert {rule.result for rule in rules_of(evidence).values() if rule.name in PLANTED} == {"clear"}
    assert outcome_of(evidence) != "SUSPICIOUS"


def test_every_sentinel_is_in_the_table_above() -> None:
    assert {rule.name for rule in rules_of(HONEST).values() if rule.result in ("fired", "clear")} == set(PLANTED)


def rule(result: Any) -> Rule:
    return Rule(name=result, result=result, value=None, threshold=None, words="")


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ("pass clear", "CANDIDATE"),
        ("pass undecided clear", "INCONCLUSIVE"),
        ("fail undecided pass clear", "REJECTED"),
        ("undecided fail clear", "REJECTED"),
        ("fired fail undecided pass", "SUSPICIOUS"),
        ("pass fired", "SUSPICIOUS"),
    ],
)
def test_the_gravest_result_wins(results: str, outcome: str) -> None:
    verdict = decide([rule(result) for result in results.split()])
    assert verdict.outcome == outcome
    decisive = {"CANDIDATE": [], "INCONCLUSIVE": ["undecided"], "REJECTED": ["fail"], "SUSPICIOUS": ["fired"]}
    assert [reason.name for reason in verdict.reasons()] == decisive[outcome]


def test_rules_and_sentinels_by_hand() -> None:
    assert above("x", Estimate(2.0, (1.0, 3.0)), 1.0, "w", days=9).result == "undecided"
    assert above("x", Estimate(2.0, (1.1, 3.0)), 1.0, "w", days=9).result == "pass"
    assert above("x", Estimate(2.0, None), 1.0, "w", days=9, missing="no days").words == "w: no days"
    assert beyond("x", Estimate(None, None), 1.0, "w").result == "clear"
    assert beyond("x", Estimate(9.0, (1.0, 17.0)), 1.0, "w").result == "clear"
    assert beyond("x", Estimate(2.0, (1.1, 2.9)), 1.0, "w").result == "fired"


def test_the_whole_sample_fires_where_its_windows_are_too_short_for_intervals() -> None:
    evidence = replace(
        estimated("test/auc", 0.70, (0.66, 0.74)), windows=windows(Estimate(0.7, None), Estimate(0.7, None))
    )
    assert [rule.name for rule in judge(evidence, THRESHOLDS, real=True, tracked=True).reasons()] == ["auc_too_high"]


def test_the_surest_window_is_the_one_whose_least_auc_is_highest() -> None:
    """Not the one that reaches highest, and not the last: [0.66, 0.70] is shown, and above the line of 0.65."""
    aucs = (Estimate(0.68, (0.66, 0.70)), Estimate(0.75, (0.60, 0.90)))
    rule = rules_of(changed(windows=windows(*aucs)))["auc_too_high"]
    assert (rule.result, rule.value, rule.low, rule.high) == ("fired", 0.68, 0.66, 0.70)


def test_trivial_data_ends_suspicious(tmp_path: Path) -> None:
    """The story that the project began with: a perfect score on data anyone predicts, and somebody says so."""
    words = ("data=trivial", "data.start=2023-01-01", "data.end=2023-02-20", "model.hidden=8")
    words += ("trainer.epochs=30", "trainer.patience=9")
    verdict = walk(tmp_path / "run", *words).summary["verdict"]
    assert verdict["outcome"] == "SUSPICIOUS"
    assert {"auc_too_high", "accuracy_too_high"} <= set(verdict["reasons"])


def test_a_martingale_ends_neither_suspicious_nor_candidate(tmp_path: Path) -> None:
    """The negative control: nothing to find, nothing found."""
    run = walk(tmp_path / "run", "data.edge=0", "data.end=2023-03-20", "wfo.windows=6", "model.hidden=8")
    low, high = run.summary["intervals"]["test"]["auc"]
    assert low < 0.5 < high
    assert run.summary["verdict"]["outcome"] in ("REJECTED", "INCONCLUSIVE")
    assert run.summary["simulated"]["auc_attainable"] == pytest.approx(0.5, abs=0.02)


def test_an_untracked_run_says_that_it_is_not_counted(tmp_path: Path) -> None:
    run = walk(tmp_path / "run", "tracking=none", "wfo.windows=1")
    rules = {rule["name"]: rule for rule in run.summary["verdict"]["rules"]}
    assert rules["tracked"]["result"] == rules["real_data"]["result"] == "undecided"
    assert run.summary["mlflow"] is None and not (tmp_path / "store/mlflow.db").exists()
    assert np.isclose(run.summary["metrics"]["n"], 7 * 288 - 3)


@pytest.mark.parametrize(
    ("trials", "best", "result"),
    [(1, 0.0, "pass"), (5, 0.3, "pass"), (200, 1.4, "undecided"), (10_000, 4.0, "fail")],
)
def test_a_sharpe_ratio_has_to_beat_the_best_of_its_search(trials: int, best: float, result: str) -> None:
    """2.0 [0.4, 3.6] is above 0, and above 0.3; the best of ten thousand without skill would show 4."""
    evidence = replace(
        HONEST,
        search=Search(count=trials, sharpe_variance=None if trials == 1 else 1.0),
        deflated=Deflated(expected_best_sharpe=best, probability=0.5),
    )
    rule = rules_of(evidence)["sharpe"]
    assert (rule.result, rule.threshold) == (result, best)
    assert ("first trial" in rule.words) == (trials == 1) and (f"{trials:,} trials" in rule.words) == (trials > 1)


def test_without_a_ledger_the_search_is_said_to_be_unknown() -> None:
    rule = rules_of(replace(HONEST, search=None, deflated=None))["sharpe"]
    assert "is not known" in rule.words and rule.threshold == 0.0


def test_the_best_baseline_is_the_one_to_beat_and_is_named() -> None:
    behind = changed(
        best_baseline="linear",
        estimates={**HONEST.estimates, "pnl_gain/linear": Estimate(-0.4, (-0.7, -0.1))},
    )
    rule = rules_of(behind)["beats_best_baseline"]
    assert (rule.result, rule.value) == ("fail", -0.4) and "earned most, linear" in rule.words
    assert outcome_of(behind) == "REJECTED"


def test_the_names_of_rules_are_known_before_a_run() -> None:
    given = {rule.name for rule in judge(HONEST, THRESHOLDS, real=True, tracked=True).rules}
    assert given | set(LIGHT) == set(NAMES) and len(set(NAMES)) == len(NAMES)
    assert {line.name for line in (*RULES, *SENTINELS)} < set(NAMES)


def overridden(name: str) -> Thresholds:
    return replace(THRESHOLDS, overrides={name: Override(by="Ada", reason="a drill on simulated bars")})


def test_an_override_sets_a_rule_aside_and_stays_on_record() -> None:
    assert outcome_of(HONEST, real=False) == "INCONCLUSIVE"
    verdict = judge(HONEST, overridden("real_data"), real=False, tracked=True)
    assert verdict.outcome == "CANDIDATE"
    (rule,) = [rule for rule in verdict.rules if rule.result == "overridden"]
    assert rule.name == "real_data" and rule.words.endswith("(undecided, overridden by Ada: a drill on simulated bars)")
    assert verdict_tags(verdict)["verdict.overridden"] == "real_data"
    assert "verdict.overridden" not in verdict_tags(judge(HONEST, THRESHOLDS, real=True, tracked=True))


def test_an_overridden_sentinel_keeps_its_figure() -> None:
    verdict = judge(PLANTED["sharpe_too_high"], overridden("sharpe_too_high"), real=True, tracked=True)
    (rule,) = [rule for rule in verdict.rules if rule.result == "overridden"]
    assert (rule.value, rule.low) == (8.0, 6.1) and verdict.outcome == "CANDIDATE"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("+verdict.overrides.real_dta={by: Ada, reason: drill}", "real_data"),
        ("+verdict.overrides.real_data={by: Ada}", "reason"),
        ("+verdict.overrides.real_data={by: Ada, reason: ''}", "reason"),
    ],
)
def test_an_override_needs_a_rule_a_name_and_a_reason(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed_plainly(word)


def test_an_override_of_the_command_line_reaches_the_thresholds() -> None:
    word = "+verdict.overrides.real_data={by: Ada, reason: a drill}"
    assert composed_plainly(word).verdict.overrides == {"real_data": Override(by="Ada", reason="a drill")}


def test_at_other_costs_their_own_figures_are_judged() -> None:
    """The run earns; at three times the costs it does not."""
    figures = {"mean_net_bps": (-3.0, -1.0), "sharpe": (-4.0, -1.0)}
    dear = AtCosts(
        name="costs_x3",
        summary=replace(HONEST_BACKTEST, net_pnl=-200.0),
        estimates={f"backtest/{name}": Estimate(sum(ends) / 2, ends) for name, ends in figures.items()}
        | {"pnl_gain/flat": Estimate(-0.5, (-1.0, -0.1))},
        best_baseline="flat",
        deflated=Deflated(expected_best_sharpe=0.0, probability=0.0),
    )
    evidence = changed(costs=[dear])
    failed = [rule.name for rule in judge(evidence.at(dear), THRESHOLDS, real=True, tracked=True).reasons()]
    assert failed == ["mean_net_bps", "mean_net_bps_at_double_costs", "sharpe", "beats_best_baseline"]
    assert outcome_of(evidence) == "CANDIDATE"
