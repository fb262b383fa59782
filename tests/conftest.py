"""What several tests share: where the real bars lie, and small markets to run on."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with Binance's bars; tests that need them are skipped where it is absent."""
    folder = Path(os.environ.get("BOTSCALP_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "binance-spot-BTCUSDT-5m.parquet").exists():
        pytest.skip(f"needs real bars in {folder} (set BOTSCALP_DATA to their folder)")
    return folder
