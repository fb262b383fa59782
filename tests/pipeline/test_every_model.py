"""Every model predicts every window of every symbol."""

from pathlib import Path

import numpy as np
import pytest
from runs import SIZES, walk


@pytest.mark.parametrize("model", SIZES)
def test_no_window_and_no_symbol_lacks_a_probability(model: str, tmp_path: Path) -> None:
    """Two windows, so that bars follow the first one's test; two symbols, so that one follows the other's."""
    words = ("data.symbols=[BTCUSDT,ETHUSDT]", "wfo.train=1w", "trainer.epochs=1")
    predictions = walk(tmp_path / "run", f"model={model}", *SIZES[model], *words).predictions
    assert np.isfinite(predictions[["p_raw", "p"]]).all(axis=None)
    assert predictions.groupby(["symbol", "window"]).size().tolist() == [2_016] * 4
