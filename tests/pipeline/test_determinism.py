"""The same config gives the same predictions to the last bit, wherever it runs and whatever runs beside it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from runs import Run, bits, walk


def sha256_by_day(run: Run) -> dict[pd.Timestamp, str]:
    """Hash of p_raw and p of each test day."""
    days = run.predictions.groupby(run.predictions["open_time"].dt.floor("D"))
    return {day: hashlib.sha256(bits(rows[["p_raw", "p"]])).hexdigest() for day, rows in days}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return walk(tmp_path_factory.mktemp("first") / "run")


def test_another_folder_and_another_process(run: Run, finished: Run) -> None:
    assert run.folder != finished.folder
    assert sha256_by_day(run) == sha256_by_day(finished)
    for name in ("trades", "equity"):
        pd.testing.assert_frame_equal(run.table(name), finished.table(name), check_exact=True)
    for key in ("metrics", "metrics_raw", "baselines", "intervals", "backtest", "sizes", "histogram"):
        assert run.summary[key] == finished.summary[key], key


def test_fewer_windows_change_no_window(run: Run, tmp_path: Path) -> None:
    fewer = sha256_by_day(walk(tmp_path / "run", "wfo.windows=1"))
    assert len(fewer) == 7
    assert fewer.items() < sha256_by_day(run).items()


def test_a_month_of_more_data_changes_no_earlier_window(run: Run, tmp_path: Path) -> None:
    later = sha256_by_day(walk(tmp_path / "run", "data.end=2023-03-20", "wfo.windows=6"))
    assert len(later) == 42
    assert sha256_by_day(run).items() < later.items()


def test_windows_run_in_the_state_another_fit_left(run: Run, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(12345)
    torch.rand(7)
    assert sha256_by_day(walk(tmp_path / "run")) == sha256_by_day(run)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "trainer.lr=0.02",
        "model.hidden=5",
        "model.dropout=0.1",
        "trainer.chunks=15",
        "trainer.chunk=17",
        "trainer.sampling=samples",
    ],
)
def test_what_should_change_predictions_changes_every_day(run: Run, override: str, tmp_path: Path) -> None:
    # The market stays: only the model's side differs.
    changed = sha256_by_day(walk(tmp_path / "run", override, "data.seed=0"))
    assert not changed.items() & sha256_by_day(run).items()


def test_each_symbol_keeps_its_bars_when_another_joins(tmp_path: Path, make_bars_file: Callable[..., Path]) -> None:
    """Two symbols in one file pattern: a prediction per symbol and bar, and the table says which is whose."""
    pattern = make_bars_file("{symbol}.parquet", symbols=("AAA", "BBB"))
    words = ("data=file", f"data.path='{pattern}'", "data.symbols=[AAA,BBB]")
    both = walk(tmp_path / "run", *words).predictions
    assert both.groupby(["window", "symbol"]).size().to_dict() == {
        (window, symbol): 7 * 288 for window in (0, 1) for symbol in ("AAA", "BBB")
    }
    swapped = walk(tmp_path / "swapped", *words[:2], "data.symbols=[BBB,AAA]").predictions
    for symbol in ("AAA", "BBB"):
        a, b = (table[table["symbol"] == symbol]["label"].to_numpy() for table in (both, swapped))
        assert bits(a) == bits(b), "the label belongs to the symbol"
