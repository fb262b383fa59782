"""How many jobs share the machine, and what each of them is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs import DONE, Status

_SHARE = 0.9
"""of the memory; the rest is for contexts, the system and fragmentation"""
THREADS_PER_JOB = 2
MEASURE_S = 60.0
"""after which a job that still runs has shown what it needs"""


@dataclass(frozen=True)
class Machine:
    """What there is."""

    cores: int
    ram_mib: float
    gpu_mib: float | None
    """None where no GPU answers"""


def slots_now(configured: int, machine: Machine, statuses: Sequence[Status], now: float) -> tuple[int, str]:
    """How many jobs may run at once, and why: as configured or, with 0, by what the jobs measured so far needed."""
    slots, words = configured, f"{configured}: as configured"
    if configured == 0:
        measured = [status for status in statuses if _measured(status, now)]
        rss, gpu = (_peak(getattr(status, name) for status in measured) for name in ("peak_rss_mib", "peak_gpu_mib"))
        slots, words = fitting_slots(machine, rss, gpu) if measured else (1, "1: until a job has been measured")
    least = min((status.oom_slots for status in statuses if status.oom_slots is not None), default=slots)
    return (slots, words) if slots <= least else (least, f"{least}: a job ran out of memory with one more")


def fitting_slots(machine: Machine, rss_mib: float | None, gpu_mib: float | None) -> tuple[int, str]:
    """How many jobs that need so much fit, at least one, and the computation; what is not known (None) is left out."""
    terms = {f"cores {machine.cores} // {THREADS_PER_JOB}": machine.cores // THREADS_PER_JOB}
    for name, total_mib, peak_mib in (("GPU", machine.gpu_mib, gpu_mib), ("memory", machine.ram_mib, rss_mib)):
        if total_mib and peak_mib:
            terms[f"{name} {_SHARE} * {total_mib:.0f} / {peak_mib:.0f} MiB"] = int(_SHARE * total_mib / peak_mib)
    slots = max(1, min(terms.values()))
    return slots, f"{slots}: the least of " + ", ".join(f"{words} = {fit}" for words, fit in terms.items())


def this_machine(gpu_mib: float | None) -> Machine:
    """The machine this runs on; nvidia-smi knows its GPU."""
    ram_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Machine(len(os.sched_getaffinity(0)), ram_mib, gpu_mib)


def share_env(cores: int, slots: int, wanted: Mapping[str, str]) -> dict[str, str]:
    """The environment that keeps a job to its share of the machine; what the job sets itself wins."""
    threads = str(max(1, cores // slots))
    env = {name: threads for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    if slots > 1 and "PYTORCH_CUDA_ALLOC_CONF" not in wanted:
        env["PYTORCH_ALLOC_CONF"] = f"per_process_memory_fraction:{_SHARE / slots:.3f}"
    return {**env, **wanted}


def _measured(status: Status, now: float) -> bool:
    """Whether the job has shown what it needs; one that failed at once has not."""
    ran_s = (status.ended or now) - status.started if status.started is not None else 0.0
    return status.state == DONE or ran_s >= MEASURE_S


def _peak(figures: Iterable[float | None]) -> float | None:
    return max((figure for figure in figures if figure is not None), default=None)
