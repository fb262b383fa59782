"""System metrics: sampled in a thread that ends with the run, thinned out in long ones, and never the run's trouble."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from runs import quiet_libraries

from botscalp.pipeline.tracking import machine
from botscalp.pipeline.tracking.machine import SystemMetrics
from botscalp.pipeline.tracking.recording import Sample
from botscalp.pipeline.tracking.store import address


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "system metrics"]


def sampled(tmp_path: Path, metrics: SystemMetrics, *, pause_s: float = 0.0) -> list[Sample]:
    with quiet_libraries():
        metrics.start("a run", address(tmp_path))
        threading.Event().wait(pause_s)
        found = metrics.stop()
    assert threads() == []
    return found


def test_a_run_shorter_than_the_interval_has_one_sample(tmp_path: Path) -> None:
    found = sampled(tmp_path, SystemMetrics(interval_s=60))
    assert {metric.step for metric in found} == {0}
    assert {"system/cpu_utilization_percentage", "system/disk_available_megabytes"} <= {metric.name for metric in found}


def test_samples_are_steps_and_half_of_them_are_dropped_when_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MOST", 6)
    metrics = SystemMetrics(interval_s=0.01)
    found = sampled(tmp_path, metrics, pause_s=0.5)
    memory = [metric for metric in found if metric.name == "system/system_memory_usage_megabytes"]
    assert [metric.step for metric in memory] == list(range(len(memory))) and 3 <= len(memory) <= 7
    times = [metric.time_ms for metric in memory]
    assert times == sorted(times) and metrics.interval_s >= 0.04


def failing(*_: Any, **__: Any) -> Any:
    raise OSError("no such sensor")


def test_a_monitor_that_cannot_be_made_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow.system_metrics.system_metrics_monitor as mlflow_s

    monkeypatch.setattr(mlflow_s, "SystemMetricsMonitor", failing)
    with caplog.at_level(logging.WARNING):
        assert sampled(tmp_path, SystemMetrics(interval_s=0.01)) == []
    assert [record.getMessage() for record in caplog.records] == ["no system metrics: no such sensor"]


def test_a_sensor_that_fails_later_leaves_what_was_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original, calls = machine._sampled, []

    def thrice(monitor: Any) -> dict[str, float]:
        calls.append(monitor)
        return original(monitor) if len(calls) <= 3 else failing()

    monkeypatch.setattr(machine, "_sampled", thrice)
    with caplog.at_level(logging.WARNING):
        found = sampled(tmp_path, SystemMetrics(interval_s=0.01), pause_s=0.5)
    assert {metric.step for metric in found} == {0, 1}
    assert [record.getMessage() for record in caplog.records] == ["no more system metrics: no such sensor"]
