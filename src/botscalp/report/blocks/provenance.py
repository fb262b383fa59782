"""What was run: data, windows, model, costs, code and the command that runs it again."""

import shlex
from collections.abc import Mapping
from typing import Any

from botscalp.report.answers import paid_bps, real
from botscalp.report.tables import Fact, Table

Summary = Mapping[str, Any]


def what_was_run(summary: Summary) -> list[Fact]:
    """The lines, in the order in which data meets the parts."""
    return [_bars(summary), _missing(summary["data"]), *_parts(summary), *_code(summary)]


def market(summary: Summary) -> str:
    """Whose bars they are."""
    data = summary["data"]
    return f"{'REAL' if real(summary) else 'SIMULATED'} bars of {', '.join(data['symbols'])}, {data['interval']}"


def command(summary: Summary) -> str:
    """What to type to run it again, on bars of the same digest."""
    words = [f"{key}={value}" for key, value in summary["overrides"].items()]
    return " ".join(["python -m botscalp.train", *map(shlex.quote, words)])


def settings(summary: Summary) -> Table:
    """What runs are compared by."""
    rows = sorted(summary["settings"].items())
    return Table(
        caption="Settings that runs are compared by; config.yaml holds all",
        columns=["key", "value"],
        rows=rows,
        folded=True,
    )


def window_ranges(summary: Summary) -> Table:
    """When each window was trained, validated and tested."""
    return Table(
        caption="Dates of the windows, UTC; each range ends where the next one begins, less what labels reach over",
        columns=["window", "train", "validation", "test", "end", "rows: train", "validation", "test", "epochs"],
        rows=[
            [
                str(window["window"]),
                *(window[name][0][:10] for name in ("train", "validation", "test")),
                window["test"][1][:10],
                *(f"{window[name]:,}" for name in ("n_train", "n_validation", "n_test")),
                str(window["epochs"]),
            ]
            for window in summary["windows"]
        ],
        folded=True,
    )


def _bars(summary: Summary) -> Fact:
    data = summary["data"]
    nothing = "" if real(summary) else "; they say nothing about a market"
    return (
        "Data",
        f"{market(summary)}, {_days((data['start'], data['end']))}: {data['rows']:,} bars, source {data['source']}, "
        f"digest {data['digest'][:12]}{nothing}",
    )


def _missing(data: Mapping[str, Any]) -> Fact:
    gaps = f"{data['gaps']:,}, {data['missing_bars']:,} bars in all; they stay missing" if data["gaps"] else "none"
    return ("Gaps", gaps)


def _parts(summary: Summary) -> list[Fact]:
    chosen, windows = summary["settings"], summary["windows"]
    tests = _days((windows[0]["test"][0], windows[-1]["test"][1]))
    scheme = _option({key: value for key, value in chosen.items() if key != "wfo.windows"}, "wfo")
    return [
        ("Windows", f"{len(windows)}, {scheme}, tests {tests}; each model has seen only what lies before its test"),
        *((term, _option(chosen, term.lower())) for term in ("Features", "Label", "Model", "Calibration")),
        ("Backtest", _option(chosen, "backtest")),
        ("Costs", _costs(summary)),
    ]


def _option(chosen: Mapping[str, str], group: str) -> str:
    """The group's option with its settings, e.g. "gru, hidden 32"; of what runs are compared by."""
    mine = {key.partition(".")[2]: value for key, value in chosen.items() if key.startswith(f"{group}.")}
    name = [mine.pop("name")] if "name" in mine else []
    return ", ".join([*name, *(f"{key} {value}" for key, value in mine.items())]) or "as by default"


def _costs(summary: Summary) -> str:
    """What a trade paid; the settings stand among the backtest's."""
    backtest = summary["backtest"]
    bps = paid_bps(summary)
    if bps is None:
        return "none, for nothing was traded"
    parts = ", ".join(f"{name} {backtest[name]:,.2f}" for name in ("fees", "slippage", "funding") if backtest[name])
    return f"{bps:.2f} bps of the entry's notional a trade; in the quote currency {parts or 'nothing'}"


def _code(summary: Summary) -> list[Fact]:
    code, mlflow = summary["code"], summary["mlflow"]
    state = {True: "with uncommitted changes", False: "as committed", None: "unknown whether changed since"}
    commit = f"commit {code['commit'][:12]}, {state[code['dirty']]}" if code["commit"] else "no commit is known"
    tracked = "not tracked" if mlflow is None else f"experiment {mlflow['experiment']}, run {mlflow['run_id']}"
    return [("Device", summary["device"]), ("Code", commit), ("MLflow", tracked)]


def _days(ends: Any) -> str:
    start, end = ends
    return f"{start[:10]} .. {end[:10]}"
