"""Configs that want to run something: each would leave a file OPENED_<number> in the working directory if it did.

`handed.py` and `handed.pkl` lie there too; importing the one, and unpickling the other, does the same.
"""

import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A callable, and arguments with which calling it leaves the file.
CALLS: dict[str, dict[str, Any]] = {
    "os.system": {"command": "touch {opened}"},
    "posix.system": {"command": "touch {opened}"},
    "os.mkdir": {"path": "{opened}"},
    "os.popen": {"cmd": "touch {opened}"},
    "subprocess.run": {"args": "touch {opened}", "shell": True},
    "subprocess.call": {"popenargs": "touch {opened}", "shell": True},
    "subprocess.getoutput": {"cmd": "touch {opened}"},
    "builtins.exec": {"_args_": ["open('{opened}', 'w')"]},
    "builtins.eval": {"_args_": ["open('{opened}', 'w')"]},
    "builtins.open": {"file": "{opened}", "mode": "w"},
    "io.open": {"file": "{opened}", "mode": "w"},
    "timeit.timeit": {"stmt": "open('{opened}', 'w')", "number": 1},
    "cProfile.run": {"statement": "open('{opened}', 'w')"},
    "runpy.run_path": {"path_name": "handed.py"},
    "importlib.import_module": {"name": "handed"},
    "handed.Touch": {},
    "logging.FileHandler": {"filename": "{opened}"},
    "sqlite3.connect": {"database": "{opened}"},
    "shutil.copyfile": {"src": "handed.py", "dst": "{opened}"},
    "pandas.read_pickle": {"filepath_or_buffer": "handed.pkl"},
    "joblib.load": {"filename": "handed.pkl"},
    "torch.load": {"f": "handed.pkl", "weights_only": False},
    "botscalp.pipeline.provenance.subprocess.run": {"args": "touch {opened}", "shell": True},
    "botscalp.pipeline.window_store.os.mkdir": {"path": "{opened}"},
}

LOGGING: dict[str, dict[str, Any]] = {
    "a factory": {"handlers": {"x": {"()": "os.system", "command": "touch {opened}"}}},
    "a class": {"handlers": {"x": {"class": "subprocess.Popen", "args": ["touch", "{opened}"]}}},
    "a class of the folder": {"handlers": {"x": {"class": "handed.Touch"}}},
    "a formatter": {"formatters": {"x": {"()": "subprocess.getoutput", "cmd": "touch {opened}"}}},
    "a filter": {"filters": {"x": {"()": "handed.Touch"}}},
    "an import": {"handlers": {"x": {"class": "logging.StreamHandler", "stream": "ext://handed.STREAM"}}},
    "a file": {"handlers": {"x": {"class": "logging.FileHandler", "filename": "{opened}"}}},
    "a list": {"handlers": {"x": {"class": "logging.StreamHandler", "filters": ["ext://handed.STREAM"]}}},
    "an interpolation": {"handlers": {"x": "${data}"}},
}

_OURS = {"_target_": "botscalp.pipeline.provenance.subprocess.run", **CALLS["subprocess.run"]}
SETTINGS: dict[str, dict[str, Any]] = {
    "another git": {"hydra": {"job": {"env_set": {"PATH": "{folder}/bin:/usr/bin:/bin"}}}},
    "a library": {"hydra": {"job": {"env_set": {"LD_PRELOAD": "{folder}/x.so"}}}},
    "a command for the end": {"hydra": {"launcher": {"site": {"poweroff": ["touch", "{opened}"]}}}},
    "a proxy": {"hydra": {"launcher": {"connection": {"proxy_command": "touch {opened}"}}}},
    "an interpreter": {"hydra": {"launcher": {"travel": {"python": "{folder}/bin/git"}}}},
    "a callback from elsewhere": {"hydra": {"callbacks": {"x": "${model}"}}, "model": _OURS},
    "callbacks from elsewhere": {"hydra": {"callbacks": "${model.members}"}, "model": {"members": {"x": _OURS}}},
    "a search path": {"hydra": {"searchpath": ["pkg://handed"]}},
    "a file's name": {"hydra": {"job": {"name": "../../../{opened}"}}},
}


