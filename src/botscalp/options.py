"""Options as plain values and back: what a config or a kept model says of an object, checked before it is built.

An option is a frozen dataclass. `_target_` names its class and the other values are its fields; pydantic checks them
against the fields' annotations, so types and ranges are written once, in the class.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib import import_module
from typing import Any, get_type_hints

from botscalp.errors import NotAllowedError, UserError

_TRUSTED: set[str] = set()
"""packages beside this one whose classes are built in this process"""


def trust(packages: Iterable[str]) -> None:
    """Let classes of these packages be built in this process, and of no others but ours."""
    _TRUSTED.clear()
    _TRUSTED.update(packages)


def trusted() -> list[str]:
    """The packages that `trust` was told of, in order."""
    return sorted(_TRUSTED)


def trusts(target: str) -> bool:
    """Whether the target, such as my_package.features.Mine, lies in a package that `trust` was told of."""
    return target.partition(".")[0] in _TRUSTED


def described(option: Any) -> dict[str, Any]:
    """The option's `_target_` and fields as plain values; `build` is the way back."""
    return {"_target_": f"{type(option).__module__}.{type(option).__qualname__}", **asdict(option)}


def build(values: Any, key: str) -> Any:
    """The option that `values` describe.

    Only classes of this package and of those that are trusted are built: what a file says is data and must not be able to
    run anything else.

    Raises:
        UserError: naming `key` and field, the value and what is allowed.
    """
    if not isinstance(values, Mapping):
        remedy = f"type {key}=NAME; in a file, write under defaults: - override /{key}: NAME"
        raise UserError(key, values, "an option was expected, with its keys", remedy)
    target = str(values.get("_target_", ""))
    module_name, _, class_name = target.rpartition(".")
    remedy = f"choose an option of {key}"
    if not module_name.startswith("botscalp.") and not trusts(target):
        remedy = f"{remedy}; if it is a class of your own: --trust PACKAGE"
        raise UserError(f"{key}._target_", target, "only classes of botscalp are built", remedy)
    try:
        kind = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}._target_", target, str(error), remedy) from error
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise UserError(f"{key}._target_", target, "is no option: those are frozen dataclasses", remedy)
    return checked(kind, {name: value for name, value in values.items() if name != "_target_"}, key)


def checked(kind: type, values: Mapping[str, Any], key: str = "") -> Any:
    """An instance of the dataclass `kind`, its values checked and converted; errors as in `build`.

    Args:
        key: the group that holds the values, if one does.
    """
    from pydantic import TypeAdapter, ValidationError

    prefix = f"{key}." if key else ""
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise UserError(f"{prefix}{name}", values[name], "no such key", nearest(str(name), known))
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        every = error.errors()
        # Where a value may be of several kinds, the kind that it got furthest with is the one that was meant.
        first = max((one for one in every if one["loc"][:1] == every[0]["loc"][:1]), key=lambda one: len(one["loc"]))
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, UserError):
            raise cause from None
        name = str(first["loc"][0]) if first["loc"] else ""
        value = values.get(name, "nothing")
        for part in first["loc"][1:]:
            if isinstance(value, Mapping) and (part in value or first["type"] == "missing"):
                name, value = f"{name}.{part}", value.get(part, "nothing")
        if first["type"] in ("tuple_type", "list_type"):
            raise UserError(f"{prefix}{name}", value, first["msg"], f"write a list: {prefix}{name}=[{value}]") from None
        words = _allowed_in(kind, name.split("."))
        raise NotAllowedError(
            f"{prefix}{name}", value, first["msg"], f"allowed: {words}" if words else "see docs/config.md"
        ) from None


def _allowed_in(kind: type, place: Iterable[str]) -> str:
    """What the field allows, or the innermost one of fields within it."""
    from botscalp.annotations import allowed

    hint: Any = kind
    for name in place:
        if is_dataclass(hint) and isinstance(hint, type):
            hint = get_type_hints(hint, include_extras=True).get(name, Any)
    return allowed(hint)


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of a message: the choice that was likely meant, if there is one, and all of them."""
    choices = sorted(choices)
    meant = meant_by(word, choices)
    return f"{f'did you mean {meant}? ' if meant else ''}valid: {', '.join(choices)}"


def meant_by(word: str, choices: Iterable[str]) -> str | None:
    """The choice that differs from the word by a slip or two."""
    return next(iter(difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.65)), None)
