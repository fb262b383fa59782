"""The folder of a series: what a killed process left, and manifests that are none."""

import json
from pathlib import Path

import pytest
from csvs import SERIES, store_months

from botscalp.data.store import PENDING, read_bars, read_manifest
from botscalp.errors import UserError


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store_months(tmp_path, "2024-01", "2024-02")
    return tmp_path


def pending(path: Path) -> Path:
    return path.with_name(path.name + PENDING)


def test_a_month_that_the_manifest_knows_is_put_in_place(store: Path) -> None:
    """Killed between writing the manifest and renaming the month."""
    whole, month = read_bars(store, SERIES), SERIES.parquet(store, "2024-02")
    month.rename(pending(month))
    assert (read_bars(store, SERIES).close == whole.close).all()
    assert month.exists() and not pending(month).exists()


def test_what_the_manifest_does_not_know_is_removed(store: Path) -> None:
    """Killed before the manifest was written: a torn month that has a name there, and one that has none."""
    whole, month = read_bars(store, SERIES), SERIES.parquet(store, "2024-02")
    pending(month).write_bytes(month.read_bytes()[:100])
    pending(SERIES.parquet(store, "2024-03")).write_bytes(b"half a month")
    assert sorted(read_manifest(store, SERIES).months) == ["2024-01", "2024-02"]
    assert list(SERIES.folder(store).glob(f"*{PENDING}")) == []
    assert (read_bars(store, SERIES).close == whole.close).all()


def test_a_month_whose_file_is_gone_is_not_there(store: Path) -> None:
    SERIES.parquet(store, "2024-01").unlink()
    assert list(read_manifest(store, SERIES).months) == ["2024-02"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 99}, "is of schema 99"),
        ({"months": 7}, "is no manifest of schema"),
        (None, "is no manifest of schema"),
    ],
)
def test_another_manifest_is_refused_with_its_remedy(
    store: Path, changes: dict[str, object] | None, words: str
) -> None:
    path = SERIES.folder(store) / "manifest.json"
    path.write_text("{" if changes is None else json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=words) as refused:
        read_manifest(store, SERIES)
    assert refused.value.remedy == "delete that folder and ingest it again"


def test_the_manifest_of_another_series_is_refused(store: Path) -> None:
    path = SERIES.folder(store) / "manifest.json"
    path.write_text(path.read_text().replace("BTCUSDT", "ETHUSDT"))
    with pytest.raises(UserError, match="ETHUSDT"):
        read_manifest(store, SERIES)
