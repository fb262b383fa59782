"""The tables and facts of a comparison's page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botscalp.report.blocks.rules import FACTS
from botscalp.report.compared import Found, listed, names
from botscalp.report.markets import bars_told
from botscalp.report.numbers import estimate, number
from botscalp.report.tables import Fact, Table

COLUMNS_OF_RESULTS = 12
"""runs beside each other in the table of rules: the best"""
VALUES = 8
"""of a key that differs, named"""
UNFOLDED = 30
"""runs up to which their tables are open"""


@dataclass(frozen=True)
class Result:
    """How one rule came out for one run."""

    word: str
    value: str


@dataclass(frozen=True)
class RuleRow:
    """One rule across the runs."""

    name: str
    counts: str
    """over all runs, e.g. "pass 3, fail 1" """
    results: Sequence[Result]
    """of the best runs"""


@dataclass(frozen=True)
class RuleResults:
    """Rules by runs."""

    runs: Sequence[str]
    rows: Sequence[RuleRow]
    left_out: int


def what_was_compared(found: Found) -> list[Fact]:
    """Bars, days, runs and their verdicts."""
    runs = found["runs"]
    return [
        ("Bars", bars_told(found["markets"])),
        (
            "Days",
            f"{found['days']:,} UTC days that all runs tested on, {found['first_day']} .. {found['last_day']}; PnL a day, "
            "who may be the best, and the measures of luck are of these days, other figures of each run's own test days",
        ),
        ("Runs", f"{len(runs):,}, " + ("named one by one" if found["study"] is None else f"study {found['study']}")),
        ("Verdicts", listed([f"{count:,} {verdict}" for verdict, count in _counted(runs, "verdict").items()])),
    ]


def what_differs(found: Found) -> Table:
    """Every key that is not the same in all runs, with its values."""
    runs = found["runs"]
    keys = list(dict.fromkeys(key for run in runs for key in run["differs"]))
    return Table(
        caption="Keys of the config that are not the same in all runs"
        if keys
        else "No key that changes a figure differs",
        columns=["key", "values"],
        rows=[[key, listed(_values(runs, key), most=VALUES)] for key in keys],
        folded=len(keys) > VALUES,
    )


def runs_beside(found: Found) -> Table:
    """Every run with its figures, the best first."""
    runs = found["runs"]
    keys = list(dict.fromkeys(key for run in runs for key in run["differs"]))
    return Table(
        caption=f"All {len(runs):,} runs, the best first; intervals of 95 %",
        columns=[
            *("run", "verdict", "beside the best", "net PnL a day", "less the best's"),
            *(
                "net bps a trade",
                "AUC",
                "AUC less the best's",
                "log loss",
                "Brier skill",
                "trades",
                "Sharpe",
                "net PnL",
                "fit",
            ),
            *keys,
        ],
        rows=[
            [
                name,
                run["verdict"],
                run["standing"],
                number(run["daily_pnl"], "+,.3f"),
                "" if run["standing"] == "best" else estimate(run["daily_pnl_less_best"], "+,.3f"),
                estimate(run["mean_net_bps"], "+.3f"),
                estimate(run["auc"], ".5f"),
                _auc_less(run),
                estimate(run["log_loss"], ".5f"),
                estimate(run["brier_skill"], "+.6f"),
                f"{run['trades']:,}",
                estimate(run["sharpe"], "+.3f"),
                number(run["net_pnl"], "+,.2f"),
                f"{run['fit_s']:,.0f} s",
                *(run["differs"].get(key, "none") for key in keys),
            ]
            for name, run in zip(names(found), runs, strict=True)
        ],
        marked="verdict",
        folded=len(runs) > UNFOLDED,
    )


def measures(found: Found) -> Table:
    """The three measures of luck."""
    return Table(
        caption="All three have to be on the good side",
        columns=["measure", "value", "good", "result", "what it says"],
        rows=[
            [one["name"], number(one["value"], ".4f"), f"{one['good']} {one['line']}", one["result"], one["words"]]
            for one in found["luck"]["measures"]
        ],
        marked="result",
    )


def rule_results(found: Found) -> RuleResults:
    """How every rule of the verdict came out for the best runs, and how often for all."""
    runs = found["runs"]
    rules = list(dict.fromkeys(rule for run in runs for rule in run["rules"]))
    shown = runs[:COLUMNS_OF_RESULTS]
    return RuleResults(
        runs=names(found)[:COLUMNS_OF_RESULTS],
        rows=[
            RuleRow(
                name=rule.replace("_", " "),
                counts=", ".join(f"{word} {count:,}" for word, count in _of_rule(runs, rule).items()),
                results=[_result(rule, run["rules"].get(rule)) for run in shown],
            )
            for rule in rules
        ],
        left_out=len(runs) - len(shown),
    )


def cost(found: Found) -> list[Fact]:
    """What the search took, and what else was tried."""
    runs, search = found["runs"], found["luck"]["search"]
    total_s, fit_s = (sum(run[name] for run in runs) for name in ("total_s", "fit_s"))
    slowest = max(range(len(runs)), key=lambda rank: runs[rank]["total_s"])
    unfinished = found["unfinished"]
    others = [f"{count:,} {status}" for status, count in (unfinished or {}).items()]
    return [
        (
            "Time",
            f"{duration(total_s)} of runs, {duration(fit_s)} of it fitting; the longest, {names(found)[slowest]}, "
            f"took {duration(runs[slowest]['total_s'])}",
        ),
        ("Windows", f"{sum(run['windows'] for run in runs):,} fitted and tested"),
        ("Device", listed([f"{device} ({count:,} runs)" for device, count in _counted(runs, "device").items()])),
        (
            "Settings tried",
            f"{search['count']:,} on these days, as far as the store's ledger knows: in any study, grids of traded "
            "predictions, failed and deleted runs included",
        ),
        (
            "Not finished",
            "not known, for the runs were named one by one"
            if unfinished is None
            else f"{listed(others)} of this study, which are not compared"
            if others
            else "none of this study",
        ),
    ]


def duration(seconds: float) -> str:
    """ "12.3 s", "3 min 35 s", "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def _values(runs: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return sorted({run["differs"][key] for run in runs if key in run["differs"]}, key=_in_order)


def _in_order(value: str) -> tuple[bool, float, str]:
    """Numbers by size, then words."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _auc_less(run: Mapping[str, Any]) -> str:
    if run["standing"] == "best":
        return ""
    return "other labels" if run["auc_less_best"]["value"] is None else estimate(run["auc_less_best"], "+.5f")


def _counted(runs: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    return dict(Counter(run[name] for run in runs).most_common())


def _of_rule(runs: Sequence[Mapping[str, Any]], rule: str) -> dict[str, int]:
    return dict(Counter(run["rules"][rule]["result"] for run in runs if rule in run["rules"]).most_common())


def _result(name: str, rule: Mapping[str, Any] | None) -> Result:
    if rule is None:
        return Result("n/a", "")
    # What is 1 or 0 says no more than the result.
    told = rule["value"] is not None and name not in FACTS
    return Result(rule["result"], format(rule["value"], ".4g") if told else "")
