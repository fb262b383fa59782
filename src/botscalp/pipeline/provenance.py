"""Where a run's figures come from: which bars, which code, which device. Read before anything is trained."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import botscalp
from botscalp.data import Source
from botscalp.pipeline.ledger import market_names
from botscalp.pipeline.panel import Panel
from botscalp.times import interval_name
from botscalp.types import Bars
from botscalp.windows import Range


def provenance(source: Source, panel: Panel, device: str) -> dict[str, Any]:
    """The keys data, code and device of summary.json."""
    start, end = Range(*panel.span_ns).iso()
    interval = interval_name(panel.interval_ns)
    return {
        "data": {
            "source": source.source,
            "symbols": panel.symbols,
            "interval": interval,
            "markets": market_names(source, interval),
            "start": start,
            "end": end,
            "rows": len(panel.open_time_ns),
            **_missing(panel.bars),
            "digest": panel.digest,
        },
        "code": _code(),
        "device": device,
    }


def _missing(market: Sequence[Bars]) -> dict[str, int]:
    """Stretches of bars that are not there, and how many bars they would hold, of all symbols together."""
    missing = np.concatenate([np.diff(bars.number) - 1 for bars in market])
    return {"gaps": int((missing > 0).sum()), "missing_bars": int(missing.sum())}


def provenance_tags(origin: Mapping[str, Any]) -> dict[str, str]:
    """What a person filters runs by, as MLflow tags."""
    return {
        "data.digest": origin["data"]["digest"],
        "data.source": origin["data"]["source"],
        "device": origin["device"],
        "mlflow.source.git.commit": origin["code"]["commit"] or "",
        "code.dirty": str(origin["code"]["dirty"]).lower(),
    }


def _code() -> dict[str, Any]:
    """Commit of the sources, and whether they were changed since; a copy that was sent without its history is told both."""
    if commit := _git("rev-parse", "HEAD"):
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}
    dirty = {"true": True, "false": False}.get(os.environ.get("SOURCE_DIRTY", ""))
    return {"commit": os.environ.get("SOURCE_COMMIT") or None, "dirty": dirty}


def _git(*words: str) -> str | None:
    """What git says about the sources; None outside a repository. It takes no lock, which a kill would leave behind."""
    folder = Path(botscalp.__file__).parent
    try:
        return subprocess.run(
            ["git", "--no-optional-locks", *words], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
