"""The files of a run: tables by fixed schemas, and summary.json last, so that its presence means that the run is whole."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from botscalp.errors import UserError
from botscalp.pipeline.rules import Verdict
from botscalp.whole_files import whole, write_whole

CONFIG = "config.yaml"

_TIME = pa.timestamp("ms", tz="UTC")

PREDICTIONS = pa.schema(
    {
        "open_time": _TIME,
        "symbol": pa.string(),
        "window": pa.int64(),
        "p_raw": pa.float64(),
        "p": pa.float64(),
        "label": pa.float64(),
    }
)
TRADES = pa.schema(
    {
        "symbol": pa.string(),
        "window": pa.int64(),
        "side": pa.int64(),
        "signal_time": _TIME,
        "entry_time": _TIME,
        "exit_time": _TIME,
        "entry_price": pa.float64(),
        "exit_price": pa.float64(),
        "size_base": pa.float64(),
        "reason": pa.string(),
        "gross_quote": pa.float64(),
        "slippage_quote": pa.float64(),
        "fees_quote": pa.float64(),
        "funding_quote": pa.float64(),
        "pnl_quote": pa.float64(),
    }
)
EQUITY = pa.schema({"close_time": _TIME, "equity_quote": pa.float64()})


def remove_if_empty(folder: Path) -> None:
    """Remove the folder that Hydra made for a run that never began."""
    if not (folder / "models").exists():
        for name in (CONFIG, "log.txt"):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_predictions(folder: Path, test: pd.DataFrame, validation: pd.DataFrame) -> None:
    """Write what the windows say of their test ranges, and of the second halves of their validation."""
    _write_parquet(folder / "predictions.parquet", test, PREDICTIONS)
    _write_parquet(folder / "validation.parquet", validation, PREDICTIONS)


def write_trading(folder: Path, trades: pd.DataFrame, equity: pd.DataFrame) -> None:
    """Write what a backtest made."""
    _write_parquet(folder / "trades.parquet", trades, TRADES)
    _write_parquet(folder / "equity.parquet", equity, EQUITY)


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write probabilities of bars whose labels are not known: predictions without the label."""
    _write_parquet(path, scores, PREDICTIONS.remove(PREDICTIONS.get_field_index("label")))


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json; a NaN or an infinity in it is a fault of ours."""
    write_whole(folder / "summary.json", json.dumps(summary, indent=1, allow_nan=False) + "\n")


def write_rules(folder: Path, verdict: Verdict) -> None:
    """Write verdict.csv: the rules as a table, which MLflow shows as one."""
    with whole(folder / "verdict.csv") as aside:
        pd.DataFrame([vars(rule) for rule in verdict.rules]).to_csv(aside, index=False)


def read_summary(folder: Path) -> dict[str, Any]:
    """What summary.json holds.

    Raises:
        UserError: the run wrote none, because it did not finish.
    """
    path = folder / "summary.json"
    if not path.is_file():
        raise UserError("run", folder, "it holds no summary.json", "name a run that finished")
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary


def folder_of(run: str, store: Path) -> Path:
    """The folder of a run that is named by its folder or by its MLflow id.

    Raises:
        UserError: it is neither.
    """
    if run.strip() and Path(run).is_dir():
        return Path(run)
    if (store / "mlflow.db").is_file():
        from botscalp.pipeline.tracking import artifacts_of

        folder = artifacts_of(run, store)
        if folder is not None:
            return folder
    raise UserError(
        "run",
        run,
        f"neither a folder nor a run of the tracking store in {store}",
        "copy it from the last line of `train`",
    )


def _write_parquet(path: Path, table: pd.DataFrame, schema: pa.Schema) -> None:
    """NaN becomes null."""
    with whole(path) as aside:
        parquet.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), aside)
