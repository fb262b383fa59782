"""docs/config.md: every group, option and key of conf/, with default, allowed values and meaning; `make docs` writes it.

Defaults are what Hydra composes. A meaning is the comment on the key's line in conf/, or, where the file has none, the
docstring of the field that the key sets. Allowed values follow from the field's annotation, the one that checks them.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from botscalp import compare, ingest, predict, rescore
from botscalp.annotations import allowed
from botscalp.config import CONF, GROUPS
from botscalp.pipeline.experiment import Job
from botscalp.sentinels.audit import AuditSettings
from tests.docs.yaml_comments import comments, first_comment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "config.md"


@dataclass(frozen=True)
class Audit:
    """What the audit takes beside an experiment."""

    audit: AuditSettings


COMMANDS: Mapping[str, type | None] = {
    **{"train": Job, "audit": Audit, "predict": predict.Request, "backtest": rescore.Request},
    **{"compare": compare.Request, "ingest": ingest.Request, "gpu": None},
}
"""the configs at the top of conf/, and what checks their own keys"""
OVERLAYS = ("debug", "experiment", "search")
"""groups whose options set keys of other groups"""
ELSEWHERE = ("hydra/launcher=a10g", "hydra/launcher=ray", "hydra/sweeper=search")

HEAD = """# Every key

Written by `make docs` from the files of `conf/` and the classes that check them; [README.md](../README.md) says how options are
chosen and keys are set. `python -m botscalp.train --cfg job` prints the same keys with the values of the moment.

`???` has to be set, `null` is none, `${x}` is the value of the key x. A unit stands in the meaning, or at the end of the name: `_bps`
are hundredths of a percent, `_bars` bars, `_s` seconds, `_gb` and `_mib` sizes, `_usd` dollars. Paths are relative to the folder in
which the command is typed, times are UTC. What stands in `conf/` below `hydra:` and is not listed here are Hydra's own keys.
"""


@dataclass(frozen=True)
class Key:
    """A row of a table."""

    name: str
    value: Any
    values: str
    """what is allowed, in words"""
    meaning: str


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_train(), *_overlays(), *_elsewhere(), *_commands()]).rstrip() + "\n"


def keys() -> Iterator[tuple[str, Key]]:
    """Every key of every option and command, with where it stands."""
    for option in (*_options_of_groups(), *ELSEWHERE):
        for key in option_keys(option):
            yield option, key
    for command in COMMANDS:
        for key in command_keys(command):
            yield command, key


def option_keys(option: str) -> list[Key]:
    """The keys of an option such as "model=gru", as they are set on the command line."""
    group, _, name = option.partition("=")
    node = _node(option)
    return list(_rows(group.replace("/", "."), node, _class_of(node), _comments(group, name)))


def command_keys(command: str) -> list[Key]:
    """The keys of conf/<command>.yaml that belong to no group."""
    path = CONF / f"{command}.yaml"
    own = {key: value for key, value in yaml.safe_load(path.read_text()).items() if key not in ("defaults", "hydra")}
    return list(_rows("", OmegaConf.create(own), COMMANDS[command], comments(path)))


@cache
def _node(option: str) -> DictConfig:
    """What Hydra composes of the option, which takes it a quarter of a second."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[option], return_hydra_config=True)
    node = OmegaConf.select(cfg, option.partition("=")[0].replace("/", "."))
    assert isinstance(node, DictConfig)
    return node


def _comments(group: str, name: str) -> dict[str, str]:
    """Those of the option's file, and of the options of the same group that it builds on."""
    path = CONF / group / f"{name}.yaml"
    if not path.is_file():  # a plugin's
        return {}
    bases = [word for word in yaml.safe_load(path.read_text()).get("defaults", []) if isinstance(word, str)]
    below: dict[str, str] = {}
    for base in bases:
        if base != "_self_" and "@" not in base:
            below |= _comments(group, base)
    return below | comments(path)


def _rows(
    prefix: str, node: DictConfig, kind: type | None, said: Mapping[str, str], *, path: str = ""
) -> Iterator[Key]:
    """A row a key; a mapping none of whose keys says what it means is one value.

    Args:
        prefix: what stands before the keys on the command line.
        kind: the class whose fields the keys are.
        said: comments by the keys' places in the file, of which `path` is the one of this node.
    """
    hints, docs = _hints(kind), _docstrings(kind)
    for name in map(str, node):
        if name.startswith("_"):
            continue
        place, key, hint = _below(path, name), _below(prefix, name), hints.get(name, Any)
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none():
            inner = _class_of(child) or (hint if is_dataclass(hint) else None)
            if any(_below(place, str(one)) in said or one in _docstrings(inner) for one in child):
                yield from _rows(key, child, inner, said, path=place)
                continue
        plain = OmegaConf.to_container(child) if OmegaConf.is_config(child) else child._value()
        yield Key(key, plain, allowed(hint), said.get(place, docs.get(name, "")))


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _class_of(node: DictConfig) -> type | None:
    """The class that the node's values are fields of, where there is one of ours."""
    kind = OmegaConf.get_type(node)
    if isinstance(kind, type) and is_dataclass(kind):
        return kind
    module, _, name = str(node.get("_target_", "")).rpartition(".")
    return getattr(import_module(module), name) if module.startswith("botscalp.") else None


