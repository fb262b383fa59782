"""conf/data: each file sets exactly its constructor's arguments, and its defaults work."""

from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from botscalp.data.simulated import SimulatedMarket
from botscalp.data.trivial import TrivialMarket

CONF = Path(__file__).resolve().parents[2] / "conf/data"


def option(name: str) -> tuple[type, dict[str, Any]]:
    """The class that the option builds, and its arguments."""
    config = OmegaConf.create({"seed": 0, "data": OmegaConf.load(CONF / f"{name}.yaml")})
    arguments: Any = OmegaConf.to_container(config.data, resolve=True)
    module, _, class_name = arguments.pop("_target_").rpartition(".")
    return getattr(import_module(module), class_name), arguments


@pytest.mark.parametrize("name", ["simulated", "file", "trivial", "binance"])
def test_values_stand_in_the_file_alone(name: str) -> None:
    built, arguments = option(name)
    assert list(arguments) == [field.name for field in fields(built)]
    assert all(field.default is MISSING for field in fields(built))


@pytest.mark.parametrize(("name", "expected"), [("simulated", SimulatedMarket), ("trivial", TrivialMarket)])
def test_defaults_are_fourteen_months_of_made_up_bars(name: str, expected: type) -> None:
    built, arguments = option(name)
    assert built is expected
    source = built(**arguments | {"symbols": tuple(arguments["symbols"])})
    (bars,) = source.load()
    assert len(bars) == 425 * 288 and bars.symbol == "BTCUSDT"
    assert source.real is False and source.source == name
