"""What the GPU does, as nvidia-smi tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from command import output

_TIMEOUT_S = 5.0
_COLUMNS = ("gpu_percent", "memory_used_mib", "memory_total_mib", "temperature_c")
_QUERY = "utilization.gpu,memory.used,memory.total,temperature.gpu"


@dataclass(frozen=True)
class Sample:
    """One look at the first GPU; figures it does not give are None."""

    at: float
    figures: dict[str, float | None]
    process_mib: dict[int, float]
    """GPU memory by process"""


def take_sample(smi: Sequence[str]) -> Sample:
    """Ask nvidia-smi.

    Raises:
        OSError: it is absent.
        ValueError: it fails, or answers something else.
        subprocess.TimeoutExpired: it hangs.
    """
    form = "--format=csv,noheader,nounits"
    gpu = output([*smi, f"--query-gpu={_QUERY}", form], _TIMEOUT_S)
    processes = output([*smi, "--query-compute-apps=pid,used_memory", form], _TIMEOUT_S)
    first = [_number(cell) for cell in (gpu.splitlines() or [""])[0].split(",")]
    if len(first) != len(_COLUMNS):
        raise ValueError(f"{smi[0]} answers {gpu[:200]!r}, not {len(_COLUMNS)} figures")
    rows = [[_number(cell) for cell in line.split(",")] for line in processes.splitlines()]
    memory = {int(row[0]): row[1] for row in rows if len(row) == 2 and row[0] is not None and row[1] is not None}
    return Sample(time.time(), {name: first[i] for i, name in enumerate(_COLUMNS)}, memory)


def append_sample(path: Path, sample: Sample) -> None:
    """Add a line to the CSV file, under a header that names the columns."""
    new = not path.exists()
    with path.open("a") as file:
        if new:
            file.write(",".join(["time_unix_s", *_COLUMNS]) + "\n")
        cells = ["" if value is None else f"{value:g}" for value in sample.figures.values()]
        file.write(",".join([f"{sample.at:.1f}", *cells]) + "\n")


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
