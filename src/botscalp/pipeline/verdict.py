"""The rules of the verdict. To add one: a line in `_rules` or `_sentinels`, and its figure in `evidence`."""

from dataclasses import dataclass

from botscalp.pipeline.evidence import Estimate, Evidence
from botscalp.pipeline.rules import Rule, Verdict, above, beyond, decide
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
    backtest, estimates, days = evidence.backtest, evidence.estimates, evidence.backtest.days
    sharpe, no_trades = estimates["backtest/sharpe"], "no trades" if not backtest.trades else "too few days with trades"
    if days < thresholds.min_days:
        sharpe = Estimate(sharpe.value, None)
    return [
        _given("real_data", real, _REAL, "simulated bars prove nothing about a market"),
        _given("tracked", tracked, "the run is counted as a trial", "with tracking=none trials are not counted"),
        _enough_trades(backtest.trades, thresholds.min_trades),
        above("auc", estimates["test/auc"], 0.5, "ranks up above down, out of sample", days=days),
        above(
            "brier_skill",
            estimates["test/brier_skill"],
            0.0,
            "probabilities beat the training range's base rate",
            days=days,
        ),
        above(
            "mean_net_bps",
            estimates["backtest/mean_net_bps"],
            0.0,
            "the mean trade earns after costs, in bps",
            days=days,
            missing=no_trades,
        ),
        above(
            "mean_net_bps_at_double_costs",
            estimates["backtest/mean_net_bps_double_costs"],
            0.0,
            "the mean trade would earn at twice the costs, in bps",
            days=days,
            missing=no_trades,
        ),
        above(
            "sharpe",
            sharpe,
            0.0 if evidence.deflated is None else evidence.deflated.expected_best_sharpe,
            _sharpe_words(evidence),
            days=days,
            missing=f"{days} UTC days decide nothing, {thresholds.min_days} are needed"
            if days < thresholds.min_days
            else backtest.sharpe_undefined or "no interval",
        ),
        above(
            "decay",
            estimates["val/auc_decay"],
            -thresholds.max_decay,
            "AUC holds from validation to test",
            days=days,
        ),
        *_beats_baselines(evidence),
    ]


def _sentinels(evidence: Evidence, thresholds: Thresholds) -> list[Rule]:
    """What is too good to be true; each line fires or stays clear."""
    estimates, share_up = evidence.estimates, evidence.share_up
    aucs = [estimates["test/auc"], *evidence.window_aucs]
    surest = max(aucs, key=lambda auc: auc.interval[0] if auc.interval else 0.0)
    constant_guess = max(share_up, 1 - share_up) - 0.5
    few_days = evidence.backtest.days < thresholds.min_days
    return [
        beyond(
            "auc_too_high", surest, thresholds.suspicious_auc, "AUC of all windows, or of the one where it is surest"
        ),
        beyond(
            "accuracy_too_high",
            estimates["test/accuracy"],
            thresholds.suspicious_accuracy + constant_guess,
            "accuracy, above what always saying the more frequent side gets",
        ),
        _ece_too_small(evidence),
        beyond(
            "sharpe_too_high",
            Estimate(evidence.backtest.sharpe, None) if few_days else estimates["backtest/sharpe"],
            thresholds.suspicious_sharpe,
            "annualised Sharpe ratio",
        ),
        _saturated(evidence.saturated_and_right, thresholds.suspicious_saturation),
        beyond(
            "profit_in_last_bars",
            estimates["backtest/last_bars_excess_bps"],
            0.0,
            "gross bps of trades begun in a window's last bars above the others': labels of what follows may have leaked",
        ),
    ]


def _ece_too_small(evidence: Evidence) -> Rule:
    ece, band = evidence.metrics["ece"], evidence.ece_band
    fired = ece is not None and band is not None and ece < band[0]
    return Rule(
        name="ece_too_small",
        result="fired" if fired else "clear",
        value=ece,
        threshold=band and band[0],
        words="calibration error, below the least that even a perfect forecast of this sharpness shows",
    )


def _saturated(share: float, line: float) -> Rule:
    return Rule(
        name="probabilities_saturated",
        result="fired" if share > line else "clear",
        value=share,
        threshold=line,
        words="share of probabilities that are below 0.01 or above 0.99, and right",
    )


def _sharpe_words(evidence: Evidence) -> str:
    if evidence.search is None:
        return "annualised Sharpe ratio of daily equity; how often these bars were tried before is not known"
    if evidence.search.count == 1:
        return "annualised Sharpe ratio of daily equity; the first trial on these bars, so not deflated"
    return (
        f"annualised Sharpe ratio of daily equity, against the best of {evidence.search.count:,} trials without skill"
    )


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


def _beats_baselines(evidence: Evidence) -> list[Rule]:
    """One rule a baseline, paired on the same rows."""
    rules = [
        above(
            f"beats_{name}",
            evidence.estimates[f"auc_gain/{name}"],
            0.0,
            f"AUC above the {name} baseline's on the same rows",
            days=evidence.backtest.days,
        )
        for name in evidence.baseline_metrics
    ]
    return rules or [
        _given("beats_linear", False, "", "the model is the linear baseline itself: there is nothing to beat")
    ]
