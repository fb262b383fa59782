"""Funding rates from files of all three spellings, and refusals by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from botscalp.data.funding import read_funding
from botscalp.errors import UserError

TIMES = pd.date_range("2024-01-01", periods=3, freq="8h", tz="UTC")


@pytest.mark.parametrize(
    ("time", "rate"),
    [
        ("funding_time", "funding_rate"),
        ("fundingTime", "fundingRate"),
        ("calc_time", "last_funding_rate"),
    ],
)
@pytest.mark.parametrize("late_ms", [0, 7])
def test_the_usual_spellings(tmp_path: Path, time: str, rate: str, late_ms: int) -> None:
    """Milliseconds since 1970, a few of them late, newest first."""
    stamps = TIMES.as_unit("ms").astype("int64") + late_ms
    pd.DataFrame({time: stamps, rate: [0.0001, -0.0002, 0.0003]}).iloc[::-1].to_csv(tmp_path / "f.csv", index=False)
    time_ns, rates = read_funding(tmp_path / "f.csv")
    assert (time_ns == TIMES.as_unit("ns").astype("int64")).all()
    assert rates.tolist() == [0.0001, -0.0002, 0.0003]


def test_the_exchange_s_own(real_data: Path) -> None:
    time_ns, rate = read_funding(real_data / "binance-um-BTCUSDT-funding-2024.parquet")
    assert len(rate) == 1_098 and (np.diff(time_ns) == 8 * 3_600 * 10**9).all()
    peak = pd.Timestamp(time_ns[rate.argmax()], tz="UTC")
    assert (peak, rate.max()) == (pd.Timestamp("2024-03-05 16:00", tz="UTC"), pytest.approx(0.000881, abs=1e-6))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"funding_time": TIMES, "rate": [0.0, 0.0, 0.0]}, "has no column funding_rate"),
        ({"funding_time": TIMES[[0, 1, 1]], "funding_rate": [0.0, 0.0, 0.0]}, "is there twice"),
        ({"funding_time": TIMES, "funding_rate": [0.0, np.nan, 0.0]}, "a rate is missing"),
        ({"funding_time": TIMES, "funding_rate": ["0", "x", "0"]}, "'x' is no number"),
    ],
)
def test_refusals_name_the_key(tmp_path: Path, table: dict[str, object], problem: str) -> None:
    pd.DataFrame(table).to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(UserError, match=problem) as refused:
        read_funding(tmp_path / "f.csv")
    assert refused.value.key == "backtest.funding"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file") as refused:
        read_funding(tmp_path / "funding.csv")
    assert refused.value.key == "backtest.funding"
