"""What MLflow shows of a finished run, from its summary."""

from collections.abc import Mapping
from typing import Any

from botscalp.pipeline.summary import headline
from botscalp.pipeline.tracking import TrackedResult, WindowFigures
from botscalp.pipeline.tracking.notes import run_note
from botscalp.report.numbers import figure, number
from botscalp.times import parse_time_ns

_TRADED = ("mean_net_bps", "trades")
"""what is known of a window only when all of them are traded, on one account"""


def tracked_result(summary: Mapping[str, Any], tags: Mapping[str, str]) -> TrackedResult:
    """The headline, the note, and each window's trades and row."""
    windows = summary["windows"]
    return TrackedResult(
        metrics=headline(summary),
        tags=tags,
        note=run_note(summary),
        windows=[
            WindowFigures(
                index=window["window"],
                test_start_ns=parse_time_ns(window["test"][0], key="test"),
                metrics={f"backtest/{name}": window[name] for name in _TRADED},
            )
            for window in windows
        ],
        tables={"windows": [_row(window) for window in windows]},
    )


def _row(window: Mapping[str, Any]) -> dict[str, Any]:
    """A window as a person reads it, in cells of MLflow's width.

    MLflow sets tables of several runs side by side, by their first column and on the second.
    """
    metrics, intervals = window["metrics"], window["intervals"]
    return {
        "test_start": window["test"][0][:10],
        "mean_net_bps": figure(window["mean_net_bps"], intervals["mean_net_bps"], "+.2f"),
        "auc": figure(metrics["auc"], intervals["auc"], ".3f"),
        "brier_skill": number(metrics["brier_skill"], "+.5f"),
        "ece": number(metrics["ece"], ".4f"),
        "trades": window["trades"],
        "rows": metrics["n"],
        "window": window["window"],
    }
