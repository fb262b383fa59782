"""What Hydra, OmegaConf and YAML say of a config that cannot be composed, as one message: file, key, value, and what to do."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from hydra.errors import OverrideParseException

from botscalp.allowed import config_folder
from botscalp.config import CONF
from botscalp.errors import UserError
from botscalp.known_keys import instead_of
from botscalp.options import nearest
from botscalp.typed import ambiguous, as_file, unreadable

_REMEDIES = (  # what OmegaConf or Hydra says, and what helps
    ("Interpolation key", "${...} has to name a key of the config"),
    ("Recursive interpolation", "give one of the keys that name each other a value"),
    ("Unsupported interpolation type", "${...} takes a key of the config, or oc.env:NAME"),
    ("Environment variable", "set it in the shell, or give the key a value"),
    ("defaults must be a list", "write under defaults: - override /GROUP: NAME, one a line"),
    ("Config group override must be a string", "name a file of that group, by a name that is no number"),
    ("searchpath", "add a folder of options with --config-dir FOLDER"),
)
_YAML = (  # what a YAML error says, and what helps
    ("'\\t'", "indent with spaces, not with tabs"),
    ("mapping values are not allowed", "indent keys of one level alike, and quote a value that holds a colon"),
    ("duplicate key", "keep one of the two"),
    ("could not determine a constructor", "write a plain value: no file can name a class in this way"),
    ("undefined alias", "quote a value that begins with *"),
    ("another document", "take the line --- away: a file holds one config"),
    ("special characters", "save the file as UTF-8 text"),
)


def composition_message(error: BaseException, config_name: str) -> str:
    """The message for an error that came up before the task began."""
    text = str(error).strip() or str(error.__cause__ or "").strip() or type(error).__name__
    first = text.splitlines()[0]
    if isinstance(error, yaml.YAMLError):
        return _yaml_message(error)
    if isinstance(error, UnicodeDecodeError):
        return _as_message(_unreadable(), "is not UTF-8 text", "save the file as UTF-8")
    if isinstance(error, RecursionError):
        remedy = "see that no list of defaults names the file itself, and nothing is nested by the hundred"
        return _as_message(_chosen(), "contains itself, or is nested too deeply", remedy)
    if "Invalid loaded object type" in text:
        return _as_message(_chosen(), "holds no keys", "write key: value, one a line")
    if option := re.search(r"Could not (?:find|load) '(?:(.+)/)?([^']+)'", text):
        group, word = _choice(f"{option[1] or config_name}/{option[2]}")
        if (bars := as_file(group, word)) is not None:
            return str(bars)
        there = re.findall(r"^\t([^\s,=]+)$", text, re.MULTILINE) or [
            path.stem for path in CONF.glob(f"{group}/*.yaml")
        ]
        named_in = re.match(r"In '(.+)': Could not load", text)
        problem = f"no such option (named in {_file(named_in[1]) or named_in[1]})" if named_in else "no such option"
        return str(UserError(group, word, problem, nearest(word, there)))
    if key := re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'", text):
        typed = next((word.partition("=")[2] for word in sys.argv[1:] if word.startswith(f"{key[1]}=")), "")
        name = _of_group(key[1])
        return str(UserError(name, typed, "no such key", instead_of(name, typed, config_name)))
    if several := re.match(r"Ambiguous value for argument '(.+)'$", first):
        return str(ambiguous(several[1], config_name))
    remedy = f"see python -m botscalp.{config_name} --help"
    if isinstance(error, OverrideParseException):
        return str(unreadable(error, config_name))
    if placed := re.match(r"In '(.+)': \w+ raised while composing config:\n(.+)", text):
        file, said = placed[1], placed[2]
        if group_key := re.search(r"Key '(.+)' (?:is )?not in", said):
            said = f"{group_key[1]}: no such key"
        return _as_message(_file(file) or file, said, "see that file, and the keys of conf/ that it changes")
    if full_key := str(getattr(error, "full_key", "") or ""):
        first = f"{full_key}: {first}"
    where = ", ".join(map(str, _chosen_files()))
    return _as_message(where, first, next((help for words, help in _REMEDIES if words in first), remedy))


def set_in(key: str) -> Path | None:
    """The file of the user's choice that gives the key its value; None where it was typed, or is botscalp's own."""
    if any(word.lstrip("+").partition("=")[0] == key for word in sys.argv[1:]):
        return None
    for path in _chosen_files():
        try:
            node = yaml.safe_load(path.read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        for part in key.split(".") if _is_global(path) else key.removeprefix(f"{path.parent.name}.").split("."):
            keys = {str(name): value for name, value in node.items()} if isinstance(node, dict) else {node: None}
            if part not in keys:
                break
            node = keys[part]
        else:
            return path
    return None


def _yaml_message(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0])
    where = f"{mark.name}:{mark.line + 1}" if mark is not None else str(getattr(error, "name", _chosen()))
    remedy = next((help for words, help in _YAML if words in said), "see a file of conf/ for how it is written")
    return _as_message(where.replace(f"{Path.cwd()}/", ""), said, remedy)


def _as_message(where: object, problem: str, remedy: str) -> str:
    return f"{f'{where}: ' if str(where) else ''}{problem}\n  remedy: {remedy}"


def _of_group(key: str) -> str:
    """The key behind what Hydra calls experiment/model@model for `override model` in a file of experiments."""
    return key.partition("@")[2] or key


def _choice(option: str) -> tuple[str, str]:
    """Group and name of what Hydra calls data/file; a name that was typed may hold / too."""
    for word in sys.argv[1:]:
        group, _, name = word.partition("=")
        if option == f"{group}/{name}":
            return group, name
    group, _, name = option.rpartition("/")
    return group, name


def _chosen() -> str:
    return ", ".join(map(str, _chosen_files())) or "the config"


def _chosen_files() -> list[Path]:
    """The user's own files of options that the command line names, such as experiments/btc_2024.yaml; the last one first."""
    named = [path for word in reversed(sys.argv[1:]) if "=" in word for path in _option_files(word)]
    return [path for path in named if not path.resolve().is_relative_to(CONF)]


def _option_files(word: str) -> Iterator[Path]:
    group, _, names = word.lstrip("+").partition("=")
    for name in names.strip("[]").split(","):
        if (path := _file(f"{group}/{name}")) is not None:
            yield path


def _file(option: str) -> Path | None:
    """The file of an option such as experiment/btc_2024, as a reader would name it."""
    for folder in filter(None, (config_folder(sys.argv), CONF)):
        path = folder / f"{option.removesuffix('.yaml')}.yaml"
        if path.is_file():
            whole = path.resolve()
            return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole
    return None


def _unreadable() -> str:
    """Those of the chosen files that are no text."""
    broken = []
    for path in _chosen_files():
        try:
            path.read_text("utf-8")
        except UnicodeDecodeError:
            broken.append(str(path))
    return ", ".join(broken) or _chosen()


def _is_global(path: Path) -> bool:
    return "@package _global_" in path.read_text().partition("\n")[0]
