"""The keys that there are, for messages about one that there is not: those of what is chosen, and those of other options."""

import sys
from collections.abc import Iterator
from pathlib import Path

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from botscalp.config import CONF
from botscalp.options import meant_by, nearest


def instead_of(key: str, value: str, config_name: str) -> str:
    """The remedy for a key that there is not: the one that was likely meant, and those beside it."""
    cfg = composed(config_name)
    if (CONF / key).is_dir() and key in cfg:
        return f"it is a group: choose one of {', '.join(sorted(path.stem for path in (CONF / key).glob('*.yaml')))}"
    group, _, name = key.rpartition(".")
    if not group:
        meant = " or ".join(meant_keys(name, cfg))
        return f"{f'did you mean {meant}? ' if meant else ''}valid: {', '.join(_names(cfg))}"
    node, missing = cfg, name
    for missing in key.split("."):
        if not isinstance(node.get(missing), DictConfig):
            break
        node = node[missing]
    if missing in node:
        return f"{missing} holds no keys of its own: set it as a whole"
    names = _names(node)
    if group in cfg and (options := options_with(group, name)):
        typed = next((word for word in sys.argv[1:] if word.startswith(f"{group}=")), None)
        which = options[0] if len(options) == 1 else "one of them"
        how = f"type {which} {f'in place of {typed}' if typed else 'too'}"
        return f"it is a key of {', '.join(options)}: {how}; valid without: {', '.join(names) or 'none'}"
    if not names:
        return f"leave it out: {group} has no keys" if "_target_" in node else f"to add it: +{key}={value}"
    return nearest(missing, names)


def meant_keys(name: str, cfg: DictConfig) -> list[str]:
    """What to type in place of a key that is unknown at the top: trainer.epochs for epochs, data=file data.path for path."""
    places: dict[str, list[str]] = {}
    for key in _places(cfg):
        places.setdefault(key.rpartition(".")[2], []).append(key)
    if name not in places:
        groups = [group for group in _names(cfg) if (CONF / group).is_dir()]
        if found := [f"{option} {group}.{name}" for group in groups for option in options_with(group, name)]:
            return found
    found = places.get(meant_by(name, places) or "", [])
    return [key for key in found if key.count(".") == min(one.count(".") for one in found)]


def options_with(group: str, name: str) -> list[str]:
    """The options of the group that have a key of this name, such as data=file."""
    return [f"{group}={path.stem}" for path in sorted((CONF / group).glob("*.yaml")) if name in _keys_of(path)]


def default_of(key: str, config_name: str) -> str | None:
    """What the key holds where nobody sets it, as it is typed; None where that cannot be told."""
    group, _, inside = key.partition(".")
    if inside and any(word.startswith(f"{group}=") and not _is_choice(word) for word in sys.argv[1:]):
        return None  # an option of the user's own
    cfg = composed(config_name)
    try:
        value = OmegaConf.to_container(OmegaConf.masked_copy(cfg, group), throw_on_missing=True)
    except OmegaConfBaseException:
        return None
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()


def composed(config_name: str) -> DictConfig:
    """What the valid choices on the command line compose, and nothing else that was typed."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            return hydra.compose(config_name, overrides=[word for word in sys.argv[1:] if _is_choice(word)])
        except HydraException:  # a group that this command has not
            return hydra.compose(config_name)


def _is_choice(word: str) -> bool:
    return (CONF / f"{word.replace('=', '/', 1)}.yaml").is_file()


def _names(node: DictConfig) -> list[str]:
    return sorted(str(name) for name in node if not str(name).startswith("_"))


def _places(node: DictConfig, before: str = "") -> Iterator[str]:
    """Every key, those that hold others too."""
    for name in _names(node):
        yield f"{before}{name}"
        inner = node._get_node(name)
        if isinstance(inner, DictConfig) and not inner._is_none():
            yield from _places(inner, f"{before}{name}.")


def _keys_of(option: Path) -> set[str]:
    """Those of its file, and of the options of the same group that it builds on."""
    values = yaml.safe_load(option.read_text()) or {}
    bases = [option.with_name(f"{word}.yaml") for word in values.pop("defaults", ()) if isinstance(word, str)]
    return set(values).union(*(_keys_of(base) for base in bases if base.is_file()))
