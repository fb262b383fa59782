"""An archive of made-up bars on loopback, and the command against it; a module that has a `server` of its own is asked that one."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from published import SERIES, january_and_five_days
from server import ArchiveServer

from botscalp.archive.web import Patience
from botscalp.config import CONF
from botscalp.data.manifest import Manifest, Series
from botscalp.data.store import read_manifest
from botscalp.ingest import fetch


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with january_and_five_days() as server:
        yield server


@pytest.fixture
def ingest(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Manifest]:
    """ingest("start=2024-01", ...): run the command in this process; what the store then holds of BTCUSDT 5m."""
    monkeypatch.setattr("botscalp.archive.web.Patience", partial(Patience, backoff_s=0.01))

    def run(*words: str, series: Series = SERIES) -> Manifest:
        given = {word.partition("=")[0] for word in words}
        usual = {
            "start": "2024-01",
            "end": "2024-02",
            "store": str(tmp_path / "bars"),
            "base_url": server.url,
            "recent": "false",
            **{f"rest_url.{market}": server.url for market in ("spot", "um", "cm")},
        }
        overrides = [f"{key}={value}" for key, value in usual.items() if key not in given]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            fetch(compose("ingest", overrides=[*overrides, *words]))
        return read_manifest(tmp_path / "bars", series)

    return run
