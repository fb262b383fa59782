"""Options as plain values and back: what a config or a kept model says of an object, checked before it is built.

An option is a frozen dataclass. `_target_` names its class and the other values are its fields; pydantic checks them
against the fields' annotations, so types and ranges are written once, in the class.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from importlib import import_module
from typing import Any

from botscalp.errors import UserError


def described(option: Any) -> dict[str, Any]:
    """The option's `_target_` and fields as plain values; `build` is the way back."""
    return {"_target_": f"{type(option).__module__}.{type(option).__qualname__}", **asdict(option)}


def build(values: Mapping[str, Any], key: str) -> Any:
    """The option that `values` describe.

    Only classes of this package are built: what a file says is data and must not be able to run anything else.

    Raises:
        UserError: naming `key` and field, the value and what is allowed.
    """
    target = str(values.get("_target_", ""))
    module_name, _, class_name = target.rpartition(".")
    if not module_name.startswith("botscalp."):
        raise UserError(f"{key}._target_", target, "only classes of botscalp are built", f"choose an option of {key}")
    try:
        kind = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}._target_", target, str(error), f"choose an option of {key}") from error
    return checked(kind, {name: value for name, value in values.items() if name != "_target_"}, key)


def checked(kind: type, values: Mapping[str, Any], key: str = "", *, file: str = "conf/train.yaml") -> Any:
    """An instance of the dataclass `kind`, its values checked and converted; errors as in `build`.

    Args:
        key: the group that holds the values; without one they stand in `file`.
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
        remedy = f"see conf/{key}/ for a valid value" if key else f"see {file} for a valid value"
        if first["type"] in ("tuple_type", "list_type"):
            remedy = f"write a list: {prefix}{name}=[{value}]"
        raise UserError(f"{prefix}{name}", value, first["msg"], remedy) from None


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of a message: the most similar choice if there is one, and all of them."""
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}valid: {', '.join(choices)}"
