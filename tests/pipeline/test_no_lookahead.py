"""Bars after t never change whether a bar up to t gets a prediction, or which, or a trade that is over by t."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import Run, bits, composed, walk

from botscalp.data.files import FileSource
from botscalp.pipeline.kept_model import KeptModel

FIRST_WINDOW = pd.Timestamp("2023-02-09T11:20", tz="UTC")
SECOND_WINDOW = pd.Timestamp("2023-02-16T03:45", tz="UTC")


def with_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """The market that all tests share has missing bars, in tests too."""
    rng = np.random.default_rng(1)
    holes = rng.choice(np.arange(1000, len(table) - 1), 40, replace=False)
    return table.drop(index=table.index[holes]).reset_index(drop=True)


def repriced(table: pd.DataFrame, time: pd.Timestamp) -> pd.DataFrame:
    """Every bar after `time` at other prices and volumes."""
    table = with_gaps(table)
    late = table["open_time"] > time
    rng = np.random.default_rng(2)
    prices, volumes = ["open", "high", "low", "close"], ["volume", "taker_buy_volume", "quote_volume"]
    table.loc[late, prices] = table.loc[late, prices].mul(rng.uniform(0.9, 1.1, late.sum()), axis=0)
    table.loc[late, volumes] = table.loc[late, volumes].mul(rng.uniform(0, 9, late.sum()), axis=0)
    return table


def thinned(table: pd.DataFrame, time: pd.Timestamp) -> pd.DataFrame:
    """A tenth of the bars after `time` gone, the very next one among them; the last one stays, so that the tests are whole."""
    table = with_gaps(table)
    late = np.flatnonzero(table["open_time"] > time)
    rng = np.random.default_rng(3)
    gone = np.append(rng.choice(late[:-1], len(late) // 10, replace=False), late[0])
    return table.drop(index=np.unique(gone))


def walk_on(path: Path, folder: Path) -> Run:
    return walk(folder, "data=file", f"data.path='{path}'")


@pytest.fixture
def original(make_bars_file: Callable[..., Path], tmp_path: Path) -> Run:
    return walk_on(make_bars_file("original.parquet", change=with_gaps), tmp_path / "original")


@pytest.mark.parametrize("time", [FIRST_WINDOW, SECOND_WINDOW], ids=["in-first-test", "in-second-test"])
@pytest.mark.parametrize("change", [repriced, thinned])
def test_later_bars_change_nothing_before_them(
    original: Run,
    time: pd.Timestamp,
    change: Callable[..., pd.DataFrame],
    make_bars_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    path = make_bars_file("changed.parquet", change=lambda table: change(table, time))
    changed = walk_on(path, tmp_path / "changed")
    before, after = (run.predictions[run.predictions["open_time"] <= time] for run in (original, changed))
    assert len(before) > 500
    assert before["open_time"].tolist() == after["open_time"].tolist()
    assert bits(before[["p_raw", "p"]]) == bits(after[["p_raw", "p"]])
    over, over_too = (
        trades[trades["exit_time"] <= time] for trades in (original.table("trades"), changed.table("trades"))
    )
    assert len(over) > 50
    pd.testing.assert_frame_equal(over, over_too, check_exact=True)
    # And the change was one: bars after it are predicted otherwise.
    later = [run.predictions[run.predictions["open_time"] > time] for run in (original, changed)]
    assert bits(later[0]["p_raw"]) != bits(later[1]["p_raw"])


def test_a_gap_costs_the_bars_whose_lags_cross_it_and_no_other(original: Run, tmp_path: Path) -> None:
    """Four lags: a bar is predicted iff it and the three before it exist."""
    table = pd.read_parquet(tmp_path / "original.parquet")
    time = table["open_time"]
    complete = time.diff(3) == pd.Timedelta(minutes=15)
    start, end = original.summary["windows"][0]["test"][0], original.summary["windows"][1]["test"][1]
    tested = (time >= pd.Timestamp(start)) & (time < pd.Timestamp(end))
    assert original.predictions["open_time"].tolist() == time[complete & tested].tolist()
    assert 0 < (tested & ~complete).sum() < 100
    # A bar before a gap is predictable and not labelled: the close that its label needs is missing.
    labelled = time.shift(-3) - time == pd.Timedelta(minutes=15)
    assert original.predictions["label"].notna().tolist() == labelled[complete & tested].tolist()


def test_kept_models_predict_their_test_range_again_to_the_last_bit(original: Run, tmp_path: Path) -> None:
    (bars,) = source(tmp_path / "original.parquet").load()
    for window in (0, 1):
        open_time_ns, p_raw, p = KeptModel.read(original.folder / "models" / str(window)).forecast(bars)
        rows = original.predictions[original.predictions["window"] == window]
        here = np.isin(open_time_ns, rows["open_time"].astype("datetime64[ns, UTC]").astype("int64"))
        assert here.sum() == len(rows)
        assert bits(p_raw[here]) == bits(rows["p_raw"])
        assert bits(p[here]) == bits(rows["p"])


def test_a_kept_model_predicts_a_prefix_as_it_predicts_the_whole(original: Run, tmp_path: Path) -> None:
    (bars,) = source(tmp_path / "original.parquet").load()
    model = KeptModel.read(original.folder / "models" / "1")
    whole = model.forecast(bars)
    for rows in (350, 1_023, 1_024, 1_025, 5_000, 14_001, len(bars) - 1):
        prefix = model.forecast(bars[:rows])
        expected = whole[0] <= bars.open_time_ns[rows - 1]
        assert len(prefix[0]) == expected.sum()
        for part, full in zip(prefix, whole, strict=True):
            assert bits(part) == bits(full[expected]), rows


def source(path: Path) -> FileSource:
    built = composed("data=file", f"data.path='{path}'").data
    assert isinstance(built, FileSource)
    return built
