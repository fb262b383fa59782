"""On a market whose truth is known, the AUC that no forecast beats, on the very rows that are scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import composed, walk
from sklearn.metrics import roc_auc_score


@pytest.mark.parametrize(("edge", "epochs"), [("0.3", 5), ("0.08", 2)])
def test_attained_does_not_exceed_attainable_beyond_noise(edge: str, epochs: int, tmp_path: Path) -> None:
    run = walk(tmp_path / "run", f"data.edge={edge}", f"trainer.epochs={epochs}", "model.hidden=16")
    attained, attainable = run.summary["metrics"]["auc"], run.summary["simulated"]["auc_attainable"]
    low, high = run.summary["intervals"]["test"]["auc"]
    noise = (high - low) / 2
    assert attainable > 0.5
    assert attained < attainable + noise
    if edge == "0.3":
        assert attained > attainable - 0.05, "and a strong signal is found"


def test_it_is_the_auc_of_the_true_probabilities_on_the_scored_rows(tmp_path: Path) -> None:
    run = walk(tmp_path / "run", "data.symbols=[AAA,BBB]", "label.horizon=2")
    source = composed("data.symbols=[AAA,BBB]").data
    truths = []
    for bars in source.load():
        p = source.probability_up(bars, 2)  # type: ignore[attr-defined]
        times = pd.to_datetime(bars.open_time_ns, utc=True)
        truths.append(pd.DataFrame({"symbol": bars.symbol, "open_time": times, "truth": p}))
    scored = run.predictions.dropna(subset="label").merge(pd.concat(truths), on=["symbol", "open_time"])
    assert len(scored) == run.summary["metrics"]["n"] == 2 * (2 * 7 * 288 - 2)
    expected = roc_auc_score(scored["label"], scored["truth"])
    assert run.summary["simulated"]["auc_attainable"] == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(scored["truth"]).all()


@pytest.mark.parametrize("word", ["label=triple_barrier", "data=trivial"])
def test_it_is_null_where_no_truth_is_known(word: str, tmp_path: Path) -> None:
    words = ("data.start=2023-01-01", "data.end=2023-02-20") if word == "data=trivial" else ()
    run = walk(tmp_path / "run", word, *words, "wfo.windows=1")
    assert run.summary["simulated"] == {"auc_attainable": None}
