"""What a config may name: it is data, and may have been handed to you, so nothing runs that is not on these lists.

The whole composed tree is looked at before Hydra builds or configures anything. What only you may say has to be typed: another
package whose classes are built (`--trust PACKAGE`), and settings that are commands or reach other programs.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from botscalp.config import GROUPS
from botscalp.errors import UserError
from botscalp.options import trust, trusts
from botscalp.secrets import refuse_variables

FLAG = "--trust"
_PLUGINS = ("hydra.launcher._target_", "hydra.sweeper._target_")
"""Hydra itself builds none there but installed plugins"""
_BUILT_BY_HYDRA = ("botscalp.sweep.SweepProgress", "botscalp.search.Referee")
_LOGGING = (
    *("botscalp.pipeline.progress.TerminalHandler", "botscalp.pipeline.progress.RunLog"),
    *("logging.StreamHandler", "logging.FileHandler"),
    *("logging.Formatter", "colorlog.ColoredFormatter"),
)
_LOG_FILES = ("${hydra.runtime.output_dir}/log.txt", "${hydra.runtime.output_dir}/${hydra.job.name}.log")
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
_ONLY_TYPED: dict[str, Any] = {
    "hydra.launcher.site.poweroff": ["sudo", "-n", "systemctl", "poweroff"],
    "hydra.launcher.connection.proxy_command": None,
    "hydra.launcher.travel.python": None,
    "hydra.launcher.ray.init.runtime_env": None,
    "hydra.launcher.ray.remote.runtime_env": None,
    "hydra.launcher.ray_init_cfg.runtime_env": None,
}
"""settings that are commands, or that other programs are started with, and the value that a file may give them"""

Leaf = tuple[tuple[str, ...], Any]


def take_trust(argv: list[str]) -> tuple[str, ...]:
    """Take `--trust PACKAGE` from the command line, which Hydra must not see; the packages.

    Raises:
        UserError: no package follows, or none of that name is found.
    """
    packages = []
    while FLAG in argv:
        place = argv.index(FLAG)
        package = argv[place + 1] if place + 1 < len(argv) else ""
        if not package.isidentifier() or importlib.util.find_spec(package) is None:
            remedy = f"name one that can be imported from here: {FLAG} my_package"
            raise UserError(FLAG, package, "no such package", remedy)
        packages.append(package)
        del argv[place : place + 2]
    trust(packages)
    return tuple(packages)


def check_folders(argv: Sequence[str], config_name: str) -> None:
    """Refuse other files in the place of the command's own config: a folder of options stands beside it.

    Raises:
        UserError: an option of Hydra's would replace conf/<config_name>.yaml.
    """
    for word, value in zip(argv, [*argv[1:], ""], strict=True):
        name = word.partition("=")[0]
        if name in ("-cn", "-cp") or (name.startswith("--config-") and not "--config-dir".startswith(name)):
            remedy = "put options of your own into a folder: --config-dir FOLDER"
            raise UserError(name, value, "a command has a config of its own", remedy)
    if (folder := config_folder(argv)) is not None and (folder / f"{config_name}.yaml").exists():
        remedy = "keep options alone in that folder, in subfolders named like the groups"
        raise UserError("--config-dir", folder, f"its {config_name}.yaml would replace that of botscalp", remedy)


def config_folder(argv: Sequence[str]) -> Path | None:
    """The folder that --config-dir names."""
    for word, value in zip(argv, [*argv[1:], ""], strict=True):
        name, _, joined = word.partition("=")
        if name == "-cd" or (name.startswith("--config-d") and "--config-dir".startswith(name)):
            return Path(joined or value)
    return None


def check_all_that_hydra_composes(argv: Sequence[str]) -> None:
    """From now on `check` is asked about every config of this process before Hydra uses it.

    Hydra builds callbacks and configures logging between composing and calling us, and offers no place in between.
    """
    load: Callable[..., DictConfig] = getattr(ConfigLoaderImpl.load_configuration, "unchecked", None) or (
        ConfigLoaderImpl.load_configuration
    )

    def load_configuration(self: ConfigLoaderImpl, *args: Any, **kwargs: Any) -> DictConfig:
        cfg = load(self, *args, **kwargs)
        check(cfg, argv)
        return cfg

    load_configuration.unchecked = load  # type: ignore[attr-defined]
    ConfigLoaderImpl.load_configuration = load_configuration  # type: ignore[method-assign]


def check(cfg: DictConfig, argv: Sequence[str]) -> None:
    """Refuse what is not on the lists.

    Args:
        cfg: as composed, with the node `hydra` where there is one.
        argv: the words that the user typed.

    Raises:
        UserError: naming the key and what it asks for, or the variable of the environment that it reads.
    """
    refuse_variables(cfg)
    _check_choices(cfg, argv)
    typed = {word.lstrip("+").partition("=")[0] for word in argv}
    for place, value in _leaves(OmegaConf.to_container(cfg, resolve=False)):
        key = ".".join(place)
        if place[-1] == "_target_" and key not in _PLUGINS:
            _check_target(key, value)
        if place[:2] in (("hydra", "job_logging"), ("hydra", "hydra_logging")):
            _check_logging(place, value)
        if place[:2] in (("hydra", "callbacks"), ("hydra", "launcher"), ("hydra", "sweeper")):
            _check_no_hidden_tree(cfg, key, value)
        _check_typed(key, value, typed)
    name = OmegaConf.select(cfg, "hydra.job.name", default="")
    if "/" in str(name):
        raise UserError("hydra.job.name", name, "names a file of the run folder", "use a name without /")


def _check_choices(cfg: DictConfig, argv: Sequence[str]) -> None:
    """Hydra merges the keys of a list of options, and notes none of them as the choice."""
    choices = OmegaConf.select(cfg, "hydra.runtime.choices")
    deleted = {word.partition("=")[0].lstrip("~") for word in argv if word.startswith("~")}
    for group in GROUPS:
        if group in cfg and choices and group not in {*choices, *deleted}:
            typed = next((word.partition("=")[2] for word in argv if word.startswith(f"{group}=")), "[...]")
            remedy = f"name one; for a sweep over them: -m {group}={typed.strip('[]').replace('...', 'A,B')}"
            raise UserError(group, typed, "a run takes one option of a group", remedy)


def _leaves(tree: Any, place: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every value that is no mapping, with its place; lists of plain values are values."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, (*place, str(name)))
    elif isinstance(tree, list) and any(isinstance(value, dict | list) for value in tree):
        for number, value in enumerate(tree):
            yield from _leaves(value, (*place, str(number)))
    elif place:
        yield place, tree


def _check_target(key: str, value: Any) -> None:
    hydras = key.startswith("hydra.")
    known = value in _BUILT_BY_HYDRA if hydras else str(value).startswith("botscalp.")
    if not known and not trusts(str(value)):
        raise UserError(
            key,
            value,
            "only classes of botscalp are built",
            f"choose an option of {key.removesuffix('._target_')}; if it is a class of your own: {FLAG} PACKAGE",
        )


def _check_logging(place: tuple[str, ...], value: Any) -> None:
    """Python's logging builds what `class` and `()` name, imports what `ext://` names, and opens what `filename` names."""
    key, name = ".".join(place), place[-1]
    allowed: tuple[str, ...] | None = None
    if name in ("class", "()", "factory"):
        allowed = _LOGGING
    elif name == "filename":
        allowed = _LOG_FILES
    elif any("://" in str(one) or "${" in str(one) for one in (value if isinstance(value, list) else [value])):
        allowed = _STREAMS
    if allowed is not None and value not in allowed:
        raise UserError(key, value, "logging does not take this from a config", f"take one of {', '.join(allowed)}")


def _check_no_hidden_tree(cfg: DictConfig, key: str, value: Any) -> None:
    """An interpolation may stand for a text, not for a tree that has been looked at by other rules."""
    if isinstance(value, str) and "${" in value:
        try:
            meant = OmegaConf.select(cfg, key)
        except Exception:  # it has no value yet, such as the number of a job
            meant = None
        if OmegaConf.is_config(meant):
            raise UserError(key, value, "stands for a whole part of the config", "write that part here")


def _check_typed(key: str, value: Any, typed: set[str]) -> None:
    for only, usual in _ONLY_TYPED.items():
        inside = key == only or key.startswith(f"{only}.")
        if inside and value not in (usual, None, {}, []) and key not in typed:
            raise UserError(
                key, value, "runs or changes other programs, so no file may set it", f"type it yourself: {key}=..."
            )
