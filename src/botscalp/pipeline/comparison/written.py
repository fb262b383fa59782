"""A comparison as files and as lines on a terminal."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from botscalp.pipeline.comparison.ranking import Comparison
from botscalp.pipeline.comparison.row import Row
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.report.compare_page import write_compare_page
from botscalp.report.compared import standings
from botscalp.report.numbers import estimate, number
from botscalp.whole_files import whole, write_whole

SCHEMA = 2


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write runs.parquet, runs.csv, compare.json, and compare.html with its pictures."""
    found = found_of(comparison)
    table = pd.DataFrame([_flat(run) for run in found["runs"]])
    with whole(folder / "runs.parquet") as aside:
        table.to_parquet(aside, index=False)
    with whole(folder / "runs.csv") as aside:
        table.to_csv(aside, index=False)
    write_whole(folder / "compare.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    write_compare_page(folder, found, comparison.curves)


def found_of(comparison: Comparison) -> dict[str, Any]:
    """What compare.json holds."""
    luck = comparison.luck
    rest = ("study", "markets", "days", "first_day", "last_day", "unfinished")
    return {
        "schema": SCHEMA,
        **{name: getattr(comparison, name) for name in rest},
        "luck": {**asdict(luck), "measures": [{**vars(one), "result": one.result} for one in luck.measures]},
        "more_than_luck": luck.more_than_luck,
        "conclusion": comparison.conclusion,
        "runs": [_run(row) for row in comparison.rows],
    }


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The table, the paired differences, who may be as good as the best, the measures of luck, and the conclusion."""
    runs = found["runs"]
    yield (
        f"{len(runs)} runs on {', '.join(found['markets'])}; "
        f"{found['days']} days in common, {found['first_day']} .. {found['last_day']}; 95 % intervals"
    )
    yield ""
    yield pd.DataFrame([_shown(run) for run in runs], index=range(1, len(runs) + 1)).to_string()
    yield ""
    yield f"less run 1, {runs[0]['title']}, on the same rows and days"
    less = [
        {
            "": run["title"],
            "AUC": "other labels" if run["auc_less_best"]["value"] is None else estimate(run["auc_less_best"], "+.4f"),
            "net PnL a day": estimate(run["daily_pnl_less_best"], "+,.2f"),
            "beside the best": run["standing"],
        }
        for run in runs[1:]
    ]
    yield pd.DataFrame(less, index=range(2, len(runs) + 1)).to_string()
    yield standings(found)
    yield ""
    if known := [one for one in found["luck"]["measures"] if one["value"] is not None]:
        width = max(len(one["name"]) for one in known)
        for one in known:
            yield f"{one['name']:<{width}}  {one['value']:.3f}  {one['words']}"
        yield ""
    yield found["conclusion"]


def _run(row: Row) -> dict[str, Any]:
    """The row with its estimates as value, low and high."""
    run = {name: value.as_dict() if isinstance(value, Estimate) else value for name, value in vars(row).items()}
    return {**run, "standing": row.standing}


def _shown(run: Mapping[str, Any]) -> dict[str, str]:
    return {
        "run": run["title"],
        "differs": ", ".join(f"{key}={value}" for key, value in run["differs"].items()),
        "AUC": estimate(run["auc"], ".4f"),
        "log loss": number(run["log_loss"]["value"], ".5f"),
        "Brier skill": number(run["brier_skill"]["value"], "+.5f"),
        "trades": f"{run['trades']:,}",
        "net bps a trade": estimate(run["mean_net_bps"], "+.2f"),
        "Sharpe": estimate(run["sharpe"], "+.2f"),
        "net PnL": number(run["net_pnl"], "+,.2f"),
        "fit": f"{run['fit_s']:,.0f} s",
        "verdict": run["verdict"],
    }


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    """One column a figure, and two for the ends of its interval; rules by their results."""
    flat: dict[str, Any] = {}
    for name, value in run.items():
        match name:
            case "differs":
                flat |= value
            case "reasons":
                flat["reasons"] = ", ".join(value)
            case "rules":
                flat |= {f"rule {rule}": found["result"] for rule, found in value.items()}
            case "baselines":
                flat |= {f"{one} {key}": figure for one, known in value.items() for key, figure in known.items()}
            case _ if isinstance(value, Mapping):
                flat |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
            case _:
                flat[name] = value
    return flat
