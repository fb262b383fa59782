"""The search as one run of its study in MLflow, its page and pictures among the artifacts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botscalp.pipeline.ledger import Trial
from botscalp.pipeline.search.plan import Plan
from botscalp.pipeline.tracking import NewRun, TrackedResult, Tracking
from botscalp.whole_files import write_whole

FILE = "search.json"


def record_search(
    found: Mapping[str, Any], plan: Plan, *, folder: Path, sweep: str, store: Path, tracking: Tracking
) -> None:
    """Write search.json and the page into `folder`, and record them, unless that was done of the same trials before.

    Args:
        sweep: the tag that its trials have in common.
    """
    from botscalp.report.search_page import write_search_page

    path, text = folder / FILE, json.dumps(found, indent=1, allow_nan=False) + "\n"
    if path.is_file() and path.read_text() == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    luck, trials = found["luck"], {one["number"]: one for one in found["trials"]}
    best = None if found["best"] is None else trials[found["best"]]
    new = NewRun(
        store=store,
        study=found["study"],
        name=f"search of {len(found['trials'])} trials",
        params={} if best is None else {f"best/{key}": str(value) for key, value in best["params"].items()},
        tags={"kind": "search", "sweep": sweep},
        trial=Trial(count=0, markets=plan.markets, test_start=plan.search[0][0], test_end=plan.search[-1][1]),
        config=None,
    )
    metrics = {
        f"search/{plan.objective}": None if best is None else best["value"],
        "search/trials": float(luck["trials"]),
        "search/pruned": float(found["time"]["pruned"]),
        "search/failed": float(found["time"]["failed"]),
        "search/pbo": luck["pbo"],
        "search/deflated_sharpe": luck["deflated"],
        "search/expected_best_sharpe": luck["expected_best_sharpe"],
    }
    with tracking.run(new) as run:
        write_search_page(folder, found)
        write_whole(path, text)
        run.log_result(TrackedResult(metrics=metrics, note=found["conclusion"]), folder)
