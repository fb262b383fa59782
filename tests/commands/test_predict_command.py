"""python -m botscalp.predict: the kept models score bars, whole or new, as the run itself would have."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from runs import Outcome, Run, bits, command

from tests.forked import forked_together

# The finished run's own market, and bars that it has not seen.
MARKET = ("data=simulated", "data.start=2023-01-01", "data.edge=0.3")
OWN = (*MARKET, "data.end=2023-02-20")


@pytest.fixture(scope="module")
def outcomes(
    once: Callable[[str, Callable[[Path], object]], Path], workplace: Path, finished: Run
) -> dict[str, Outcome]:
    """Several commands typed where the finished run was, in one process."""
    run = f"run={finished.folder.relative_to(workplace)}"
    folder = workplace.parent / "predict"
    commands = {
        "newest": [run, *OWN, f"out={folder}/newest.parquet"],
        "oldest": [f"run={finished.summary['mlflow']['run_id']}", "window=0", *OWN, f"out={folder}/oldest.parquet"],
        "new bars": [run, *MARKET, "data.end=2023-03-05", f"out={folder}/new/bars.parquet"],
        "another symbol": [run, *OWN, "data.symbols=[AAA,BTCUSDT]", f"out={folder}/symbols.parquet"],
        "no such run": ["run=0123", *OWN],
        "no such window": [run, "window=7", *OWN],
        "no models": [f"run={folder.parent}", *OWN],
        "another interval": [run, "data=simulated", "data.interval=15m"],
        "no data": [run],
        "nothing": [],
        "no such run, no data": ["run=latest"],
        "no run": [*OWN],
        "no such key": [run, *OWN, "windw=0"],
    }

    def make(folder: Path) -> None:
        made = forked_together([("predict", words) for words in commands.values()], cwd=workplace)
        (folder / "outcomes.json").write_text(json.dumps(made))

    made = json.loads((once("predict", make) / "outcomes.json").read_text())
    return dict(zip(commands, made, strict=True))


def scores(outcome: Outcome) -> pd.DataFrame:
    assert outcome["code"] == 0, outcome["stderr"]
    return parquet.read_table(outcome["stdout"].splitlines()[-1]).to_pandas()


@pytest.mark.parametrize(("name", "window"), [("newest", 1), ("oldest", 0)])
def test_a_run_found_by_folder_or_by_id_predicts_its_test_range_again(
    name: str, window: int, outcomes: dict[str, Outcome], finished: Run
) -> None:
    again, run = scores(outcomes[name]), finished.predictions
    run = run[run["window"] == window]
    assert set(again["window"]) == {window}
    both = again.merge(run, on=["open_time", "symbol", "window"], suffixes=("", "_run"))
    assert len(both) == len(run) == 7 * 288
    assert bits(both["p_raw"]) == bits(both["p_raw_run"]) and bits(both["p"]) == bits(both["p_run"])
    assert len(again) > 12_000, "every bar whose lags are complete, not the test range alone"


def test_the_table_has_the_columns_of_predictions_without_the_label(outcomes: dict[str, Outcome]) -> None:
    schema = parquet.read_schema(outcomes["newest"]["stdout"].splitlines()[-1])
    assert schema.names == ["open_time", "symbol", "window", "p_raw", "p"]
    assert schema.field("open_time").type == pa.timestamp("ms", tz="UTC")


def test_later_bars_are_scored_and_earlier_ones_stay(outcomes: dict[str, Outcome]) -> None:
    own, more = scores(outcomes["newest"]), scores(outcomes["new bars"])
    assert len(more) == len(own) + 13 * 288
    assert more["open_time"].max() == pd.Timestamp("2023-03-04T23:55", tz="UTC")
    assert bits(more["p"][: len(own)]) == bits(own["p"])
    assert f"{len(more):,} probabilities of the model of window 1" in outcomes["new bars"]["stdout"]


def test_a_symbol_that_the_model_has_not_seen_is_scored_with_a_note(outcomes: dict[str, Outcome]) -> None:
    table = scores(outcomes["another symbol"])
    assert table["symbol"].value_counts().nunique() == 1 and set(table["symbol"]) == {"AAA", "BTCUSDT"}
    assert "note: the model learnt on BTCUSDT, not on AAA" in outcomes["another symbol"]["stdout"]
    own = scores(outcomes["newest"])
    assert bits(table[table["symbol"] == "BTCUSDT"]["p"]) == bits(own["p"])


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("no such run", ("run=0123", "neither a folder nor a run")),
        ("no such window", ("window=7", "windows 0 to 1")),
        ("no models", ("run=", "kept no models")),
        ("another interval", ("data.path=", "15m bars", "5m bars")),
        ("no data", ("data.path=???", "set it: data.path=...")),
        ("no run", ("run=???", "set it: run=...")),
        ("nothing", ("run=???", "set it: run=... data.path=...")),
        ("no such run, no data", ("run=latest", "neither a folder nor a run")),
        ("no such key", ("windw=0", "did you mean window?")),
    ],
)
def test_mistakes_are_explained(name: str, fragments: tuple[str, ...], outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert outcome["code"] == 2 and "Traceback" not in outcome["stderr"]
    assert [fragment for fragment in fragments if fragment not in outcome["stderr"]] == [], outcome["stderr"]
    assert outcome["stderr"].splitlines()[-1].startswith("  remedy: ")


@pytest.mark.parametrize(
    "damage", ["no weights", "half the weights", "no JSON", "a key gone", "other options", "other code"]
)
def test_a_damaged_model_is_refused(damage: str, finished: Run, tmp_path: Path) -> None:
    from botscalp.errors import UserError
    from botscalp.pipeline.kept_model import KeptModel

    folder = tmp_path / "0"
    shutil.copytree(finished.folder / "models/0", folder)
    weights, record = folder / "weights.safetensors", folder / "model.json"
    values = json.loads(record.read_text())
    match damage:
        case "no weights":
            weights.unlink()
        case "half the weights":
            weights.write_bytes(weights.read_bytes()[:-200])
        case "no JSON":
            record.write_text("{")
        case "a key gone":
            del values["scaler"]
            record.write_text(json.dumps(values))
        case "other options":
            del values["trainer"]["compile"]
            record.write_text(json.dumps(values))
        case "other code":
            values["model"]["_target_"] = "subprocess.Popen"
            record.write_text(json.dumps(values))
    with pytest.raises(UserError) as error:
        KeptModel.read(folder)
    assert error.value.remedy
    if damage == "other options":
        assert "trainer.compile" in str(error.value) and "train again" in error.value.remedy


def test_a_model_is_read_back_as_it_was_kept(finished: Run) -> None:
    from botscalp.pipeline.kept_model import KeptModel

    model = KeptModel.read(finished.folder / "models/1")
    assert (model.symbols, model.interval_ns) == (("BTCUSDT",), 300 * 10**9)
    assert model.features.lags == 4 and model.model.hidden == 4  # type: ignore[attr-defined]
    assert np.isfinite(model.scaler.scale_F).all() and len(model.scaler.scale_F) == len(model.features.columns)


def test_help_is_answered_at_once(tmp_path: Path) -> None:
    done = command("predict", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "python -m botscalp.predict run=" in done.stdout
    assert list(tmp_path.iterdir()) == []
