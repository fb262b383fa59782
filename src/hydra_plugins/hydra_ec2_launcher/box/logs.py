"""What jobs print, handed out piece by piece."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_logs(jobs: Path, offsets: Mapping[str, int], limit: int) -> dict[str, Any]:
    """What the jobs' logs hold from these byte offsets on, `limit` bytes shared out evenly, at least one each.

    A log is only ever appended to: offset plus length is where the next question goes on.
    """
    each = max(1, limit // max(1, len(offsets)))
    return {num: {"offset": start, "text_b64": _part(jobs, int(num), start, each)} for num, start in offsets.items()}


def _part(jobs: Path, num: int, offset: int, limit: int) -> str:
    try:
        with (jobs / str(num) / "log.txt").open("rb") as log:
            log.seek(offset)
            return base64.b64encode(log.read(limit)).decode()
    except FileNotFoundError:  # not started yet
        return ""
