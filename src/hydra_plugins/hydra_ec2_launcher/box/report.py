"""What the agent tells the client: state.json."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clocks import spent_usd
from files import write_json
from jobs import Job

if TYPE_CHECKING:
    from loop import Loop

_TOLD = ("state", "reason", "attempt", "slots", "started", "ended", "exit_code", "oom_slots")
_MEASURED = ("peak_rss_mib", "peak_gpu_mib", "snapshot_at")


def write_state(loop: Loop, now: float, durable: bool = False) -> None:
    """Replace state.json by what the loop knows now; times are unix times in seconds."""
    sample = loop.sample
    state = {
        "schema": 1,
        "sweep": loop.settings.sweep,
        "agent_pid": os.getpid(),
        "started": loop.began,
        "now": now,
        "phase": _phase(loop),
        "slots": loop.slots,
        "packing": loop.packing,
        "jobs": {str(num): _told(job) for num, job in sorted(loop.jobs.items())},
        "counts": Counter(job.status.state for job in loop.jobs.values()),
        "unfetched": sorted(loop.unfetched()),
        "utilisation": None if sample is None else {"at": sample.at, **sample.figures},
        "disk_free_gb": round(shutil.disk_usage(loop.root).free / 1e9, 2),
        "spent_usd": round(spent_usd(loop.settings.limits, loop.facts(now)), 4),
        "ending": None if loop.ending is None else asdict(loop.ending),
        "alarms": list(loop.alarms.values()),
        "notice": loop.notice,
    }
    write_json(loop.root / "state.json", state, durable)


def _phase(loop: Loop) -> str:
    if loop.notice is not None:
        return "interrupted"
    if loop.ending is not None:
        return "ending"
    return "draining" if loop.drain else "running"


def _told(job: Job) -> dict[str, Any]:
    told = {name: getattr(job.status, name) for name in _TOLD + _MEASURED}
    return {**told, "harvested": job.harvested_at is not None}
