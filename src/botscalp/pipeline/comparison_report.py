"""A comparison as files and as lines on a terminal."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from botscalp.pipeline.comparison import Comparison, Row
from botscalp.pipeline.evidence.estimates import Estimate
from botscalp.pipeline.luck import Luck

SCHEMA = 1


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write runs.parquet, runs.csv and compare.json."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([_flat(row) for row in comparison.rows])
    table.to_parquet(folder / "runs.parquet", index=False)
    table.to_csv(folder / "runs.csv", index=False)
    found = asdict(comparison)
    runs = found.pop("rows")
    found |= {"more_than_luck": comparison.luck.more_than_luck, "conclusion": comparison.conclusion}
    (folder / "compare.json").write_text(
        json.dumps({"schema": SCHEMA, **found, "runs": runs}, indent=1, allow_nan=False)
    )


def lines(comparison: Comparison) -> Iterator[str]:
    """The table, the paired differences, the measures of luck, and the conclusion."""
    rows = comparison.rows
    yield (
        f"{len(rows)} runs on {', '.join(comparison.markets)}; "
        f"{comparison.days} days in common, {comparison.first_day} .. {comparison.last_day}; 95 % intervals"
    )
    yield ""
    yield pd.DataFrame([_shown(row) for row in rows], index=range(1, len(rows) + 1)).to_string()
    yield ""
    yield f"less run 1, {rows[0].title}, on the same rows and days"
    less = [
        {
            "": row.title,
            "AUC": _text(row.auc_less_best, "+.4f") or "other labels",
            "net PnL a day": _text(row.daily_pnl_less_best, "+,.2f"),
        }
        for row in rows[1:]
    ]
    yield pd.DataFrame(less, index=range(2, len(rows) + 1)).to_string()
    yield ""
    if measures := list(_luck(comparison.luck)):
        yield from (*measures, "")
    yield comparison.conclusion


def _luck(luck: Luck) -> Iterator[str]:
    if luck.spa_p is not None:
        yield f"SPA p    {luck.spa_p:.3f}  the probability of so good a best if no run were better than staying flat"
    if luck.pbo is not None:
        yield f"PBO      {luck.pbo:.3f}  the share of halvings of the days whose best on one half is below the median on the other"
    if luck.deflated is not None:
        yield (
            f"deflated {luck.deflated.probability:.3f}  the probability that the best's true Sharpe ratio is above "
            f"{luck.deflated.expected_best_sharpe:.2f}, which the best of the {luck.search.count:,} settings that were tried "
            "on these days would show without skill"
        )


def _shown(row: Row) -> dict[str, str]:
    return {
        "run": row.title,
        "differs": ", ".join(f"{key}={value}" for key, value in row.differs.items()),
        "AUC": _text(row.auc, ".4f"),
        "Brier skill": "n/a" if row.brier_skill.value is None else f"{row.brier_skill.value:+.5f}",
        "trades": f"{row.trades:,}",
        "net bps a trade": _text(row.mean_net_bps, "+.2f"),
        "Sharpe": _text(row.sharpe, "+.2f"),
        "net PnL": f"{row.net_pnl:+,.2f}",
        "verdict": row.verdict,
    }


def _text(estimate: Estimate, form: str) -> str:
    """ "0.5406 [0.5245, 0.5568]"; nothing where there is no figure."""
    if estimate.value is None:
        return ""
    value = format(estimate.value, form)
    if estimate.interval is None:
        return value
    low, high = (format(end, form) for end in estimate.interval)
    return f"{value} [{low}, {high}]"


def _flat(row: Row) -> dict[str, Any]:
    """One column a figure, and two for the ends of its interval."""
    flat: dict[str, Any] = {}
    for name, value in vars(row).items():
        if isinstance(value, Estimate):
            low, high = value.interval or (None, None)
            flat |= {name: value.value, f"{name}_low": low, f"{name}_high": high}
        elif name == "differs":
            flat |= value
        else:
            flat[name] = value
    return flat
