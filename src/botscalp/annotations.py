"""What the annotation of a field allows, in words, for messages and pages: from the JSON schema that pydantic makes of it."""

from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def allowed(annotation: Any) -> str:
    """For instance "whole number ≥ 1, or null"; nothing of what no schema says, such as a class of your own."""
    if annotation is Any:
        return ""
    try:
        schema = TypeAdapter(annotation).json_schema()
    except PydanticUserError:
        return ""
    return _words(schema, schema.get("$defs", {}))


def _words(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": reference}:
            return _words(known[reference.rpartition("/")[2]], known)
        case {"anyOf": kinds}:
            return ", or ".join(_words(kind, known) for kind in kinds)
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices)
        case {"const": choice}:
            return f"`{choice}`"
        case {"type": "array", "prefixItems": parts}:
            return f"[{', '.join(_words(part, known) for part in parts)}]"
        case {"type": "array", "items": item}:
            return f"list: {_words(item, known)}"
        case {"type": "object", "additionalProperties": value} if isinstance(value, Mapping):
            return f"by name: {_words(value, known)}".removesuffix(": ")
        case {"type": "object", "properties": fields}:
            return "; ".join(f"{name}: {_words(field, known)}" for name, field in fields.items())
        case {"type": "string", "format": "path"}:
            return "path"
        case {"type": kind} if kind in KINDS:
            limits = [
                f"{sign} {schema[name]:,}" for name, sign in BOUNDS.items() if abs(schema.get(name, 1e999)) < 1e308
            ]
            return " ".join([KINDS[kind], " and ".join(limits)]).strip()
    return ""