@dataclass(frozen=True)
class Payload:
    """A command that a user types with what was handed to him."""

    command: str
    words: tuple[str, ...]


def payloads(folder: Path) -> dict[str, Payload]:
    """By name; what they need is written into the folder, which becomes the working directory."""
    _write_traps(folder)
    made: dict[str, Payload] = {}

    def experiment(name: str, tree: Mapping[str, Any], *words: str) -> None:
        number = len(made)
        text = json.dumps(tree).replace("{opened}", f"OPENED_{number}").replace("{folder}", str(folder))
        path = folder / "options" / "experiment" / f"handed_{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# @package _global_\n{text}\n")
        several = [word for word in words if word == "-m"]
        chosen = [f"experiment=handed_{number}", *(word for word in words if word != "-m")]
        made[name] = Payload("train", (*several, "--config-dir", "options", *chosen))

    for target, arguments in CALLS.items():
        call = {"_target_": target, **arguments}
        experiment(f"{target} as a model", {"model": call})
        experiment(f"{target} as a callback", {"hydra": {"callbacks": {"x": call}}})
        if target.startswith(("os.", "botscalp.")):
            experiment(f"{target} in an ensemble", {"model": {"members": {"x": call}}}, "model=ensemble")
            referee = {"hydra": {"sweeper": {"referee": call}}}
            experiment(f"{target} as a referee", referee, "-m", "hydra/sweeper=search", "seed=1,2")
    for name, tree in LOGGING.items():
        experiment(f"logging: {name}", {"hydra": {"job_logging": tree}})
        experiment(f"Hydra's logging: {name}", {"hydra": {"hydra_logging": tree}})
    for name, tree in SETTINGS.items():
        launcher = ("-m", "hydra/launcher=a10g", "seed=1,2") if "launcher" in tree["hydra"] else ()
        experiment(name, tree, *launcher)
    yaml = {
        "a call in YAML": "!!python/object/apply:os.system ['touch {opened}']",
        "an object in YAML": "!!python/object/new:handed.Touch []",
        "a name in YAML": "!!python/name:handed.Touch",
        "a module in YAML": "!!python/module:handed",
    }
    for name, value in yaml.items():
        experiment(name, {})
        path = folder / "options" / "experiment" / f"handed_{len(made) - 1}.yaml"
        path.write_text(f"# @package _global_\nstudy: {value.replace('{opened}', f'OPENED_{len(made) - 1}')}\n")
    primary = "defaults: [_self_]\nhydra: {searchpath: ['pkg://handed']}\n"
    for name, file, words in (
        ("a config in the place of ours", "train.yaml", ("--config-dir", "instead")),
        ("a config by name", "mine.yaml", ("--config-dir", "instead2", "--config-name", "mine")),
        ("a config by path", "train.yaml", ("--config-path", str(folder / "instead"))),
        ("a config by a short name", "mine.yaml", ("--config-dir", "instead2", "-cn", "mine")),
    ):
        place = folder / ("instead" if file == "train.yaml" else "instead2")
        place.mkdir(exist_ok=True)
        (place / file).write_text(primary)
        made[name] = Payload("train", words)
    for suffix in ("parquet", "csv", "feather", "pkl", "npy"):
        shutil.copyfile(folder / "handed.pkl", folder / f"bars.{suffix}")
        made[f"a pickle as bars.{suffix}"] = Payload("train", ("data=file", f"data.path=bars.{suffix}"))
    return made


def _write_traps(folder: Path) -> None:
    """What opens a file as soon as it is imported, unpickled or run."""
    opened = folder / "OPENED_by_handed"
    (folder / "handed.py").write_text(
        f"open({str(opened)!r}, 'w')\nSTREAM = None\nclass Touch:\n    def __init__(self, *a, **k): pass\n"
    )
    (folder / "handed.pkl").write_bytes(pickle.dumps(_Opens(str(opened))))
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "git").write_text(f"#!/bin/sh\ntouch {opened}\n")
    (folder / "bin" / "git").chmod(0o755)


class _Opens:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")
