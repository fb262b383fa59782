"""The rules of the verdict, as data. To add one: a line in RULES or SENTINELS, and its figure in `evidence`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from botscalp.errors import UserError
from botscalp.options import nearest
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.evidence.weigh import Evidence
from botscalp.pipeline.rules import Override, Rule, Verdict, above, beyond, decide, given, overridden
from botscalp.types import Count, Positive


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The verdict group: where rules draw their lines, and which of them somebody has set aside."""

    min_trades: Count
    min_days: Count
    """UTC days below which the Sharpe ratio decides nothing"""
    max_decay: Positive
    """AUC that may be lost between validation and test"""
    suspicious_auc: Positive
    suspicious_accuracy: Positive
    suspicious_sharpe: Positive
    suspicious_saturation: Positive
    overrides: dict[str, Override]
    """by a rule's name: who sets it aside, and why"""

    def __post_init__(self) -> None:
        for name in self.overrides:
            if name not in NAMES:
                raise UserError("verdict.overrides", name, "no such rule", nearest(name, NAMES))

    def own_rules(self, evidence: Evidence) -> Sequence[Rule]:
        """For a class of one's own that extends this one: rules beyond these, which count like them; see `rules.py`."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """A rule that passes if its estimate lies above a line, or a sentinel that fires if it does."""

    name: str
    figure: str | Callable[[Evidence, Thresholds], Estimate]
    """a key of `Evidence.estimates`, or what to weigh"""
    line: float | Callable[[Evidence, Thresholds], float]
    words: str | Callable[[Evidence], str]
    missing: Callable[[Evidence, Thresholds], str] = lambda evidence, thresholds: "no interval"
    """why there may be no interval"""

    def weighed(self, evidence: Evidence, thresholds: Thresholds) -> tuple[Estimate, float, str]:
        """The estimate, the line and the words for this evidence."""
        estimate = (
            evidence.estimates.get(self.figure, Estimate(None, None))
            if isinstance(self.figure, str)
            else self.figure(evidence, thresholds)
        )
        line = self.line if isinstance(self.line, float) else self.line(evidence, thresholds)
        return estimate, line, self.words if isinstance(self.words, str) else self.words(evidence)


def _no_trades(evidence: Evidence, thresholds: Thresholds) -> str:
    return "too few days with trades" if evidence.backtest.trades else "no trades"


def _sharpe(evidence: Evidence, thresholds: Thresholds) -> Estimate:
    """Below `min_days` it has an interval and decides nothing."""
    estimate = evidence.estimates["backtest/sharpe"]
    return estimate if evidence.backtest.days >= thresholds.min_days else Estimate(estimate.value, None)


def _no_sharpe(evidence: Evidence, thresholds: Thresholds) -> str:
    days = evidence.backtest.days
    if days < thresholds.min_days:
        return f"{days} UTC days decide nothing, {thresholds.min_days} are needed"
    return evidence.backtest.sharpe_undefined or "no interval"


def _sharpe_words(evidence: Evidence) -> str:
    if evidence.search is None:
        return "annualised Sharpe ratio of daily equity; how often these bars were tried before is not known"
    if evidence.search.count == 1:
        return "annualised Sharpe ratio of daily equity; the first trial on these bars, so not deflated"
    return (
        f"annualised Sharpe ratio of daily equity, against the best of {evidence.search.count:,} trials without skill"
    )


def _surest_auc(evidence: Evidence, thresholds: Thresholds) -> Estimate:
    aucs = [evidence.estimates["test/auc"], *(window.auc for window in evidence.windows)]
    return max(aucs, key=lambda auc: auc.interval[0] if auc.interval else 0.0)


def _constant_guess(evidence: Evidence) -> float:
    return max(evidence.share_up, 1 - evidence.share_up) - 0.5


RULES = (
    Line(name="auc", figure="test/auc", line=0.5, words="ranks up above down, out of sample"),
    Line(
        name="brier_skill",
        figure="test/brier_skill",
        line=0.0,
        words="probabilities beat the training range's base rate",
    ),
    Line(
        name="mean_net_bps",
        figure="backtest/mean_net_bps",
        line=0.0,
        words="the mean trade earns after costs, in bps",
        missing=_no_trades,
    ),
    Line(
        name="mean_net_bps_at_double_costs",
        figure="costs_x2/mean_net_bps",
        line=0.0,
        words="the mean trade would earn at twice the costs, in bps",
        missing=_no_trades,
    ),
    Line(
        name="sharpe",
        figure=_sharpe,
        line=lambda evidence, _: 0.0 if evidence.deflated is None else evidence.deflated.expected_best_sharpe,
        words=_sharpe_words,
        missing=_no_sharpe,
    ),
    Line(
        name="decay",
        figure="val/auc_decay",
        line=lambda _, thresholds: -thresholds.max_decay,
        words="AUC holds from validation to test",
    ),
    Line(
        name="beats_linear",
        figure="auc_gain/linear",
        line=0.0,
        words="AUC above the linear baseline's on the same rows",
        missing=lambda evidence, _: (
            "the model is the linear baseline itself" if "linear" not in evidence.baseline_metrics else "no interval"
        ),
    ),
    Line(
        name="beats_previous_sign",
        figure="auc_gain/previous_sign",
        line=0.0,
        words="AUC above that of the last bar's sign on the same rows",
    ),
    Line(
        name="beats_best_baseline",
        figure=lambda evidence, _: evidence.estimates[f"pnl_gain/{evidence.best_baseline}"],
        line=0.0,
        words=lambda evidence: (
            f"net PnL a day above that of the baseline that earned most, {evidence.best_baseline}, in the quote currency"
        ),
    ),
)
"""What a believable result has to show: each passes, fails or stays undecided by its interval."""

SENTINELS = (
    Line(
        name="auc_too_high",
        figure=_surest_auc,
        line=lambda _, thresholds: thresholds.suspicious_auc,
        words="AUC of all windows, or of the one where it is surest",
    ),
    Line(
        name="accuracy_too_high",
        figure="test/accuracy",
        line=lambda evidence, thresholds: thresholds.suspicious_accuracy + _constant_guess(evidence),
        words="accuracy, above what always saying the more frequent side gets",
    ),
    Line(
        name="sharpe_too_high",
        figure=_sharpe,
        line=lambda _, thresholds: thresholds.suspicious_sharpe,
        words="annualised Sharpe ratio",
    ),
    Line(
        name="profit_in_last_bars",
        figure="backtest/last_bars_excess_bps",
        line=0.0,
        words="gross bps of trades begun in a window's last bars above the others': labels of what follows may have leaked",
    ),
)
"""What is too good to be true: each fires or stays clear."""

FACTS = ("real_data", "tracked", "enough_trades", "ece_too_small", "probabilities_saturated")
"""rules and sentinels that are no estimate against a line"""
LIGHT = ("prefix_invariance", "future_perturbation_features", "warm_up", "single_feature_auc", "fills_after_signal")
"""sentinels that look at the run's own parts, see `sentinels.py`"""
NAMES = (*FACTS, *(line.name for line in (*RULES, *SENTINELS)), *LIGHT)


