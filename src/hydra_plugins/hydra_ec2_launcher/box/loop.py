"""The agent's loop: everything that happens on the box without anybody asking."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from background import Asked
from clocks import Ending, Facts, may_power_off, spent_usd, struck
from files import read_json, write_json
from jobs import FAILED, QUEUED, RUNNING, Job
from notice import ask_notice
from packing import slots_now, this_machine
from process import boot_time, sessions
from running import Running, adopt, start
from sampler import Sample, append_sample, take_sample
from settings import read_settings
from store_copies import take_snapshot

_POWEROFF_RETRY_S = 30.0


class Loop:
    """Jobs, clocks and measurements of one root folder; all rebuilt from files, for an agent may die at any time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = read_settings(root)
        self.began = time.time()
        self.jobs: dict[int, Job] = {}
        self.running: dict[int, Running] = {}
        self.notice = read_json(root / "notice.json")
        self.ending: Ending | None = None
        self.slots, self.packing = 0, ""
        self.alarms: dict[str, str] = {}
        self.over = False
        self._saved_at = self._snapshots_at = self._poweroff_at = 0.0
        smi, imds, tick_s = self.settings.gpu, self.settings.imds, self.settings.tick_s
        self._samples = Asked(lambda: self._sampled(smi), self.settings.sample_s, None) if smi else None
        self._notices = Asked(lambda: ask_notice(imds), 5 * tick_s, None) if imds else None

    def run(self) -> None:
        """Tick until a clock has ended the machine."""
        while not self.over:
            began = time.monotonic()
            self.tick(time.time())
            time.sleep(max(0.0, self.settings.tick_s - (time.monotonic() - began)))

    def tick(self, now: float) -> None:
        """Look at everything once; a step that fails (a full disk, a file edited by hand) leaves the others alone."""
        self._try("settings", self._read_settings)
        self._try("accepted jobs", self._admit, now)
        self._try("notice", self._hear_notice, now)
        self._try("running jobs", self._watch, now)
        self._try("disk", self._check_disk)
        self._try("queue", self._start_queued, now)
        self._try("snapshots", self._snapshot_running, now)
        self._save(now)
        self._try("end", self._end, now)
        self._try("state", self._tell, now)

    @property
    def drain(self) -> str:
        """Why no job may run; "" where they may."""
        if self.notice is not None:
            return f"the cloud takes the machine back: {self.notice.get('action')} at {self.notice.get('time')}"
        if self.ending is not None:
            return f"the machine ends: {self.ending.words}"
        if (self.root / "shutdown").exists() or (self.root / "drain").exists():
            return "the client asked to stop all jobs"
        return ""

    @property
    def sample(self) -> Sample | None:
        """The last answer of nvidia-smi."""
        return None if self._samples is None else self._samples.latest

    def facts(self, now: float) -> Facts:
        """What the clocks look at."""
        jobs = self.jobs.values()
        queued = sum(job.status.state == QUEUED for job in jobs)
        events = [t for job in jobs for t in (job.status.accepted, job.status.ended or 0.0, job.harvested_at or 0.0)]
        return Facts(
            now=now,
            booted=boot_time(),
            open_jobs=len(self.running) + (0 if self.drain else queued),
            running=len(self.running),
            unharvested=len(self.unfetched()),
            quiet_since=max([self.began, *events]),
            client_seen=max(self.began, _mtime(self.root / "client.seen")),
            shutdown_asked=(self.root / "shutdown").exists(),
        )

    def unfetched(self) -> list[int]:
        """The ended jobs whose files the client does not have."""
        return [num for num, job in self.jobs.items() if job.status.over and job.harvested_at is None]

    def _try(self, name: str, step: Callable[..., None], *arguments: Any) -> None:
        """Run a step; what goes wrong becomes the alarm of that name until it goes well."""
        try:
            step(*arguments)
            self.alarms.pop(name, None)
        except Exception as error:
            words = f"{name}: {error}" if isinstance(error, (ValueError, OSError)) else f"{name}: {error!r}"
            if self.alarms.get(name) != words:
                traceback.print_exc()  # once, for it may go wrong a thousand times
            self.alarms[name] = words

    def _read_settings(self) -> None:
        self.settings = read_settings(self.root)

    def _admit(self, now: float) -> None:
        """Take in what the client sent, and what an earlier agent left running."""
        for folder in sorted((path.parent for path in self.root.glob("jobs/*/ready")), key=lambda path: int(path.name)):
            num = int(folder.name)
            job = self.jobs[num] = self.jobs.get(num) or Job(folder)
            if num in self.running:
                continue
            job.admit()
            if job.status.state == RUNNING:
                self._keep(adopt(job, now))
            elif job.status.state == QUEUED and job.cancelled:
                job.change(state=FAILED, reason="cancelled", ended=now)

    def _hear_notice(self, now: float) -> None:
        if self.notice is None and self._notices is not None and self._notices.latest is not None:
            self.notice = {**self._notices.latest, "heard": now}
            write_json(self.root / "notice.json", self.notice)

    def _watch(self, now: float) -> None:
        pids = sessions()
        for num, running in list(self.running.items()):
            self._try(f"job {num}", self._watch_one, running, pids.get(running.process.pid, []), now)

    def _watch_one(self, running: Running, pids: list[int], now: float) -> None:
        running.measure(pids, self.sample.process_mib if self.sample else {})
        if running.ended():
            self._collect(running, now)
        else:
            running.watch(self.settings, now, self.drain)

    def _collect(self, running: Running, now: float) -> None:
        """Judge an ended job, and give one that ran out of memory a second try with fewer beside it."""
        job, code = running.job, running.exit_code
        del self.running[job.num]
        self._snapshot(job, now)
        state, reason = job.judge(code)
        if state == FAILED and not job.status.stop and job.status.oom_slots is None and job.out_of_memory(code):
            (job.folder / "result.json").unlink(missing_ok=True)
            reason = f"ran out of memory with {job.status.slots} jobs at once: once more with fewer ({reason})"
            job.change(state=QUEUED, reason=reason, oom_slots=max(1, job.status.slots - 1))
        else:
            job.change(state=state, reason=reason, ended=now, exit_code=code)

    def _start_queued(self, now: float) -> None:
        gpu_mib = self.sample.figures["memory_total_mib"] if self.sample else None
        statuses = [job.status for job in self.jobs.values()]
        self.slots, self.packing = slots_now(self.settings.slots, this_machine(gpu_mib), statuses, now)
        for job in self.jobs.values():
            if "disk" in self.alarms or self.drain or len(self.running) >= self.slots:
                return
            if job.status.state == QUEUED:
                self._keep(start(job, self.settings, self.root, self.slots, now))

    def _check_disk(self) -> None:
        free_gb = shutil.disk_usage(self.root).free / 1e9
        if free_gb < self.settings.disk_low_gb:
            raise ValueError(f"{free_gb:.1f} GB are free: no job starts below {self.settings.disk_low_gb:g}")

    def _keep(self, running: Running | None) -> None:
        if running is not None:
            self.running[running.job.num] = running

    def _snapshot_running(self, now: float) -> None:
        if now - self._snapshots_at >= self.settings.snapshot_s:
            self._snapshots_at = now
            for running in self.running.values():
                self._snapshot(running.job, now)

    def _snapshot(self, job: Job, now: float) -> None:
        def copy() -> None:
            if take_snapshot(job.folder, job.spec.get("stores", ())):
                job.note(snapshot_at=now)

        self._try(f"copy of job {job.num}'s stores", copy)

    def _tell(self, now: float, durable: bool = False) -> None:
        """Replace state.json, what the client is told, by what is known now; times are unix times in seconds."""
        sample = self.sample
        state = {
            "schema": 1,
            "sweep": self.settings.sweep,
            "agent_pid": os.getpid(),
            "started": self.began,
            "now": now,
            "phase": self._phase(),
            "slots": self.slots,
            "packing": self.packing,
            "jobs": {str(num): job.told() for num, job in sorted(self.jobs.items())},
            "counts": Counter(job.status.state for job in self.jobs.values()),
            "unfetched": sorted(self.unfetched()),
            "utilisation": None if sample is None else {"at": sample.at, **sample.figures},
            "disk_free_gb": round(shutil.disk_usage(self.root).free / 1e9, 2),
            "spent_usd": round(spent_usd(self.settings.limits, self.facts(now)), 4),
            "ending": None if self.ending is None else asdict(self.ending),
            "alarms": list(self.alarms.values()),
            "notice": self.notice,
        }
        write_json(self.root / "state.json", state, durable)

    def _phase(self) -> str:
        if self.notice is not None:
            return "interrupted"
        if self.ending is not None:
            return "ending"
        return "draining" if self.drain else "running"

    def _save(self, now: float) -> None:
        if now - self._saved_at >= self.settings.sample_s:
            self._saved_at = now
            for job in self.jobs.values():
                self._try(f"job {job.num}", job.save)

    def _end(self, now: float) -> None:
        facts = self.facts(now)
        self.ending = self.ending or struck(self.settings.limits, facts)
        waits = self.ending is None or not may_power_off(self.ending, self.settings.limits, facts)
        if waits or now - self._poweroff_at < _POWEROFF_RETRY_S:
            return
        self._poweroff_at = now
        for job in self.jobs.values():
            self._try(f"job {job.num}", job.save)
        self._try("state", self._tell, now, True)
        self._try("poweroff", self._power_off)

    def _power_off(self) -> None:
        if self.settings.poweroff is not None:
            subprocess.run(self.settings.poweroff, stdin=subprocess.DEVNULL, timeout=60, check=True)
        self.over = True

    def _sampled(self, smi: list[str]) -> Sample:
        sample = take_sample(smi)
        append_sample(self.root / "utilisation.csv", sample)
        return sample


def _mtime(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0
