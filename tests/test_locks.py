"""The lock files pin all that pyproject.toml asks for, with what that asks for in turn, and a hash for each but torch."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.locks import ROOT, pinned

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LAYERS = {"dev": ("", "torch", "dev"), "bench": ("", "torch", "dev", "bench")}


def asked(requirements: list[str], extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """Those of them that count on this platform."""
    found = [Requirement(text) for text in requirements]
    return [
        one
        for one in found
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
    ]


def closure(wanted: list[Requirement]) -> Iterator[tuple[str, Requirement]]:
    """(who asks, what for), from pyproject.toml on; what is not installed here asks for nothing."""
    todo, seen = [("pyproject.toml", one) for one in wanted], set[str]()
    while todo:
        who, one = todo.pop()
        yield who, one
        if str(one) not in seen:
            seen.add(str(one))
            try:
                more = asked(requires(one.name) or [], frozenset(one.extras))
            except PackageNotFoundError:
                continue
            todo += [(one.name, other) for other in more]


@pytest.mark.parametrize("layer", ["", "dev", "bench", "ray", "nautilus"])
def test_every_pin_has_a_hash(layer: str) -> None:
    assert not [name for name, pin in pinned(layer).items() if not pin.hashes]


def test_torch_alone_has_none_and_a_file_of_its_own() -> None:
    (torch,) = [Requirement(text) for text in PROJECT["dependencies"] if text.startswith("torch=")]
    assert {name: str(torch.specifier) for name in pinned("torch")} == {
        "torch": f"=={pinned('torch')['torch'].version}"
    }
    assert not pinned("torch")["torch"].hashes


@pytest.mark.parametrize("extra", LAYERS)
def test_what_is_asked_for_however_deep_is_pinned_to_a_version_that_suits(extra: str) -> None:
    """pip installs these files with --no-deps: what they leave out is not there."""
    pins = pinned(*LAYERS[extra])
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    wanted += PROJECT["optional-dependencies"][extra] if extra != "dev" else []
    missing = [
        f"{who}: {one}"
        for who, one in closure(asked(wanted))
        if (pin := pins.get(canonicalize_name(one.name))) is None
        or not one.specifier.contains(pin.version, prereleases=True)
    ]
    assert not missing
