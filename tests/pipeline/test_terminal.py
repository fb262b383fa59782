"""What a run says: ten lines to close with on the terminal, and every figure behind them in log.txt alone."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from runs import Run, composed
from summaries import a_summary, a_symbol, undefined

from botscalp.pipeline import details, terminal
from botscalp.report.answers import answers
from botscalp.report.outcomes import MEANING

LABELS = ["VERDICT", "why", "forecast", "trades", "costs", "would change", "trials", "time", "report"]
TABLES = (
    *("Forecasts of the same", "From training to test", "By thirds of the bars' volatility", "The account", "Trades "),
    *("All trades at a fixed size", "The same predictions, traded again", "Sentinels", "The other rules"),
    *("Brier score ", "The old rule"),
)
"""how tables and sentences of the details begin"""
NO_TRADES = dict.fromkeys(("mean_net_bps", "mean_gross_bps", "win_rate", "break_even", "sharpe"))


def closing(summary: dict[str, Any], folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that the terminal shows of a finished run."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "botscalp"):
        terminal.conclude(summary, folder)
    return [record.getMessage() for record in caplog.records if record.name == terminal.logger.name]


@pytest.mark.parametrize("outcome", MEANING)
def test_it_closes_in_ten_lines_whatever_the_outcome(
    outcome: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = a_summary(verdict={"outcome": outcome})
    untraded = a_summary(verdict={"outcome": outcome}, backtest={"trades": 0, "sharpe_undefined": "n/a", **NO_TRADES})
    for summary in (whole, untraded, undefined(whole), undefined(untraded)):
        lines = closing(summary, tmp_path, caplog)
        assert len(lines) <= 10 and lines[0] == ""
        assert [line[:14].rstrip() for line in lines[1:]] == LABELS
        assert all(line[14] == " " != line[15] and "None" not in line for line in lines[1:])
        assert lines[1] == f"VERDICT        {outcome}: {MEANING[outcome]}"
        assert lines[2].endswith(answers(summary).why) and lines[6].endswith(answers(summary).what_would_change)


def test_its_figures_are_those_of_the_summary(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = dict(zip(LABELS, (line[15:] for line in closing(a_summary(), tmp_path, caplog)[1:]), strict=True))
    assert lines["forecast"] == (
        "AUC 0.5348 [0.5260, 0.5428] on 34,833 rows, linear 0.5310; Brier skill +0.00370 [+0.00160, +0.00570]"
    )
    assert lines["trades"] == (
        "2,567 in 121 days, net -10.43 [-12.29, -8.53] bps each, -2,678.20 (-26.78%) in all; Sharpe -15.74 [-19.48, -11.76]"
    )
    assert lines["costs"] == (
        "10.76 bps a trade, +0.33 [-1.46, +2.14] earned before them; net at none +0.24, at half -5.00, at twice -21.41"
    )
    assert lines["trials"].startswith(
        "3 settings, this one included, have been tried on these test bars; the best of so many"
    )
    assert lines["time"] == "84 s, of which start-up 18 s and fit 32 s at 55,991 samples/s; 65% is not optimiser steps"


def test_what_is_absent_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = a_summary(
        backtest={"trades": 0, **NO_TRADES},
        trials=None,
        data={"source": "simulated", "markets": ["simulated BTCUSDT 5m"]},
        simulated={"auc_attainable": 0.55},
    )
    lines = closing(bare, tmp_path, caplog)
    assert lines[1].endswith("(SIMULATED bars)")
    assert ", attainable 0.5500; Brier" in lines[3]
    assert lines[4].endswith(" none in 121 days") and lines[5].endswith(" none paid")
    assert lines[7].endswith("not counted (tracking=none)")


def test_the_page_is_named_only_where_it_was_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert closing(a_summary(), tmp_path, caplog)[-1] == "report         every table is in log.txt"
    page = tmp_path / "report.html"
    page.touch()
    assert closing(a_summary(), tmp_path, caplog)[-1] == f"report         every table is in log.txt, pictures in {page}"


@pytest.mark.parametrize("summary", [a_summary(), undefined(a_summary())], ids=["all", "undefined"])
def test_the_details_hold_every_table_and_rule(summary: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, details.logger.name):
        details.tell(summary)
    lines = [record.getMessage() for record in caplog.records]
    assert all("None" not in line for line in lines)
    levels = ("half of those set", "as set, targets only where the price went beyond")
    for name in ("this model, calibrated", "linear", "sign of the last bar", *levels, "validation less test"):
        assert any(line.strip().startswith(name) for line in lines), name
    for rule in summary["verdict"]["rules"]:
        assert any(rule["name"] in line for line in lines)


def test_the_details_tell_of_each_of_several_symbols(caplog: pytest.LogCaptureFixture) -> None:
    symbols = [a_symbol(name, n=17_001, trades=1_301, net_pnl=-1_178.2) for name in ("BTCUSDT", "ETHUSDT")]
    for told, summary in ((0, a_summary()), (2, a_summary(symbols=symbols))):
        caplog.clear()
        with caplog.at_level(logging.INFO, details.logger.name):
            details.tell(summary)
        lines = [record.getMessage() for record in caplog.records]
        assert sum("USDT  " in line for line in lines) == told
    eth = "ETHUSDT 17,001 0.5348 [0.5267, 0.5429] 0.69130 [0.69030, 0.69230] +0.00370 [+0.00160, +0.00580] 1,301 -10.43 [-12.33, -8.53] -1,178.20"
    assert eth.split() in [line.split() for line in lines]


def test_tables_go_to_the_log_and_ten_lines_to_the_terminal(finished: Run, stdout: list[str]) -> None:
    log = re.sub(
        r"^\d{4}-\d\d-\d\d \S+ \w+ [\w.]+: ", "", (finished.folder / "log.txt").read_text(), flags=re.M
    ).splitlines()
    for table in TABLES:
        assert sum(line.strip().startswith(table) for line in log) >= 1, table
        assert not any(line.strip().startswith(table) for line in stdout), table
    last_window = max(number for number, line in enumerate(stdout) if line.startswith("window "))
    assert len(stdout) - 1 - last_window <= 10 + 1, "the block, and the run folder"
    assert stdout[last_window + 2].startswith("VERDICT        ") and stdout[-1] == str(finished.folder)
    said = {line.strip() for line in log}
    assert {line.strip() for line in stdout[:-1]} <= said | {""}, "nothing is said that the log lacks"


def test_windows_are_numbered_alike_on_the_terminal_and_in_files(finished: Run, stdout: list[str]) -> None:
    said = [line for line in stdout if line.startswith("window ")]
    for line, window in zip(said, finished.summary["windows"], strict=True):
        assert line.startswith(
            f"window {window['window']} ({window['window'] + 1}/2)  test {window['test'][0][:10]} .. "
        )
    assert {path.name for path in (finished.folder / "models").iterdir()} == {"0", "1"}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("linear", "linear, 2 epochs"),
        ("gru", "gru beside linear, 2 epochs"),
        ("boosting", "boosting beside linear, 300 trees"),
    ],
)
def test_the_baseline_is_named_beside_another_model(model: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    from botscalp.pipeline.panel import build_panel

    experiment = composed(f"model={model}")
    bars = experiment.data.load()
    panel = build_panel(bars, features=experiment.features, label=experiment.label, seed=0)
    windows = experiment.wfo.between(*panel.span_ns, interval_ns=panel.interval_ns, purge_ns=0)
    with caplog.at_level(logging.INFO, "botscalp"):
        terminal.announce(experiment, panel, windows, "cpu")
    lines = caplog.messages
    assert len(lines) == 6 and lines[5] == f"  model     {said} at most, on cpu"
    assert "(SIMULATED bars: no evidence about any market)" in lines[1]
