"""Finished windows on disk: whole or absent, found again only where nothing that they depend on differs."""

import contextlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grimp
import numpy as np
import pandas as pd
import pytest
import torch
from runs import Run, bits, walk

from botscalp.calibration.maps import LogOddsMap
from botscalp.features.scaler import Scaler
from botscalp.pipeline import window_store
from botscalp.pipeline.window import FittedModel, FittedWindow, Forecast
from botscalp.pipeline.window_store import WindowStore, window_key

KEY = "0123456789abcdef"
DESCRIPTION = {"symbols": ["BTCUSDT"], "seed": 3}


def forecast(rng: np.random.Generator, rows: int) -> Forecast:
    return Forecast(
        open_time_ns=np.arange(rows) * 300_000_000_000,
        symbol=np.zeros(rows, np.int64),
        p_raw=rng.uniform(size=rows),
        p=rng.uniform(size=rows),
    )


def fitted_model(rng: np.random.Generator, symbol: str) -> FittedModel:
    return FittedModel(
        symbols=(symbol,),
        weights={"output.weight": torch.tensor(rng.normal(size=(1, 9)), dtype=torch.float32), "b": torch.tensor([0.1])},
        scaler=Scaler(rng.normal(size=9), rng.uniform(0.1, 2, 9)),
        calibrator=LogOddsMap(1 / 3, 1 / 3, -0.1),
    )


def fitted_window(seed: int = 0, symbols: Sequence[str] = ("BTCUSDT",)) -> FittedWindow:
    """Numbers that no decimal writes exactly."""
    rng = np.random.default_rng(seed)
    return FittedWindow(
        models=tuple(fitted_model(rng, symbol) for symbol in symbols),
        train=forecast(rng, 70),
        calibration=forecast(rng, 50),
        test=forecast(rng, 100),
        base_rate=1 / 7,
        history=[{"train/loss": 0.1 + 0.2, "val/loss": 2 / 3}],
        n_train=5,
        n_validation=6,
        samples=7,
        fit_s=0.1,
        steps_s=0.08,
        predict_s=0.2,
        device="cpu",
    )


def assert_equal(a: FittedWindow, b: FittedWindow) -> None:
    """Every field, to the last bit."""
    for mine, its in zip(a.models, b.models, strict=True):
        assert mine.symbols == its.symbols and mine.weights.keys() == its.weights.keys()
        assert all(bits(mine.weights[name].numpy()) == bits(its.weights[name].numpy()) for name in mine.weights)
        assert mine.scaler.as_dict() == its.scaler.as_dict() and mine.calibrator == its.calibrator
    for one, other in ((a.train, b.train), (a.calibration, b.calibration), (a.test, b.test)):
        assert all(bits(getattr(one, name)) == bits(getattr(other, name)) for name in vars(one))
    plain = ("base_rate", "history", "n_train", "n_validation", "samples", "fit_s", "steps_s", "predict_s", "device")
    assert all(getattr(a, name) == getattr(b, name) for name in plain)


def visible(store: WindowStore) -> list[str]:
    return [path.name for path in store.root.iterdir() if not path.name.startswith(".")] if store.root.exists() else []


@pytest.mark.parametrize("symbols", [("BTCUSDT",), tuple(f"S{number}/USDT" for number in range(11))], ids=len)
def test_what_was_written_is_read_back_to_the_last_bit(symbols: tuple[str, ...], tmp_path: Path) -> None:
    store, fitted = WindowStore(tmp_path / "windows"), fitted_window(symbols=symbols)
    assert store.load(KEY) is None
    store.save(KEY, fitted, DESCRIPTION)
    read = store.load(KEY)
    assert read is not None
    assert_equal(read, fitted)
    place = store.folder(KEY) if len(symbols) == 1 else store.folder(KEY) / "10"
    record = json.loads((place / "model.json").read_text())
    assert record["seed"] == 3 and record["symbols"] == [symbols[-1]]


def test_nothing_in_it_needs_unpickling(tmp_path: Path) -> None:
    store = WindowStore(tmp_path / "windows")
    store.save(KEY, fitted_window(), DESCRIPTION)
    assert sorted(path.name for path in store.folder(KEY).iterdir()) == [
        *("calibration.parquet", "model.json", "test.parquet", "train.parquet", "weights.safetensors"),
    ]
    contents = {path.name: path.read_bytes() for path in store.folder(KEY).iterdir()}
    assert contents["calibration.parquet"][:4] == contents["test.parquet"][:4] == b"PAR1"
    assert contents["weights.safetensors"][8:9] == b"{", "its header is JSON"
    json.loads(contents["model.json"])


def test_a_failing_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    store = WindowStore(tmp_path / "windows")
    monkeypatch.setattr(window_store, "write_model", full_disk)
    with pytest.raises(OSError, match="No space"):
        store.save(KEY, fitted_window(), DESCRIPTION)
    assert [path.name for path in store.root.iterdir() if path.is_dir()] == [] and store.load(KEY) is None


