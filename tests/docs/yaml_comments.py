"""The comments of a YAML file: what stands behind each key, and what the file begins with."""

from itertools import takewhile
from pathlib import Path

import yaml


def comments(path: Path) -> dict[str, str]:
    """The comment on the line of each key that has one, by the key's place, such as "rent.markets"."""
    text = path.read_text()
    lines = text.splitlines()
    ends: dict[int, int] = {}
    """where the last token of each line ends: a # after it begins a comment"""
    for token in yaml.scan(text):
        ends[token.end_mark.line] = max(ends.get(token.end_mark.line, 0), token.end_mark.column)
    found: dict[str, str] = {}
    for place, line in _places(yaml.compose(text)):
        _, mark, comment = lines[line][ends[line] :].partition("#")
        if mark:
            found[place] = comment.strip()
    return found


def first_comment(path: Path) -> str:
    """The first paragraph of what the file begins with."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    return " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("# "), lines))


def _places(node: yaml.Node | None, path: str = "") -> list[tuple[str, int]]:
    """Every key of the mapping, those of mappings in it included, and the line on which it stands."""
    found: list[tuple[str, int]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = f"{path}.{key.value}" if path else key.value
            found += [(place, key.start_mark.line), *_places(value, place)]
    return found