def _hints(kind: type | None) -> dict[str, Any]:
    if kind is None:
        return {}
    return get_type_hints(kind if is_dataclass(kind) else kind.__init__, include_extras=True)  # type: ignore[misc]


def _docstrings(kind: type | None) -> dict[str, str]:
    """What stands below each field of the class, its bases' first."""
    found: dict[str, str] = {}
    for one in reversed([] if kind is None or not is_dataclass(kind) else kind.__mro__[:-1]):
        (tree,) = ast.parse(inspect.getsource(one)).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def _options(group: str) -> list[str]:
    """The default of train.yaml first."""
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return sorted(names, key=lambda name: name != _defaults().get(group))


def _options_of_groups() -> list[str]:
    return [f"{group}={name}" for group in GROUPS for name in _options(group)]


def _defaults() -> dict[str, str]:
    listed = yaml.safe_load((CONF / "train.yaml").read_text())["defaults"]
    return {key: value for entry in listed if isinstance(entry, dict) for key, value in entry.items()}


def _train() -> Iterator[str]:
    yield from ("## python -m botscalp.train", "", first_comment(CONF / "train.yaml"), "")
    yield from ("| group | options, the default first |", "|---|---|")
    for group in (*GROUPS, *OVERLAYS):
        listed = ", ".join(f"`{name}`" for name in _options(group))
        yield f"| [{group}](#{group}) | {listed if group in GROUPS else f'none; {listed}'} |"
    yield ""
    yield from _table({"": command_keys("train")})
    for group in GROUPS:
        yield from _group(group)


def _group(group: str) -> Iterator[str]:
    """Options of one class share a table, with a column of defaults for each."""
    yield from (f"### {group}", "")
    tables: dict[str, dict[str, list[Key]]] = {}
    for name in _options(group):
        rows = option_keys(f"{group}={name}")
        tables.setdefault(str(_node(f"{group}={name}")["_target_"]) if rows else "", {})[name] = rows
    for shared in tables.values():
        yield from (f"- `{group}={name}`: {first_comment(CONF / group / f'{name}.yaml')}" for name in shared)
        yield ""
        yield from _table(shared)


def _table(columns: Mapping[str, list[Key]]) -> Iterator[str]:
    first = next(iter(columns.values()))
    if not first:
        return
    titles = list(columns) if len(columns) > 1 else ["default"]
    yield f"| key | {' | '.join(titles)} | values | meaning |"
    yield "|---" * (len(titles) + 3) + "|"
    for rows in zip(*columns.values(), strict=True):
        defaults = " | ".join(shown(row.value) for row in rows)
        yield f"| `{rows[0].name}` | {defaults} | {_cell(rows[0].values)} | {_cell(rows[0].meaning)} |"
    yield ""


def shown(value: Any) -> str:
    """A value as it is typed; options inside it by their names alone."""
    if isinstance(value, dict) and any(isinstance(one, dict) and "_target_" in one for one in value.values()):
        return ", ".join(f"`{name}`" for name in value)
    if isinstance(value, str):
        return f"`{_cell(value)}`" if value else "`''`"
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return f"`{_cell(text.removesuffix(chr(10)).removesuffix(chr(10) + '...'))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _overlays() -> Iterator[str]:
    """Options that stand for many keys at once."""
    for group in OVERLAYS:
        yield from (f"### {group}", "", "| option | what it is | what it sets |", "|---|---|---|")
        for name in _options(group):
            path = CONF / group / f"{name}.yaml"
            words = " ".join(f"`{_cell(word)}`" for word in _sets(yaml.safe_load(path.read_text())))
            yield f"| `{group}={name}` | {_cell(first_comment(path))} | {words} |"
        yield ""


def _sets(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The file's values as words of a command line, on which spaces of a search are typed like values."""
    for key, value in values.items():
        if key == "defaults":
            for entry in value:
                ((group, option),) = entry.items()
                yield f"{group.removeprefix('override ').lstrip('/')}={option}"
        elif isinstance(value, dict):
            yield from _sets(value, _below(path, key))
        else:
            yield f"{_below(path, key).removeprefix('hydra.sweeper.params.')}={value}"


def _elsewhere() -> Iterator[str]:
    yield from ("## Sweeps and searches", "")
    yield "The keys of `python -m botscalp.train -m` beside those above: [search.md](search.md), [a10g.md](a10g.md), [ray.md](ray.md)."
    yield ""
    for option in ELSEWHERE:
        group, _, name = option.partition("=")
        yield from (f"### {option}", "", first_comment(CONF / group / f"{name}.yaml"), "")
        yield from _table({"": option_keys(option)})


def _commands() -> Iterator[str]:
    for command in [name for name in COMMANDS if name != "train"]:
        path = CONF / f"{command}.yaml"
        yield from (f"## python -m botscalp.{command}", "", first_comment(path), "")
        listed = [entry for entry in yaml.safe_load(path.read_text())["defaults"] if entry != "_self_"]
        if "train" in listed:
            yield from ("It takes every key of `train` too.", "")
        groups = [f"`{group}={name}`" for entry in listed if isinstance(entry, dict) for group, name in entry.items()]
        groups = [word for word in groups if "override" not in word]
        if groups:
            yield from (f"It takes the keys of groups of `train` too; chosen are {', '.join(groups)}.", "")
        yield from _table({"": command_keys(command)})


if __name__ == "__main__":
    PAGE.write_text(page())
