"""From a composed config to the objects it describes. Hydra and OmegaConf stop here.

Every option of a group names its class in `_target_` and sets exactly that class's fields; pydantic checks
the values against the fields' annotations, so types and ranges are written once, in the class.
"""

import difflib
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from botscalp.errors import UserError

if TYPE_CHECKING:
    from botscalp.pipeline.experiment import Experiment

CONF = Path(__file__).resolve().parents[2] / "conf"


def nearest(word: str, choices: list[str]) -> str:
    """The end of a message: the choices, the most similar one first if there is one."""
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid: {', '.join(sorted(choices))}"


def build(values: dict[str, Any], key: str) -> Any:
    """The object that `values` describe: `_target_` names a frozen dataclass, the rest are its fields.

    Only classes of this package are built: a config is data and must not be able to run anything else.

    Raises:
        UserError: naming `key`.`field`, the value and what is allowed.
    """
    values = dict(values)
    target = str(values.pop("_target_", ""))
    module_name, _, class_name = target.rpartition(".")
    if not module_name.startswith("botscalp."):
        raise UserError(f"{key}._target_", target, "only classes of botscalp are built", f"choose an option of {key}")
    try:
        kind = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}._target_", target, str(error), f"choose an option of {key}") from error
    return checked(kind, values, key)


def checked(kind: type, values: dict[str, Any], key: str) -> Any:
    """An instance of the dataclass `kind`, its values checked and converted; errors as in `build`."""
    from pydantic import TypeAdapter, ValidationError

    prefix = f"{key}." if key else ""
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise UserError(f"{prefix}{name}", values[name], "no such key", nearest(str(name), known))
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, UserError):
            raise cause from None
        path = prefix + ".".join(str(part) for part in first["loc"])
        raise UserError(path.rstrip("."), first["input"], first["msg"], f"see {source_of(key)} for a valid value") from None


def source_of(key: str) -> str:
    """Where a person reads about this group."""
    return f"conf/{key}/" if (CONF / key).is_dir() else "conf/train.yaml"


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The config with its interpolations resolved, as dicts and lists; a missing value is an error."""
    missing = OmegaConf.missing_keys(cfg)
    if missing:
        key = sorted(missing)[0]
        raise UserError(key, "???", "this key has no default", f"set it: {key}=...")
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return values  # type: ignore[return-value]


GROUPS = ("data", "features", "label", "model", "wfo", "trainer", "calibration", "backtest", "verdict", "tracking")


def experiment_of(cfg: DictConfig, *, names: dict[str, str], overrides: dict[str, str]) -> "Experiment":
    """The experiment that the config describes; nothing heavy is imported to build it.

    Args:
        names: the chosen option of each group.
        overrides: the keys typed on the command line or set by a sweep, with their values.

    Raises:
        UserError: naming the key, its value and what is allowed.
    """
    from botscalp.pipeline.experiment import Experiment, Job

    values = plain(cfg)
    parts = {group: build(values.pop(group), group) for group in GROUPS}
    return Experiment(job=checked(Job, values, ""), **parts, names=names, overrides=overrides)


def overridden(words: Sequence[str]) -> dict[str, str]:
    """Keys and values of overrides such as "label.horizon=5"; additions and deletions keep their sign in the key."""
    pairs = (word.partition("=") for word in words)
    return {key: value for key, _, value in pairs}
