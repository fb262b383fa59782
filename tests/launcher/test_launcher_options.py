"""conf/hydra/launcher: each option composes into a launcher, and its keys are the documented ones."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from botscalp.config import CONF

OPTIONS = sorted(path.stem for path in (CONF / "hydra/launcher").glob("*.yaml"))
COMMANDS = ("train", "gpu")


def composed(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(command, overrides=[*overrides, "hydra.sweep.dir=x"], return_hydra_config=True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", OPTIONS)
def test_option_makes_a_launcher(command: str, option: str) -> None:
    launcher = instantiate(composed(command, f"hydra/launcher={option}").hydra.launcher)
    assert hasattr(launcher, "launch")


def test_a10g_is_what_the_documentation_says() -> None:
    settings = instantiate(composed("train", "hydra/launcher=a10g").hydra.launcher).settings
    assert (settings.rent.instance_type, settings.rent.markets, settings.slots) == (
        "g5.2xlarge",
        ["spot", "on-demand"],
        3,
    )
    document = (Path(__file__).resolve().parents[2] / "docs/a10g.md").read_text()
    table = document.partition("## Keys")[2].partition("\n## ")[0]
    named = {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)}
    assert len(named) > 15 and named <= set(names(settings))


def names(settings: Any, start: str = "") -> list[str]:
    """All keys below hydra.launcher."""
    found = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        key = f"{start}{field.name}"
        found += names(value, f"{key}.") if is_dataclass(value) else [key]
    return found


def test_a_mistyped_key_is_refused() -> None:
    with pytest.raises(Exception, match="budget"):
        composed("train", "hydra/launcher=a10g", "hydra.launcher.limits.budget=1")
