"""Tables of the forecast: against baselines, from training to test, and against luck."""

from collections.abc import Mapping
from typing import Any

from botscalp.report.blocks.trading import sharpe
from botscalp.report.numbers import estimate, interval, number
from botscalp.report.tables import Table

Summary = Mapping[str, Any]

_METRICS = {
    "auc": ("AUC", ".4f"),
    "pr_auc": ("PR AUC", ".4f"),
    "brier": ("Brier score", ".5f"),
    "brier_skill": ("Brier skill", "+.5f"),
    "log_loss": ("log loss", ".5f"),
    "accuracy": ("accuracy", ".4f"),
    "ece": ("ECE", ".5f"),
}
_PERIODS = {
    "train": "training, its last stretch",
    "validation": "validation, its second half",
    "test": "test",
    "train_to_test": "training less test",
    "validation_to_test": "validation less test",
}
_FIGURES = {"auc": "AUC", "win_rate": "win rate", "mean_net_bps": "net bps a trade"}


def metrics(summary: Summary) -> Table:
    """Of raw and calibrated probabilities and of the baselines, on the same rows."""
    found = {"this model, raw": summary["metrics_raw"], "this model, calibrated": summary["metrics"]}
    found |= {_plain(name): one["metrics"] for name, one in summary["baselines"].items() if one["metrics"]}
    return Table(
        caption=f"Forecasts of the same {summary['metrics']['n']:,} test rows",
        columns=["forecast", *(title for title, _ in _METRICS.values())],
        rows=[[name, *(number(one[key], form) for key, (_, form) in _METRICS.items())] for name, one in found.items()],
    )


def baselines(summary: Summary) -> Table:
    """What others earned on the same bars, and what the model has over them, paired."""
    rows = [_traded("this model", summary["backtest"], {})]
    rows += [_traded(_plain(name), one["backtest"], one["gains"]) for name, one in summary["baselines"].items()]
    return Table(
        caption="Traded on the same bars at the same costs, and what this model has over each [95 % interval], paired",
        columns=["strategy", "trades", "net", "Sharpe ratio", "drawdown", "AUC above it", "net a day above it"],
        rows=rows,
    )


def attainable(summary: Summary) -> str:
    """What no forecast of a simulated market beats but by luck; nothing where it is not known."""
    auc = (summary["simulated"] or {}).get("auc_attainable")
    return (
        ""
        if auc is None
        else f"On this simulated market the true probabilities have an AUC of {auc:.4f} on the same rows."
    )


def calibration_error(summary: Summary) -> str:
    """How far probabilities are from frequencies, against what even a perfectly calibrated forecast shows."""
    ece, band = summary["calibration"]["ece_apart"], summary["calibration"]["ece_null_band"]
    if ece is None or band is None:
        return "The expected calibration error (ECE) is undefined."
    if ece > band[1]:
        meaning = "the probabilities are miscalibrated"
    elif ece < band[0]:
        meaning = "less than chance allows, which is too good to be true"
    else:
        meaning = "no miscalibration to be seen"
    return (
        f"The expected calibration error (ECE) of rows a label apart is {ece:.5f}, where a calibrated forecast of this "
        f"sharpness shows {interval(band, '.5f')}: {meaning}."
    )


def brier_parts(summary: Summary) -> str:
    """What the Brier score is made of; nothing where it is undefined."""
    parts = summary["calibration"]["brier_parts"]
    return (
        ""
        if parts is None
        else f"Brier score {number(summary['metrics']['brier'], '.5f')} = {parts['miscalibration']:.5f} miscalibration "
        f"- {parts['discrimination']:.5f} discrimination + {parts['uncertainty']:.5f} uncertainty."
    )


def calibration(summary: Summary) -> str:
    """How to read the parts of the Brier score, and the one that has an interval."""
    squared = estimate(summary["calibration"]["squared_error"], ".2e")
    return (
        "The less miscalibration and the more discrimination, the better; the uncertainty is the market's own. The squared "
        f"calibration error, less what noise adds to it, is {squared}: 0 for a calibrated forecast."
    )


def periods(summary: Summary) -> Table:
    """The same figures from training to test, and what is lost on the way."""
    found = summary["periods"]
    rows = []
    for name, title in _PERIODS.items():
        form, sign = found[name], "+" if "_to_" in name else ""
        rows.append(
            [
                title,
                f"{form['rows']:,}" if "rows" in form else "",
                f"{form['trades']:,}" if "trades" in form else "",
                estimate(form["auc"], f"{sign}.4f"),
                estimate(form["win_rate"], f"{sign}.4f"),
                estimate(form["mean_net_bps"], "+.2f"),
            ]
        )
    return Table(
        caption="From training to test [95 % interval]; the AUC is that of raw probabilities",
        columns=["period", "rows", "trades", "raw AUC", "win rate", "net bps a trade"],
        rows=rows,
    )


def overfitting(summary: Summary) -> list[str]:
    """What the periods say, and what the old rule would say."""
    found = summary["periods"]
    rule = found["old_rule"]
    fallen = ", ".join(_FIGURES[name] for name in found["overfitted"])
    known = [name for name, loss in found["train_to_test"].items() if loss["low"] is not None]
    if fallen:
        sentence = f"Overfitting: {fallen} fell from training to test by more than luck explains."
    elif known:
        told = ", ".join(_FIGURES[name] for name in known)
        sentence = f"No overfitting is to be seen: {told} fell from training to test by no more than luck explains."
    else:
        sentence = "Whether it overfits cannot be told: there is too little time in training or test."
    if rule["win_rate"] is None:
        return [sentence]
    says = "overfitting" if rule["says_overfitting"] else "no overfitting"
    return [
        sentence,
        f"The old rule, a win rate below {rule['line']:.2f} out of period, would say {says}. "
        f"{found['test']['trades']:,} trades tell {rule['line']:.2f} from a coin's 0.50 with a power of {rule['power']:.2f}; "
        f"0.80 takes {rule['trades_needed']:,} trades.",
    ]


def luck(summary: Summary) -> Table | str:
    """How much was tried on these test bars, and what is left of the Sharpe ratio."""
    trials = summary["trials"]
    if trials is None:
        return "The run was not tracked, so how often these test bars were tried before is not known."
    return Table(
        caption="The search that this run is part of [95 % interval]",
        columns=["figure", "value"],
        rows=[
            ["settings tried on these test bars so far, this one included", f"{trials['count']:,}"],
            ["Sharpe ratio of this run", sharpe(summary)],
            ["standard deviation of all trials' Sharpe ratios", number(trials["sharpe_sd"], ".2f")],
            ["the best of so many without skill would show", number(trials["expected_best_sharpe"], "+.2f")],
            ["probability that the true Sharpe ratio is above that", number(trials["deflated_sharpe"], ".3f")],
        ],
    )


def _traded(name: str, backtest: Mapping[str, Any] | None, gains: Mapping[str, Any]) -> list[str]:
    if backtest is None:
        earned = ["0", "+0.00", "n/a", "0.00%"]
    else:
        earned = [
            f"{backtest['trades']:,}",
            f"{backtest['net_pnl']:+,.2f}",
            number(backtest["sharpe"], "+.2f"),
            f"{backtest['max_drawdown']:.2%}",
        ]
    auc, pnl = gains.get("auc"), gains.get("pnl")
    return [name, *earned, estimate(auc, "+.4f") if auc else "", estimate(pnl, "+,.2f") if pnl else ""]


def _plain(name: str) -> str:
    return {"flat": "flat, no trade", "previous_sign": "sign of the last bar"}.get(name, name.replace("_", " "))