@pytest.mark.parametrize("step", ["_write_forecast", "write_model", "sync"])
def test_a_kill_in_the_middle_of_writing_leaves_no_window(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends without any clean-up right after the step's first call."""
    store, original = WindowStore(tmp_path / "windows"), getattr(window_store, step)

    def then_die(*arguments: object) -> None:
        original(*arguments)
        os._exit(9)

    monkeypatch.setattr(window_store, step, then_die)
    child = multiprocessing.get_context("fork").Process(target=store.save, args=(KEY, fitted_window(), DESCRIPTION))
    child.start()
    child.join(30)
    assert child.exitcode == 9
    assert visible(store) == [] and store.load(KEY) is None
    monkeypatch.undo()
    store.save(KEY, fitted_window(), DESCRIPTION)
    assert visible(store) == [KEY]


def save_often(root: Path, seed: int, until: float) -> None:
    while time.monotonic() < until:
        WindowStore(root).save(KEY, fitted_window(seed), DESCRIPTION)


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    store = WindowStore(tmp_path)
    old, fresh = tmp_path / f".{KEY}-old", tmp_path / f".{KEY}-fresh"
    for folder in (old, fresh):
        folder.mkdir()
    os.utime(old, (0, time.time() - 90_000))
    store.save(KEY, fitted_window(), DESCRIPTION)
    assert not old.exists() and fresh.exists() and store.load(KEY) is not None


def test_processes_that_save_the_same_window_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    """Three writers, each of its own numbers; whoever reads meanwhile gets one writer's window, whole, or none yet."""
    root, until = tmp_path / "windows", time.monotonic() + 1.5
    store, saved = WindowStore(root), [fitted_window(seed) for seed in range(3)]
    writers = [
        multiprocessing.get_context("fork").Process(target=save_often, args=(root, seed, until)) for seed in range(3)
    ]
    for writer in writers:
        writer.start()
    reads = 0
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):  # not there yet, or about to be replaced
            inode, files = store.folder(KEY).stat().st_ino, os.listdir(store.folder(KEY))
            assert len(files) == 5 or store.folder(KEY).stat().st_ino != inode, (
                "it appears whole, even to who takes no lock"
            )
        read = store.load(KEY)
        if read is not None:
            assert_equal(read, next(one for one in saved if bits(one.test.p) == bits(read.test.p)))
            reads += 1
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    assert reads > 10
    assert [path.name for path in root.iterdir() if path.is_dir()] == [KEY], "nothing is left aside"
    assert store.load(KEY) is not None


def test_the_key_depends_on_every_ingredient_and_on_the_code_not_on_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingredients = {"seed": 3, "symbols": ["A", "B"], "model": {"hidden": 4}, "bars": "digest"}
    key = window_key(ingredients)
    assert key == window_key(dict(reversed(ingredients.items())))
    for changed in ({"seed": 4}, {"symbols": ["B", "A"]}, {"model": {"hidden": 5}}, {"bars": "other"}, {"more": None}):
        assert window_key({**ingredients, **changed}) != key
    monkeypatch.setattr(window_store, "code_digest", lambda: {"sources": "edited", "torch": "2.13.0"})
    assert window_key(ingredients) != key


# What a fit imports and the key leaves out, with the reason.
OUTSIDE_THE_KEY = {
    "botscalp": "empty",
    "botscalp.annotations": "words of messages",
    "botscalp.errors": "words of messages",
    "botscalp.shortages": "memory, and words of messages",
    "botscalp.last_words": "the same",
    "botscalp.options": "says which objects are built; their values are in the key",
    "botscalp.times": "text to times; the times are in the key",
    "botscalp.data": "makes bars; the digest of the bars is in the key",
    "botscalp.data.bars": "the same",
    "botscalp.data.grid": "where bars open; the same",
    "botscalp.pipeline": "empty",
}


def test_the_code_in_the_key_is_all_the_code_that_a_fit_uses() -> None:
    """Every module that fit_window imports, directly or not, at the top or inside a function."""
    graph = grimp.build_graph("botscalp", exclude_type_checking_imports=True, cache_dir=None)
    fit = "botscalp.pipeline.window"
    used = {fit, *graph.find_upstream_modules(fit)}
    for option in ("models.gru", "models.linear", "labels.direction", "labels.triple_barrier", "features.families"):
        used |= {f"botscalp.{option}", *graph.find_upstream_modules(f"botscalp.{option}")}
    assert {"botscalp.training.module", "botscalp.calibration.maps", "botscalp.labels.kernel"} <= used
    root = Path(window_store.__file__).parents[1]
    hashed = {
        path
        for part in window_store._CODE
        for path in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
    }
    for module in used - OUTSIDE_THE_KEY.keys():
        path = root.parent / module.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert source in hashed, f"{module} decides numbers and is not in _CODE"


