"""The figures of a run as tables and lines, for log.txt: what the closing block on the terminal leaves out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botscalp.report.answers import paid_bps
from botscalp.report.numbers import ends_of, estimate, figure, interval, number

logger = logging.getLogger(__name__)
"""conf/hydra/job_logging/botscalp.yaml sends its lines to the file alone"""


def tell(summary: Mapping[str, Any]) -> None:
    """The figures, then the rules that weigh them."""
    for line in (
        "",
        *_forecast(summary),
        *_backtest(summary),
        *_costs(summary),
        *_periods(summary["periods"]),
        *_regimes(summary["regimes"]),
        *_symbols(summary["symbols"]),
        *_rules(summary["verdict"]),
    ):
        logger.info(line)


def _forecast(summary: Mapping[str, Any]) -> Iterator[str]:
    """Raw, calibrated and baseline metrics as a table, then what they mean."""
    columns = {
        "auc": ".4f",
        "pr_auc": ".4f",
        "brier": ".5f",
        "brier_skill": "+.5f",
        "log_loss": ".5f",
        "accuracy": ".4f",
        "ece": ".5f",
    }
    yield "forecast       " + "".join(f"{name:>13}" for name in columns)
    rows = {"raw": summary["metrics_raw"], "calibrated": summary["metrics"]}
    rows |= {name: baseline["metrics"] for name, baseline in summary["baselines"].items() if baseline["metrics"]}
    for name, metrics in rows.items():
        yield f"  {name:<13}" + "".join(f"{number(metrics[column], form):>13}" for column, form in columns.items())
    intervals, attainable = summary["intervals"], (summary["simulated"] or {}).get("auc_attainable")
    yield (
        f"  AUC {figure(summary['metrics']['auc'], intervals['test']['auc'], '.4f')} on {summary['metrics']['n']:,} rows"
        + (f"; attainable on this market: {attainable:.4f}" if attainable is not None else "")
    )
    for name, baseline in summary["baselines"].items():
        if gain := baseline["gains"].get("auc"):
            yield f"  AUC above the {name} baseline's on the same rows: {estimate(gain, '+.4f')}"
    yield from _calibration(summary["calibration"])


def _calibration(calibration: Mapping[str, Any]) -> Iterator[str]:
    """How far probabilities are from frequencies, beside what chance alone would show."""
    ece, band = calibration["ece_apart"], calibration["ece_null_band"]
    place = ""
    if band is not None:
        place = " (too little to be true)" if ece < band[0] else " (miscalibrated)" if ece > band[1] else ""
    yield (
        f"  ECE of rows a label apart {number(ece, '.5f')}{place}, of a perfectly calibrated forecast of this "
        f"sharpness {interval(band, '.5f')}; "
        f"squared calibration error {estimate(calibration['squared_error'], '.2e')}"
    )
    if parts := calibration["brier_parts"]:
        yield (
            f"  Brier score = {parts['miscalibration']:.5f} miscalibration - {parts['discrimination']:.5f} discrimination "
            f"+ {parts['uncertainty']:.5f} uncertainty"
        )


def _backtest(summary: Mapping[str, Any]) -> Iterator[str]:
    """The trades, what they cost, and what other sizes would have given."""
    trades, interval = summary["backtest"], summary["intervals"]["backtest"]
    yield (
        f"backtest       {trades['trades']:,} trades in {trades['days']} days: {trades['targets']:,} targets, "
        f"{trades['stops']:,} stops, {trades['timeouts']:,} timeouts"
        + (f", {trades['ends']:,} at the end of the data; " if trades["ends"] else "; ")
        + f"win rate {number(trades['win_rate'], '.3f')}, break-even {number(trades['break_even'], '.3f')}"
    )
    yield (
        f"  gross {trades['gross_pnl']:+,.2f} - fees {trades['fees']:,.2f} - slippage {trades['slippage']:,.2f}"
        + (f" - funding {trades['funding']:,.2f}" if trades["funding"] else "")
        + f" = net {trades['net_pnl']:+,.2f}; ROI {trades['roi']:+.2%}, max drawdown {trades['max_drawdown']:.2%}"
    )
    sharpe = figure(trades["sharpe"], interval["sharpe"], "+.2f")
    yield (
        f"  a trade: gross {number(trades['mean_gross_bps'], '+.2f')} bps, "
        f"net {figure(trades['mean_net_bps'], interval['mean_net_bps'], '+.2f')} bps; "
        f"Sharpe {trades['sharpe_undefined'] or sharpe}"
    )
    yield from _brackets([window["bracket"] for window in summary["windows"]])
    yield from _anatomy(summary["anatomy"])
    for row in summary["sizes"]:
        yield (
            f"  at {row['contract']:<5g} a trade: net {row['net_pnl']:>+12,.2f}, "
            f"max drawdown {row['max_drawdown_quote']:>12,.2f} ({row['max_drawdown']:.2%})"
        )


def _brackets(brackets: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """What differs from window to window, oldest first."""
    for name in brackets[0]:
        values = [bracket[name] for bracket in brackets]
        if len(set(values)) > 1:
            yield f"  {name} of each window, chosen on its validation: {', '.join(f'{value:g}' for value in values)}"


def _anatomy(anatomy: Mapping[str, Any]) -> Iterator[str]:
    """How the trades and the account got there."""
    trades, drawdown = anatomy["trades"], anatomy["drawdown"]
    yield (
        f"  profit factor {number(trades['profit_factor'], '.2f')}, "
        f"expectancy {number(trades['expectancy_quote'], '+,.2f')}, payoff {number(trades['payoff_ratio'], '.2f')}; "
        f"longest runs {trades['longest_win_streak']:,} wins, {trades['longest_loss_streak']:,} losses; "
        f"exposure {anatomy['exposure']:.0%}, turnover {anatomy['turnover_per_day']:.1f} x capital a day"
    )
    if drawdown["start"]:
        recovery = drawdown["recovery"]
        yield (
            f"  drawdown {drawdown['start'][:10]} .. {drawdown['trough'][:10]}, "
            f"{f'back on {recovery[:10]}' if recovery else 'not recovered'} after {drawdown['length_days']:,.0f} days; "
            f"longest under water {drawdown['longest_under_water_days']:,.0f} days"
        )


def _costs(summary: Mapping[str, Any]) -> Iterator[str]:
    """What would be left at other costs, and what the trades could bear."""
    yield f"costs            net bps a trade{'Sharpe':>25}{'net PnL':>24}   verdict"
    for level in summary["costs"]:
        name = level["name"].replace("costs_x", "costs x ").replace("_", " ")
        yield (
            f"  {name:<23}{estimate(level['mean_net_bps'], '+.2f'):<24}{estimate(level['sharpe'], '+.2f'):<26}"
            f"{level['net_pnl']:>+14,.2f}   {level['outcome']}"
        )
    trades, paid = summary["backtest"], paid_bps(summary)
    if paid is not None:
        interval = summary["intervals"]["backtest"]["mean_gross_bps"]
        yield (
            f"  break-even at costs of {figure(trades['mean_gross_bps'], interval, '.2f')} bps a trade; {paid:.2f} were paid"
        )


def _periods(periods: Mapping[str, Any]) -> Iterator[str]:
    """From training to test, and what was lost on the way."""
    yield f"period            {'raw AUC':<27}{'win rate':<27}net bps a trade"
    for name in ("train", "validation", "test", "train_to_test", "validation_to_test"):
        period, form = periods[name], "+" if "_to_" in name else ""
        label = name.replace("_to_test", " - test")
        yield (
            f"  {label:<20}{estimate(period['auc'], f'{form}.4f'):<27}{estimate(period['win_rate'], f'{form}.4f'):<27}"
            f"{estimate(period['mean_net_bps'], '+.2f')}"
        )
    if periods["overfitted"]:
        yield f"  overfitting: {', '.join(periods['overfitted'])} fell from training to test by more than luck explains"
    else:
        losses = periods["train_to_test"]
        known = [name for name, loss in losses.items() if loss["low"] is not None]
        yield (
            f"  no overfitting to be seen: {', '.join(known)} fell from training to test by no more than luck explains"
            if known
            else "  whether it overfits cannot be told: too little time in training or test"
        )
    rule = periods["old_rule"]
    if rule["win_rate"] is not None:
        verdict = "overfitting" if rule["says_overfitting"] else "none"
        yield (
            f"  the old rule, a win rate below {rule['line']:.2f} out of period, would say {verdict}; {periods['test']['trades']:,} "
            f"trades tell 0.50 from {rule['line']:.2f} with power {rule['power']:.2f} (0.80 needs {rule['trades_needed']:,})"
        )


def _regimes(regimes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """By volatility; hours, weekdays and months are in summary.json."""
    for regime in regimes:
        if regime["kind"] == "volatility":
            yield (
                f"  {regime['name']} volatility: AUC {estimate(regime['auc'], '.4f')}, {regime['trades']:,} trades, "
                f"net {estimate(regime['mean_net_bps'], '+.2f')} bps"
            )


def _symbols(symbols: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line each, where there are several."""
    for one in symbols if len(symbols) > 1 else ():
        yield (
            f"  {one['symbol']}: AUC {estimate(one['auc'], '.4f')}, log loss {estimate(one['log_loss'], '.5f')}, "
            f"Brier skill {estimate(one['brier_skill'], '+.5f')} on {one['n']:,} rows; {one['trades']:,} trades, "
            f"net {estimate(one['mean_net_bps'], '+.2f')} bps each, {one['net_pnl']:+,.2f} in all"
        )


def _rules(verdict: Mapping[str, Any]) -> Iterator[str]:
    """The rules that brought the outcome about or were set aside, then all others by what they came to."""
    yield "rules"
    for rule in verdict["rules"]:
        if rule["name"] in verdict["reasons"] or rule["result"] == "overridden":
            value = "" if rule["value"] is None else f": {figure(rule['value'], ends_of(rule), '.4g')}"
            against = "" if rule["threshold"] is None else f", line at {rule['threshold']:.4g}"
            yield f"  {rule['result']:<12} {rule['words']}{value}{against} ({rule['name']})"
    for result in ("fail", "pass", "undecided", "clear"):
        others = [
            rule["name"]
            + (
                f" {figure(rule['value'], ends_of(rule), '.4g')}"
                if result != "clear" and rule["low"] is not None
                else ""
            )
            for rule in verdict["rules"]
            if rule["result"] == result and rule["name"] not in verdict["reasons"]
        ]
        if others:
            yield f"  {result:<12} {', '.join(others)}"
