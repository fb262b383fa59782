"""A job that runs: started, adopted, watched, stopped and collected."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from jobs import FAILED, LOST, PREEMPTED, QUEUED, RUNNING, TIMEOUT, Job, Stop
from packing import share_env
from process import Process, boot_id, leader_in, process_of, rss_mib
from settings import Settings


class Running:
    """The process of one job, whether this agent started it or one before."""

    def __init__(self, job: Job, process: Process, child: subprocess.Popen[bytes] | None = None) -> None:
        self.job = job
        self.process = process
        self._child = child
        self._progress_checked = 0.0

    def ended(self) -> bool:
        """Whether the process is gone; what it left behind in its group is killed then."""
        alive = self.process.alive if self._child is None else self._child.poll() is None
        if not alive:
            self.process.signal_group(signal.SIGKILL)
        return not alive

    @property
    def exit_code(self) -> int | None:
        """Minus the signal for a killed one; None for a process some earlier agent started."""
        return None if self._child is None else self._child.returncode

    def watch(self, settings: Settings, now: float, drain: str) -> None:
        """Tell the job to stop where it has to: SIGTERM, and SIGKILL when the grace is over. `drain` is why all must."""
        stop = self.job.status.stop
        if stop is None:
            stop = self._why_stop(settings, now, drain)
            if stop is not None:
                self.job.change(stop=stop)
                self.process.signal_group(signal.SIGTERM)
        elif now >= stop.at + settings.grace_s:
            self.process.signal_group(signal.SIGKILL)

    def measure(self, pids: list[int], gpu_mib: dict[int, float]) -> None:
        """Raise the peaks to what these processes of the job hold now."""
        if not pids:
            return
        status = self.job.status
        gpu = [gpu_mib[pid] for pid in pids if pid in gpu_mib]
        peaks = {
            "peak_rss_mib": max(status.peak_rss_mib or 0.0, rss_mib(pids)),
            "peak_gpu_mib": max(status.peak_gpu_mib or 0.0, sum(gpu)) if gpu else status.peak_gpu_mib,
        }
        if peaks != {name: getattr(status, name) for name in peaks}:
            self.job.note(**peaks)

    def _why_stop(self, settings: Settings, now: float, drain: str) -> Stop | None:
        status, timeout_s = self.job.status, settings.job_timeout_s
        if self.job.cancelled:
            return Stop(FAILED, "cancelled", now)
        if drain:
            return Stop(PREEMPTED, drain, now)
        if timeout_s and now - (status.started or now) > timeout_s:
            return Stop(TIMEOUT, f"ran longer than {timeout_s:g} s", now)
        quiet_s = settings.no_progress_s
        if quiet_s and now - self._progress_checked > min(60.0, quiet_s / 10):
            self._progress_checked = now
            if now - max(status.started or 0.0, self.job.newest_change()) > quiet_s:
                return Stop(TIMEOUT, f"no progress: neither log nor files changed for {quiet_s:g} s", now)
        return None


def start(job: Job, settings: Settings, root: Path, slots: int, now: float) -> Running | None:
    """Start the job in a session of its own; None, and FAILED, where the system refuses."""
    env = {**os.environ, **share_env(len(os.sched_getaffinity(0)), slots, job.spec.get("env", {}))}
    env["PYTHONUNBUFFERED"] = "1"  # the log is followed live
    if settings.code is not None:
        env["PYTHONPATH"] = str(root / settings.code / "src")
    # Before the process: an agent that dies in between finds it by its folder, and never starts a second one.
    job.change(state=RUNNING, reason="", started=now, ended=None, exit_code=None, stop=None, pid=None, slots=slots)
    try:
        job.work.mkdir(exist_ok=True)
        with job.log.open("ab") as log:
            child = subprocess.Popen(
                [str(root / settings.python), *job.spec["argv"]],
                cwd=job.work,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        job.change(state=FAILED, reason=f"cannot be started: {error}", ended=now)
        return None
    process = process_of(child.pid)
    assert process is not None, "an uncollected child keeps its number"
    job.change(pid=process.pid, process_start=process.start, boot=process.boot)
    return Running(job, process, child)


def adopt(job: Job, now: float) -> Running | None:
    """Take over a job that an earlier agent started; None where it never came to life, or the machine restarted."""
    status = job.status
    restarted = status.boot is not None and status.boot != boot_id()
    if not restarted and status.pid is not None and status.process_start is not None and status.boot is not None:
        return Running(job, Process(status.pid, status.process_start, status.boot))
    process = leader_in(job.work)
    if process is not None:
        job.change(pid=process.pid, process_start=process.start, boot=process.boot)
        return Running(job, process)
    if (job.folder / "result.json").exists():
        state, reason = job.judge(None)
        job.change(state=state, reason=reason, ended=now)
    elif restarted:
        job.change(state=LOST, reason="the machine restarted", ended=now)
    else:
        job.change(state=QUEUED, reason="")
    return None