def judge(
    evidence: Evidence, thresholds: Thresholds, *, real: bool, tracked: bool, sentinels: Sequence[Rule] = ()
) -> Verdict:
    """Weigh the evidence, rule by rule.

    Args:
        real: whether a market made the bars.
        tracked: whether the run is recorded, so that it can be counted as a trial.
        sentinels: what was found in the run's parts.
    """
    rules = [
        given(
            "real_data",
            real,
            "a market made the bars; futures fees on spot bars, and no funding, are a proxy of its costs",
            "simulated bars prove nothing about a market",
        ),
        given("tracked", tracked, "the run is counted as a trial", "with tracking=none trials are not counted"),
        _enough_trades(evidence.backtest.trades, thresholds.min_trades),
    ]
    for rule in RULES:
        estimate, line, words = rule.weighed(evidence, thresholds)
        missing = rule.missing(evidence, thresholds)
        rules.append(above(rule.name, estimate, line, words, days=evidence.backtest.days, missing=missing))
    rules += thresholds.own_rules(evidence)
    rules += [beyond(one.name, *one.weighed(evidence, thresholds)) for one in SENTINELS]
    rules += [_ece_too_small(evidence), _saturated(evidence, thresholds), *sentinels]
    return decide(overridden(rules, thresholds.overrides))


def _enough_trades(trades: int, least: int) -> Rule:
    if trades >= least:
        return Rule(
            name="enough_trades", result="pass", value=trades, threshold=least, words="trades to tell skill from luck"
        )
    words = f"too few trades to tell skill from luck: {least - trades} more would decide"
    return Rule(name="enough_trades", result="undecided", value=trades, threshold=least, words=words)


def _ece_too_small(evidence: Evidence) -> Rule:
    ece, band = evidence.calibration.ece_apart, evidence.calibration.ece_null_band
    fired = ece is not None and band is not None and ece < band[0]
    return Rule(
        name="ece_too_small",
        result="fired" if fired else "clear",
        value=ece,
        threshold=band and band[0],
        words="calibration error, below the least that even a perfect forecast of this sharpness shows",
    )


def _saturated(evidence: Evidence, thresholds: Thresholds) -> Rule:
    share, line = evidence.saturated_and_right, thresholds.suspicious_saturation
    return Rule(
        name="probabilities_saturated",
        result="fired" if share > line else "clear",
        value=share,
        threshold=line,
        words="share of probabilities that are below 0.01 or above 0.99, and right",
    )
