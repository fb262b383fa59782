"""Whatever was handed to a user may be refused, and is never run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import CALLS, payloads
from runs import TINY, Outcome, Run
from safetensors.numpy import save_file

from tests.forked import forked, forked_together


@pytest.fixture(scope="module")
def handed(once: Callable[[str, Callable[[Path], object]], Path]) -> tuple[Path, dict[str, Outcome]]:
    """The working directory in which all payloads were used, and what became of each."""

    def make(folder: Path) -> None:
        made = payloads(folder)
        outcomes = forked_together([(one.command, one.words) for one in made.values()], cwd=folder)
        (folder / "outcomes.json").write_text(json.dumps(dict(zip(made, outcomes, strict=True))))

    folder = once("hostile", make)
    return folder, json.loads((folder / "outcomes.json").read_text())


def test_nothing_was_opened_and_every_payload_was_refused_by_name(handed: tuple[Path, dict[str, Outcome]]) -> None:
    folder, outcomes = handed
    assert list(folder.rglob("OPENED*")) == []
    assert len(outcomes) >= 40
    for name, outcome in outcomes.items():
        assert outcome["code"] == 2, (name, outcome)
        assert "Traceback" not in outcome["stderr"], (name, outcome["stderr"])
        assert outcome["stderr"].strip().splitlines()[-1].startswith("  remedy: "), (name, outcome["stderr"])


@pytest.mark.parametrize("target", CALLS)
def test_the_payloads_would_open_a_file(target: str, tmp_path: Path) -> None:
    """Called as they stand, without our lists in between."""
    payloads(tmp_path)
    program = (
        "import importlib, json, sys\n"
        "target, arguments = json.loads(sys.argv[1])\n"
        "parts = target.split('.')\n"
        "for depth in range(len(parts) - 1, 0, -1):\n"
        "    try: found = importlib.import_module('.'.join(parts[:depth])); break\n"
        "    except ImportError: pass\n"
        "for part in parts[depth:]: found = getattr(found, part)\n"
        "found(*arguments.pop('_args_', []), **arguments)\n"
    )
    arguments = json.loads(json.dumps(CALLS[target]).replace("{opened}", "OPENED"))
    if "popenargs" in arguments:
        arguments["_args_"] = [arguments.pop("popenargs")]
    subprocess.run([sys.executable, "-c", program, json.dumps([target, arguments])], cwd=tmp_path, capture_output=True)
    assert list(tmp_path.glob("OPENED*")) != []


OWN = """
from dataclasses import dataclass
open("OPENED_by_own", "w")

@dataclass(frozen=True, kw_only=True)
class Down:
    horizon: int

    @property
    def span_bars(self): return self.horizon

    def labels(self, bars):
        import numpy as np
        later = np.full(len(bars), np.nan)
        later[: -self.horizon] = bars.close[self.horizon :] < bars.close[: -self.horizon]
        return later.astype(np.float32)
"""


def test_a_package_is_trusted_by_naming_it_on_the_command_line_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    words = (
        *(word for word in TINY if "hidden" not in word),
        "tracking=none",
        "report=false",
        "model=linear",
        "~label",
        "+label._target_=mine.Down",
    )
    refused = forked("train", (*words, "+label.horizon=3"), cwd=tmp_path)
    assert refused.code == 2 and "--trust PACKAGE" in refused.stderr
    assert not (tmp_path / "OPENED_by_own").exists(), "not even imported"
    done = forked("train", ("--trust", "mine", *words, "+label.horizon=3"), cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert (tmp_path / "OPENED_by_own").exists()


@pytest.mark.parametrize("package", ["no_such_package", "os.path", ""])
def test_a_package_that_is_none_is_refused(package: str, tmp_path: Path) -> None:
    done = forked("train", ("--trust", package, "model=linear"), cwd=tmp_path)
    assert done.code == 2 and "--trust" in done.stderr and "can be imported" in done.stderr


def _changed(model: Path, key: str, value: Mapping[str, Any]) -> None:
    record = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**record, key: value}))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "weights that are a pickle": lambda model: shutil.copyfile("handed.pkl", model / "weights.safetensors"),
    "a record that is a pickle": lambda model: shutil.copyfile("handed.pkl", model / "model.json"),
    "a feature set that is a call": lambda model: _changed(
        model, "features", {"_target_": "os.system", "command": "x"}
    ),
    "a model that is a call": lambda model: _changed(model, "model", {"_target_": "handed.Touch"}),
    "a calibrator that is a call": lambda model: _changed(model, "calibrator", {"_target_": "handed.Touch"}),
    "a scaler that is a call": lambda model: _changed(model, "scaler", {"_target_": "handed.Touch"}),
    "weights of another network": lambda model: save_file({"x": np.ones(3)}, model / "weights.safetensors"),
    "weights cut short": lambda model: _cut(model / "weights.safetensors"),
    "weights with a lying header": lambda model: (model / "weights.safetensors").write_bytes(b"\xff" * 8 + b"{}"),
    "no record": lambda model: (model / "model.json").unlink(),
}


def test_a_model_that_was_tampered_with_is_refused(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tampering in a copy of a finished run; one process predicts with all of them."""
    payloads(tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = []
    for number, tamper in enumerate(TAMPERINGS.values()):
        copy = tmp_path / f"run_{number}"
        shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns("figures"))
        for model in (copy / "models").iterdir():
            tamper(model)
        commands.append(("predict", [f"run={copy}", "data=simulated", f"out={tmp_path / 'p.parquet'}"]))
    for name, outcome in zip(TAMPERINGS, forked_together(commands, cwd=tmp_path), strict=True):
        assert outcome["code"] == 2 and outcome["stderr"].startswith("run="), (name, outcome["stderr"])
        assert "Traceback" not in outcome["stderr"] and "remedy: " in outcome["stderr"], (name, outcome["stderr"])
    assert list(tmp_path.glob("OPENED*")) == [] and not (tmp_path / "p.parquet").exists()


def test_a_stored_config_that_wants_to_call_something_is_refused(finished: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns("figures"))
    config = (copy / "config.yaml").read_text()
    assert "_target_: botscalp.backtest.Backtest" in config
    (copy / "config.yaml").write_text(config.replace("_target_: botscalp.backtest.Backtest", "_target_: os.system"))
    done = forked("backtest", (f"run={copy}", "tracking=none"), cwd=tmp_path)
    assert done.code == 2 and "backtest._target_=os.system" in done.stderr, done.stderr


def test_predictions_that_are_a_pickle_are_refused(tmp_path: Path) -> None:
    payloads(tmp_path)
    done = forked("backtest", ("predictions=bars.parquet", "data=simulated"), cwd=tmp_path)
    assert done.code == 2 and "predictions=bars.parquet" in done.stderr, done.stderr
    assert list(tmp_path.glob("OPENED*")) == []
