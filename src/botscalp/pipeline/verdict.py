"""The rules of the verdict. To add one: a line in `_rules` or `_sentinels`, and its figure in `evidence`."""

from dataclasses import dataclass, replace

from botscalp.pipeline.evidence import Estimate, Evidence
from botscalp.pipeline.rules import Rule, Verdict, above, decide, too_good
from botscalp.types import Count, Positive

_REAL = "a market made the bars; futures fees on spot bars, and no funding, are a proxy of its costs"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The verdict group: where rules draw their lines."""

    min_trades: Count
    min_days: Count
    """UTC days below which the Sharpe ratio decides nothing"""
    max_decay: Positive
    """AUC that may be lost between validation and test"""
    suspicious_auc: Positive
    suspicious_accuracy: Positive
    suspicious_sharpe: Positive
    suspicious_saturation: Positive


def judge(evidence: Evidence, thresholds: Thresholds, *, real: bool, tracked: bool) -> Verdict:
    """Weigh the evidence, rule by rule.

    Args:
        real: whether a market made the bars.
        tracked: whether the run is recorded, so that it can be counted as a trial.
    """
    return decide([*_rules(evidence, thresholds, real=real, tracked=tracked), *_sentinels(evidence, thresholds)])


def _rules(evidence: Evidence, thresholds: Thresholds, *, real: bool, tracked: bool) -> list[Rule]:
    """What a believable result has to show; each line passes, fails or stays undecided by its interval."""
    backtest, estimates = evidence.backtest, evidence.estimates
    net = estimates["backtest/mean_net_bps"]
    sharpe = estimates["backtest/sharpe"]
    few_days = f"{backtest.days} UTC days decide nothing, {thresholds.min_days} are needed"
    return [
        _given("real_data", real, _REAL, "simulated bars prove nothing about a market"),
        _given("tracked", tracked, "the run is counted as a trial", "with tracking=none trials are not counted"),
        _enough_trades(backtest.trades, thresholds.min_trades),
        above("auc", estimates["test/auc"], 0.5, "ranks up above down, out of sample"),
        above("brier_skill", estimates["test/brier_skill"], 0.0, "probabilities beat the training range's base rate"),
        above(
            "mean_net_bps",
            net,
            0.0,
            f"the mean trade earns after costs, in bps{_trades_to_decide(net, backtest.trades)}",
        ),
        above(
            "mean_net_bps_at_double_costs",
            estimates["backtest/mean_net_bps_double_costs"],
            0.0,
            "the mean trade would earn at twice the costs, in bps",
        ),
        above(
            "sharpe",
            sharpe if backtest.days >= thresholds.min_days else Estimate(sharpe.value, None),
            0.0,
            "annualised Sharpe ratio of daily equity, not deflated by other trials",
            missing=backtest.sharpe_undefined or few_days,
        ),
        above("decay", estimates["validation/auc_decay"], -thresholds.max_decay, "AUC holds from validation to test"),
        *_beats_baselines(evidence),
    ]


def _sentinels(evidence: Evidence, thresholds: Thresholds) -> list[Rule]:
    """What is too good to be true; each line fires or stays clear."""
    aucs = [window["auc"] for window in evidence.windows if window["auc"] is not None]
    least_ece = evidence.ece_band[0] if evidence.ece_band else 0.0
    sharpe = evidence.backtest.sharpe if evidence.backtest.days >= thresholds.min_days else None
    return [
        too_good("auc_too_high", max(aucs, default=None), thresholds.suspicious_auc, "highest AUC of a window"),
        too_good("accuracy_too_high", evidence.metrics["accuracy"], thresholds.suspicious_accuracy, "accuracy"),
        too_good(
            "ece_too_small",
            evidence.metrics["ece"],
            least_ece,
            "calibration error, against the least that even a perfect forecast of this sharpness shows",
            fires_below=True,
        ),
        too_good("sharpe_too_high", sharpe, thresholds.suspicious_sharpe, "annualised Sharpe ratio"),
        too_good(
            "probabilities_saturated",
            evidence.saturation,
            thresholds.suspicious_saturation,
            "share of probabilities below 0.01 or above 0.99",
        ),
        _profit_in_last_bars(evidence),
    ]


def _given(name: str, holds: bool, words: str, otherwise: str) -> Rule:
    """A plain fact: passes if it holds, else nothing can be decided."""
    return Rule(
        name=name,
        result="pass" if holds else "undecided",
        value=float(holds),
        threshold=1.0,
        words=words if holds else otherwise,
    )


def _enough_trades(trades: int, least: int) -> Rule:
    if trades >= least:
        return Rule(
            name="enough_trades", result="pass", value=trades, threshold=least, words="trades to tell skill from luck"
        )
    words = f"too few trades to tell skill from luck: {least - trades} more would decide"
    return Rule(name="enough_trades", result="undecided", value=trades, threshold=least, words=words)


def _trades_to_decide(net: Estimate, trades: int) -> str:
    """How many more trades would decide if the mean stayed: an interval's width falls with the root of their number."""
    if not net.value or net.interval is None or not net.interval[0] <= 0 <= net.interval[1]:
        return ""
    half_width = (net.interval[1] - net.interval[0]) / 2
    return f" (about {trades * ((half_width / net.value) ** 2 - 1):,.0f} more trades would decide)"


def _beats_baselines(evidence: Evidence) -> list[Rule]:
    """One rule a baseline, paired on the same rows."""
    rules = [
        above(
            f"beats_{name}",
            evidence.estimates[f"auc_gain/{name}"],
            0.0,
            f"AUC above the {name} baseline's on the same rows",
        )
        for name in evidence.baseline_metrics
    ]
    return rules or [
        _given("beats_linear", False, "", "the model is the linear baseline itself: there is nothing to beat")
    ]


def _profit_in_last_bars(evidence: Evidence) -> Rule:
    """Fires if trades begun in the last bars of windows earn more than the others, interval against interval."""
    late = evidence.estimates["backtest/mean_gross_bps_last_bars"]
    others = evidence.estimates["backtest/mean_gross_bps_other_bars"]
    words = "mean gross bps of trades begun in a window's last bars, against the best the others may have"
    line = max(others.interval[1], 0.0) if others.interval else None
    fired = late.interval is not None and line is not None and late.interval[0] > line
    rule = too_good("profit_in_last_bars", late.value, float("inf"), words)
    low, high = late.interval or (None, None)
    return replace(rule, result="fired" if fired else "clear", threshold=line, low=low, high=high)
