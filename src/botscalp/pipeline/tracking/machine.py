"""What the machine does while a run lasts: MLflow's own system metrics, which its pages show under a tab of their own."""

import logging
import threading
from typing import Any

from botscalp.pipeline.tracking.clock import Clock, steady_clock
from botscalp.pipeline.tracking.recording import Sample

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""between the first samples"""
MOST = 240
"""samples that are kept; every second one is dropped when there are as many, and from then on half as many are taken"""


class SystemMetrics:
    """Samples processor, memory, disk and network, and a GPU where nvidia-ml-py is installed, in a thread.

    The samples wait until they are asked for: pages list a run's metrics as they were logged, and the headline is to come
    first. Whatever goes wrong is said once, and no matter of the run.
    """

    def __init__(self, interval_s: float = INTERVAL_S, *, clock: Clock | None = None) -> None:
        self.interval_s = interval_s
        self.clock = clock or steady_clock()
        self.samples: list[tuple[int, dict[str, float]]] = []
        """time in ms since 1970, and the mean or last of each metric since the sample before"""
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self, run_id: str, tracking_uri: str) -> None:
        """Sample from now on."""
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)
            made: Any = SystemMetricsMonitor  # which has no types
            monitor = made(run_id, tracking_uri=tracking_uri)  # asked, and not started: it would log at once
            _sampled(monitor)  # since when the processor's share counts
        except Exception as error:
            logger.warning("no system metrics: %s", error)
            return
        self.thread = threading.Thread(target=self._sample, args=(monitor,), daemon=True, name="system metrics")
        self.thread.start()

    def stop(self) -> list[Sample]:
        """End the thread after a last sample; all samples, those of a metric as its steps."""
        self.ended.set()
        if self.thread is not None:
            self.thread.join()
        samples, self.samples = self.samples, []
        return [
            Sample(f"system/{name}", value, time_ms, step)
            for step, (time_ms, values) in enumerate(samples)
            for name, value in values.items()
        ]

    def _sample(self, monitor: Any) -> None:
        try:
            while True:
                last = self.ended.wait(self.interval_s)
                self.samples.append((self.clock(), _sampled(monitor)))
                if last:
                    return
                if len(self.samples) >= MOST:
                    self.samples, self.interval_s = self.samples[1::2], 2 * self.interval_s
        except Exception as error:
            logger.warning("no more system metrics: %s", error)


def _sampled(monitor: Any) -> dict[str, float]:
    """What MLflow's monitors find since they were last asked, by its names."""
    monitor.collect_metrics()
    values = {name: float(value) for name, value in monitor.aggregate_metrics().items()}
    for one in monitor.monitors:
        one.clear_metrics()
    return values
