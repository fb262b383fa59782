"""What may be a secret is neither written down nor said: what is set in the environment, and who asks at an address.

A config is stored as it was resolved, with the run, in MLflow and with a sweep; so nothing in it is read from a variable, of
which nobody can tell whether it holds a token. What is typed as a value is stored as it was typed.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from botscalp.errors import UserError

ADDRESSES = ("BOTSCALP_ARCHIVE", "RAY_ADDRESS")
"""variables that conf/ itself reads"""
SET_FOR_JOBS = ("env_copy", "env_set")
"""keys of hydra.job by which variables get into the config; Hydra writes what the first names into the second"""
_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*([^,}\s]*)")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")


def refuse_typed_variables(words: Sequence[str]) -> None:
    """See that none of the words of a command sets a variable, before anything reads them, and repeats what it cannot read.

    Raises:
        UserError: naming the key, and no secret.
    """
    for word in words:
        key, _, text = word.lstrip("+~").partition("=")
        for name in SET_FOR_JOBS:
            place = f"hydra.job.{name}"
            if key.startswith(place) or (place.startswith(f"{key}.") and name in text):
                raise _would_be_written(place, key.partition(place)[2].lstrip("."))


def refuse_variables(config: DictConfig) -> None:
    """See that nothing in the config comes from the environment.

    Raises:
        UserError: naming the key, and no secret.
    """
    job = OmegaConf.select(config, "hydra.job")
    for key in SET_FOR_JOBS if job is not None else ():
        if names := ", ".join(map(str, job[key])):
            raise _would_be_written(f"hydra.job.{key}", names)
    for key, text in _texts(config):
        if any(name not in ADDRESSES for name in _VARIABLE.findall(text)):
            problem = "a variable may hold a secret, and what it stands for would be written down"
            raise UserError(key, text, problem, f'where it holds none, let the shell fill it in: {key}="$NAME"')


def masked(text: str) -> str:
    """The text without credentials in addresses."""
    return _CREDENTIALS.sub("...@", text)


def _would_be_written(key: str, names: str) -> UserError:
    """The refusal of the variables of these names; of whatever there are, where the names are not known."""
    problem = "would be written down with a sweep and its jobs, and may be a secret"
    return UserError(key, names or "...", problem, "set the variable before the command: X=... python -m ...")


def _texts(config: DictConfig) -> Iterator[tuple[str, str]]:
    """Every text of the config with its key: the user's own, the words that were typed, and Hydra's."""
    values: Any = OmegaConf.to_container(config, resolve=False)
    hydra = values.pop("hydra", {})
    yield from _inside(values, "")
    for word in hydra.get("overrides", {}).get("task", ()):  # a sweep's values are in no config yet
        key, _, text = word.partition("=")
        yield key.lstrip("+"), text
    hydra.pop("overrides", None)
    hydra.get("job", {}).pop("override_dirname", None)
    yield from _inside(hydra, "hydra")


def _inside(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from _inside(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for inner in node:
            yield from _inside(inner, key)
