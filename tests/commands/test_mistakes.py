"""Mistakes on the command line end with exit code 2 and one message, before torch is imported."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mistakes import MISTAKES
from runs import Outcome, command, several


def write_files(folder: Path) -> None:
    """The files that the mistakes name: 50 days of bars, and what may be wrong with bars."""
    rows = 50 * 288
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    bars = pd.DataFrame(
        {
            "open_time": pd.date_range("2023-01-01", periods=rows, freq="5min"),
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": 10.0,
        }
    )
    prices = ["open", "high", "low", "close"]
    few = bars[:100]
    tables = {
        "bars": bars,
        "flat": bars.assign(**dict.fromkeys(prices, 100.0)),
        "few": few[:50],
        "empty": few[:0],
        "no_close": few.drop(columns="close"),
        "text": few.assign(close=[*few["close"].astype(str)[:7], "n/a?", *few["close"].astype(str)[8:]]),
        "unsorted": few.iloc[[*range(5), 6, 5, *range(7, 100)]],
        "negative": few.assign(low=few["low"].where(few.index != 9, -1.0)),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "broken.parquet").write_text("PAR?")
    (folder / "notes.txt").write_text("nothing")


@pytest.fixture(scope="module")
def outcomes(once: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Outcome]:
    """What each mistake brought about; one process makes them all."""

    def make(folder: Path) -> None:
        write_files(folder)
        made = several([("train", words.split()) for words, _ in MISTAKES], cwd=folder)
        (folder / "outcomes.json").write_text(json.dumps(made))

    made = json.loads((once("mistakes", make) / "outcomes.json").read_text())
    return {words: outcome for (words, _), outcome in zip(MISTAKES, made, strict=True)}


@pytest.mark.parametrize(("words", "fragments"), MISTAKES, ids=[words[-60:] for words, _ in MISTAKES])
def test_a_mistake_is_explained(words: str, fragments: tuple[str, ...], outcomes: dict[str, Outcome]) -> None:
    stderr = outcomes[words]["stderr"]
    assert outcomes[words]["code"] == 2, stderr
    assert [fragment for fragment in fragments if fragment not in stderr] == [], stderr
    assert "Traceback" not in stderr and "/site-packages/" not in stderr
    message = stderr.strip().splitlines()
    assert message[-1].startswith("  remedy: ") and len(message[-1]) > len("  remedy: "), stderr
    assert outcomes[words]["imported"] == [], "neither torch nor MLflow"


def test_the_table_is_long_and_says_each_thing_once() -> None:
    assert len(MISTAKES) >= 90 and len({words for words, _ in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ("model.hiden=4", ("model.hiden=4: no such key", "did you mean hidden?")),
        ("model=gru2", ("model=gru2: no such option", "did you mean gru?")),
        ("data=file data.path=nowhere/bars.parquet", ("data.path=nowhere/bars.parquet: no such file",)),
    ],
)
def test_a_process_says_the_same_and_nothing_else(words: str, fragments: tuple[str, ...], tmp_path: Path) -> None:
    done = command("train", *words.split(), cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert all(fragment in done.stderr for fragment in fragments)
    assert len(done.stderr.splitlines()) == 2, "problem and remedy"
    assert not list(tmp_path.glob("mlruns/runs/*/*")), "no empty run is left"


@pytest.mark.slow
def test_a_device_that_is_absent(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    words = "data.end=2023-02-20 features.lags=4 wfo=weekly wfo.train=2w trainer.device=cuda"
    done = command("train", *words.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("trainer.device=cuda: torch sees no CUDA device")
    assert "trainer.device=auto" in done.stderr
