"""From a composed config to the objects it describes. Hydra and OmegaConf stop here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from botscalp.errors import UserError
from botscalp.options import build, checked

if TYPE_CHECKING:
    from botscalp.pipeline.experiment import Experiment

CONF = Path(__file__).resolve().parents[2] / "conf"
GROUPS = ("data", "features", "label", "model", "wfo", "trainer", "calibration", "backtest", "verdict", "tracking")

_HEADED = ("debug", "experiment", "search")
"""groups whose files change keys of the whole config"""


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The config as dicts and lists, interpolations resolved; UserError for a key that has no value."""
    missing = sorted(OmegaConf.missing_keys(cfg), key=lambda key: (key.count("."), key))
    if missing:
        remedy = f"set it: {' '.join(f'{key}=...' for key in missing)}"
        raise UserError(missing[0], "???", "this key has no default", remedy)
    return {str(key): value for key, value in dict(OmegaConf.to_container(cfg, resolve=True)).items()}  # type: ignore[arg-type]


def experiment_of(
    cfg: DictConfig,
    *,
    names: Mapping[str, str],
    overrides: Mapping[str, str],
    sweep: str | None = None,
) -> "Experiment":
    """The experiment that the config describes; nothing heavy is imported to build it.

    Args:
        names: the chosen option of each group.
        overrides: the keys typed on the command line or set by a sweep, with their values.
        sweep: what the jobs of a sweep have in common.

    Raises:
        UserError: naming the key, its value and what is allowed.
    """
    from botscalp.pipeline.experiment import Experiment, Job

    values = plain(cfg)
    for group in GROUPS:
        if group not in values:
            raise UserError(group, "deleted", "a run needs every group", f"leave out the override ~{group}")
    for group in _HEADED:
        if group in values:
            remedy = "make that its first line, or take the override away where the file is empty"
            raise UserError(
                group, overrides.get(group, values[group]), "its file does not begin with # @package _global_", remedy
            )
    values["study"] = str(values["study"] or "")  # study=2024 is a name too
    kind = None if values.pop("trial", None) is None else "trial"
    parts = {group: build(values.pop(group), group) for group in GROUPS}
    source = parts["data"]
    parts["backtest"] = parts["backtest"].at_exchange(source.symbols, market=getattr(source, "market", None))
    return Experiment(job=checked(Job, values), **parts, names=names, overrides=overrides, sweep=sweep, kind=kind)


def overridden(words: Sequence[str]) -> dict[str, str]:
    """Keys and values of overrides such as "label.horizon=5"; a deletion's value is empty."""
    return {key.lstrip("+~"): value for key, _, value in (word.partition("=") for word in words)}
