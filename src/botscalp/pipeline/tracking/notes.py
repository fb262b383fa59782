"""What MLflow's pages say in words: of a run its verdict and why, of a study how its runs fared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from botscalp.report.answers import real
from botscalp.report.numbers import ends_of, figure, number

MOST_CHARACTERS = 7_900
"""MLflow cuts a note at 8,000"""


def run_note(summary: Mapping[str, Any]) -> str:
    """A run's description in Markdown: one line that tells most, which shows even where a note is folded; then why."""
    decisive = summary["verdict"]["reasons"]
    rules = [rule for rule in summary["verdict"]["rules"] if rule["name"] in decisive or rule["result"] == "overridden"]
    lines = [_line(rule) for rule in rules] or ["- every rule is passed"]
    shown = len(lines)
    while True:
        more = [f"- and {len(lines) - shown} more, in verdict.csv"] if shown < len(lines) else []
        note = "\n".join([_headline(summary), "", *lines[:shown], *more])
        if len(note) <= MOST_CHARACTERS:
            return note
        shown -= 1


def study_note(verdicts: Sequence[str | None], study: str, store: Path) -> str:
    """A study's description, a line: how many of its runs came to which verdict, and how to set them side by side."""
    if not verdicts:
        return "no runs yet"
    counted = Counter(verdict or "without a verdict" for verdict in verdicts)
    runs = f"{len(verdicts)} run{'' if len(verdicts) == 1 else 's'}"
    shares = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
    where = "" if store.resolve() == Path("mlruns").resolve() else f" store={quote(str(store.resolve()))}"
    return f"{runs}: {shares}. Side by side: `python -m botscalp.compare study={quote(study)}{where}`"


def _headline(summary: Mapping[str, Any]) -> str:
    backtest, metrics, intervals = summary["backtest"], summary["metrics"], summary["intervals"]
    windows = summary["windows"]
    net = figure(backtest["mean_net_bps"], intervals["backtest"]["mean_net_bps"], "+.2f")
    auc = figure(metrics["auc"], intervals["test"]["auc"], ".4f")
    tested = f"{windows[0]['test'][0][:10]} .. {windows[-1]['test'][1][:10]}"
    bars = "real bars" if real(summary) else "SIMULATED bars: no evidence about any market"
    return (
        f"**{summary['verdict']['outcome']}**: net {net} bps a trade, AUC {auc}, {backtest['trades']:,} trades "
        f"in {len(windows)} window{'' if len(windows) == 1 else 's'}, {tested}, {bars}"
    )


def _line(rule: Mapping[str, Any]) -> str:
    found = figure(rule["value"], ends_of(rule), ".4g")
    return f"- {rule['result']}: {' '.join(rule['words'].split())}: {found}, line at {number(rule['threshold'], 'g')} ({rule['name']})"
