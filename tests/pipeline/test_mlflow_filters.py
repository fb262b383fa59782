"""The filters of docs/mlflow.md and of the README, each asked of a real store."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runs import quiet_libraries
from tracked import fresh_store, new_run

from botscalp.errors import Interrupted
from botscalp.pipeline.tracking import MlflowTracking, TrackedResult, TrackedWindow, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROOT = Path(__file__).resolve().parents[2]
SWEEP = "2026-01-31_12-00-00-000000"
RUNS = {
    "gru-h3": (
        {"model.name": "gru", "label.horizon": "3"},
        {"data.source": "file", "data.digest": "41290ea53617", "sweep": SWEEP, "code.dirty": "true"},
        {"verdict": "REJECTED", "verdict.reason": "mean_net_bps"},
        {"backtest/mean_net_bps_lo": -13.0, "backtest/net_pnl_2x_cost": -9e3, "backtest/trades": 1_859.0}
        | {"test/auc": 0.528, "test/auc_lo": 0.514, "test/brier_skill_lo": -0.001},
    ),
    "linear-h3": (
        {"model.name": "linear", "label.horizon": "3"},
        {"data.source": "file", "data.digest": "41290ea53617", "sweep": SWEEP, "code.dirty": "false"},
        {"verdict": "REJECTED", "verdict.reason": "sharpe"},
        {"backtest/mean_net_bps_lo": -1.0, "backtest/net_pnl_2x_cost": -1e3, "backtest/trades": 999.0}
        | {"test/auc": 0.531, "test/auc_lo": 0.499, "test/brier_skill_lo": 0.0},
    ),
    "gru-h6": (
        {"model.name": "gru", "label.horizon": "6"},
        {"data.source": "simulated", "data.digest": "0d", "code.dirty": "false"},
        {"verdict": "CANDIDATE", "verdict.reason": "", "verdict.overridden": "tracked,real_data"},
        {"backtest/mean_net_bps_lo": 0.5, "backtest/net_pnl_2x_cost": 10.0, "backtest/trades": 1_000.0}
        | {"test/auc": 0.56, "test/auc_lo": 0.55, "test/brier_skill_lo": 0.004},
    ),
    "audit gru-h6": ({}, {"kind": "audit", "data.source": "simulated", "data.digest": "0d"}, {}, {}),
    "trial 7": ({}, {"kind": "trial", "data.source": "simulated", "data.digest": "0d", "sweep": "gru_2024"}, {}, {}),
    "died": ({"model.name": "gru"}, {"data.source": "simulated", "data.digest": "0e"}, None, {}),
}
"""by name: params, tags at first, tags at last (None where it was interrupted before), metrics"""
ANSWERS = {
    "tags.level = 'study'": set(RUNS),
    "tags.verdict = 'CANDIDATE'": {"gru-h6"},
    "tags.verdict != 'REJECTED'": {"gru-h6"},
    "tags.verdict = 'REJECTED' and params.model.name = 'gru'": {"gru-h3"},
    "tags.verdict.reason = 'mean_net_bps'": {"gru-h3"},
    "metrics.`backtest/mean_net_bps_lo` > 0 and tags.level = 'study'": {"gru-h6"},
    "metrics.`backtest/net_pnl_2x_cost` > 0 and tags.level = 'study'": {"gru-h6"},
    "metrics.`test/auc` > 0.53 and tags.level = 'study'": {"linear-h3", "gru-h6"},
    "metrics.`test/auc_lo` > 0.5 and tags.level = 'study'": {"gru-h3", "gru-h6"},
    "metrics.`test/brier_skill_lo` > 0 and tags.level = 'study'": {"gru-h6"},
    "metrics.`backtest/trades` >= 1000 and tags.level = 'study'": {"gru-h3", "gru-h6"},
    "params.label.horizon = '3'": {"gru-h3", "linear-h3"},
    "tags.data.source = 'file' and tags.level = 'study'": {"gru-h3", "linear-h3"},
    "tags.data.digest LIKE '41290ea5%'": {"gru-h3", "linear-h3"},
    f"tags.sweep = '{SWEEP}'": {"gru-h3", "linear-h3"},
    "tags.verdict.overridden LIKE '%real_data%'": {"gru-h6"},
    "tags.code.dirty = 'true' and tags.level = 'study'": {"gru-h3"},
    "tags.kind = 'audit'": {"audit gru-h6"},
    "tags.kind = 'trial' and tags.sweep = 'gru_2024'": {"trial 7"},
    "attributes.status = 'KILLED' and tags.level = 'study'": {"died"},
    "metrics.`test/auc` < 0.5 and tags.level = 'window'": {"unlucky window of gru-h3"},
}


def filters(document: str) -> list[str]:
    """What the document's tables of filters, or its sentences, offer to search for."""
    return re.findall(r"(?<!`)``?((?:tags|params|metrics|attributes)\.(?:`[^`\n]+`)?[^`\n]* [^`\n]*)``?(?!`)", document)


@pytest.fixture(scope="module")
def client(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[MlflowClient]":
    """Of a store with these runs, each with a lucky and an unlucky window."""
    with quiet_libraries():
        store = fresh_store(once, tmp_path_factory.mktemp("filters"))
        (store / "files").mkdir()
        for name, run in RUNS.items():
            record(store, name, *run)
        yield open_store(store, "s")[0]


def record(
    store: Path,
    name: str,
    params: dict[str, str],
    tags: dict[str, str],
    last: dict[str, str] | None,
    metrics: dict[str, float],
) -> None:
    try:
        with MlflowTracking().run(new_run(store, name=name, params=params, tags=tags)) as run:
            if "kind" not in tags:
                for index, (luck, auc) in enumerate((("lucky", 0.9), ("unlucky", 0.6 if name != "gru-h3" else 0.4))):
                    title = f"{luck} window of {name}"
                    run.log_window(
                        TrackedWindow(index=index, test_start_ns=0, name=title, history=[], metrics={"test/auc": auc})
                    )
            if last is None:
                raise Interrupted
            run.log_result(TrackedResult(metrics=metrics, tags=last), store / "files")
    except Interrupted:
        assert last is None


@pytest.mark.parametrize("search", ANSWERS)
def test_a_filter_finds_what_its_question_asks_for(client: "MlflowClient", search: str) -> None:
    found = client.search_runs([client.get_experiment_by_name("s").experiment_id], search)
    assert {run.info.run_name for run in found} == ANSWERS[search]


def test_every_filter_of_the_documents_is_asked() -> None:
    written = filters((ROOT / "docs/mlflow.md").read_text())
    assert set(written) == set(ANSWERS)
    shown = filters((ROOT / "README.md").read_text())
    assert len(shown) >= 3 and set(shown) <= set(ANSWERS)