# One short window: fitted once by the run of the fixture, looked for by the others.
SHORT = ("wfo.windows=1", "data.end=2023-02-06", "wfo.train=1w", "trainer.epochs=1")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return walk(tmp_path_factory.mktemp("stored") / "run", *SHORT)


@pytest.mark.parametrize(
    ("overrides", "reused"),
    [
        ((), {"gru", "linear"}),
        # What no fit depends on.
        (("backtest.threshold=0.6", "backtest.stop_atr=1"), {"gru", "linear"}),
        (("verdict.min_trades=5", "study=other", "fail_on=[SUSPICIOUS]"), {"gru", "linear"}),
        (("data.end=2023-02-12",), {"gru", "linear"}),
        # What belongs to the model leaves the baseline alone.
        (("model.hidden=5",), {"linear"}),
        (("model.dropout=0.1",), {"linear"}),
        (("trainer.lr=0.02",), {"linear"}),
        (("trainer.epochs=2",), {"linear"}),
        (("trainer.patience=3",), {"linear"}),
        (("trainer.precision=bf16-mixed",), {"linear"}),
        (("model=linear",), set()),  # fitted with the run's own settings, not with the baseline's
        # All the rest is in the key of both.
        (("calibration=beta",), set()),
        (("features.lags=5",), set()),
        (("features.rsi=[6,15]",), set()),
        (("label.horizon=4",), set()),
        (("label=triple_barrier",), set()),
        (("wfo.train=8d",), set()),
        (("seed=1", "data.seed=0"), set()),
        (("data.seed=1",), set()),
        (("data.edge=0.29",), set()),
        (("data.symbols=[ETHUSDT]",), set()),
        (("data.start=2023-01-02",), set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_resume_reuses_a_window_iff_nothing_it_depends_on_differs(
    stored: Run, overrides: tuple[str, ...], reused: set[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(os.listdir(stored.folder.parent / "store/windows"))
    with caplog.at_level("INFO", "botscalp"):
        again = walk(tmp_path / "run", *SHORT, *overrides, f"store={stored.folder.parent / 'store'}", "resume=true")
    assert {name for name in ("gru", "linear") if f"finished {name} fit found" in caplog.text} == reused
    if reused == {"gru", "linear"}:
        assert bits(again.predictions[["p_raw", "p"]]) == bits(stored.predictions[["p_raw", "p"]])
        assert set(os.listdir(stored.folder.parent / "store/windows")) == before


def test_without_resume_everything_is_fitted_again(
    stored: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "botscalp"):
        walk(tmp_path / "run", *SHORT, f"store={stored.folder.parent / 'store'}")
    assert "fit found" not in caplog.text


@pytest.mark.parametrize("file", ["weights.safetensors", "model.json", "test.parquet", "train.parquet"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", None], ids=["empty", "a pickle", "gone"])
def test_a_window_that_cannot_be_read_is_fitted_again(
    stored: Run, file: str, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a full disk, a bad copy or a stranger left there."""
    shutil.copytree(stored.folder.parent / "store", tmp_path / "store")
    (key,) = [path.name for path in (tmp_path / "store/windows").iterdir() if (path / "weights.safetensors").exists()][
        :1
    ]
    broken = tmp_path / "store/windows" / key / file
    broken.unlink() if content is None else broken.write_bytes(content)
    store = WindowStore(tmp_path / "store/windows")
    assert store.load(key) is None
    assert "which is fitted again" in caplog.text and key in caplog.text


def test_resume_ignores_windows_of_other_code(
    stored: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = {**window_store.code_digest(), "sources": "edited"}
    monkeypatch.setattr(window_store, "code_digest", lambda: edited)
    with caplog.at_level("INFO", "botscalp"):
        walk(tmp_path / "run", *SHORT, f"store={stored.folder.parent / 'store'}", "resume=true")
    assert "fit found" not in caplog.text


def test_a_changed_bar_counts_if_it_opens_before_the_test_ends(
    make_bars_file: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A volume of one bar, which no label looks at: in the test it may move a prediction, after it nothing."""

    def walked(name: str, time: str | None) -> str:
        def change(table: pd.DataFrame) -> pd.DataFrame:
            table = table[table["open_time"] < pd.Timestamp("2023-02-12", tz="UTC")].copy()
            if time is not None:
                table.loc[table["open_time"] == pd.Timestamp(time, tz="UTC"), "volume"] *= 2
            return table

        path = make_bars_file(f"{name}.parquet", change=change)
        caplog.clear()
        with caplog.at_level("INFO", "botscalp"):
            walk(tmp_path / name, *SHORT[::2], *SHORT[3:], "data=file", f"data.path='{path}'", "resume=true")
        return caplog.text

    assert "fit found" not in walked("first", None)
    assert "fit found" not in walked("inside", "2023-02-05T23:55")
    assert walked("after", "2023-02-06T00:00").count("fit found") == 2
