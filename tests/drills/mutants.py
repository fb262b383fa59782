"""Every small change of a module that a test should notice: a token swapped, a number moved by one, a statement gone."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

SWAPS = {
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "is not": "is", "is": "is not"},
    **{"not in": "in", "in": "not in", "and": "or", "or": "and", "&": "|", "|": "&"},
    **{"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "//", "**": "*"},
    **{"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|="},
    **{"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"},
}
_OPERATOR = re.compile(r"\bis\s+not\b|\bnot\s+in\b|\b(?:is|in|and|or)\b|//=?|\*\*|[-+*/|&<>=!]=|[-+*/%|&<>]")


@dataclass(frozen=True)
class Mutant:
    """A module's source with one change; told by its file and the changed line before and after."""

    path: str
    number: int
    """of the line"""
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.path, self.before, self.after


@dataclass(frozen=True)
class _Edit:
    """Text to put in the place of a stretch of the source, in bytes from its begin."""

    start: int
    end: int
    text: str


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines. What is said, annotated or asserted is left as it is."""
    raw = source.encode()
    made = [_mutant(path, raw, edit) for edit in _Changes(raw).found(ast.parse(source))]
    return sorted((one for one in made if one.source != source), key=lambda one: one.number)


def _mutant(path: str, raw: bytes, edit: _Edit) -> Mutant:
    changed = raw[: edit.start] + edit.text.encode() + raw[edit.end :]
    first = raw.rfind(b"\n", 0, edit.start) + 1
    last = raw.find(b"\n", edit.end)
    before, after = (" ".join(text[first : last + len(text) - len(raw)].decode().split()) for text in (raw, changed))
    return Mutant(path, raw.count(b"\n", 0, edit.start) + 1, before, after, changed.decode())


class _Changes:
    """Finds the edits of one source."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.lines = [0, *(found.end() for found in re.finditer(rb"\n", raw))]

    def found(self, node: ast.AST) -> Iterator[_Edit]:
        """The edits of the node and of all below it that runs."""
        if isinstance(node, ast.JoinedStr | ast.Assert):
            return
        if isinstance(node, ast.expr | ast.stmt | ast.Slice):
            yield from self.of(node)
        skipped = [getattr(node, name, None) for name in ("annotation", "returns")]
        for child in ast.iter_child_nodes(node):
            if child not in skipped and child not in getattr(node, "decorator_list", ()):
                yield from self.found(child)

    def of(self, node: ast.AST) -> Iterator[_Edit]:
        """The edits of the node itself."""
        match node:
            case ast.Compare(left=left, comparators=rights):
                yield from self.between([left, *rights])
            case ast.BoolOp(values=values):
                yield from self.between(values)
            case ast.BinOp(left=left, right=right) | ast.AugAssign(target=left, value=right):
                yield from self.between([left, right])
            case ast.UnaryOp(op=ast.Not()):
                yield self.without(node, "not")
            case ast.UnaryOp(op=ast.USub()):
                yield self.without(node, "-")
            case ast.Constant(value=bool()):
                yield self.replaced(node, str(not node.value))
            case ast.Constant(value=int() | float()):
                yield from (self.replaced(node, repr(node.value + step)) for step in (1, -1))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in SWAPS:
                end = self.span(node.func)[1]
                yield _Edit(end - len(name), end, SWAPS[name])
            case ast.Slice(lower=lower, upper=upper):
                bounds = [one for one in (lower, upper) if one is not None and not isinstance(one, ast.Constant)]
                yield from (_Edit(self.span(one)[1], self.span(one)[1], " + 1") for one in bounds)
            case ast.Return(value=ast.expr()):
                yield self.replaced(node, "return None")
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if isinstance(
                test, ast.BoolOp | ast.Name
            ):
                yield self.replaced(test, f"(not ({self.text(test)}))")
        if _may_go(node):
            yield self.replaced(node, "pass")

    def between(self, parts: list[ast.expr]) -> Iterator[_Edit]:
        """The operators that stand between the parts, each swapped."""
        for left, right in pairwise(parts):
            start, end = self.span(left)[1], self.span(right)[0]
            found = _OPERATOR.search(self.raw[start:end].decode())
            swapped = found and SWAPS.get(" ".join(found[0].split()))
            if found and swapped:
                yield _Edit(start + found.start(), start + found.end(), swapped)

    def without(self, node: ast.AST, sign: str) -> _Edit:
        start = self.span(node)[0]
        return _Edit(start, start + len(sign), "")

    def replaced(self, node: ast.AST, text: str) -> _Edit:
        return _Edit(*self.span(node), text)

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.raw[start:end].decode()

    def span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt) and node.end_lineno and node.end_col_offset is not None
        return (
            self.lines[node.lineno - 1] + node.col_offset,
            self.lines[node.end_lineno - 1] + node.end_col_offset,
        )


def _may_go(node: ast.AST) -> bool:
    """A statement without which all names are still known."""
    match node:
        case ast.Continue() | ast.Break() | ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call()):
            return True
        case ast.Assign(targets=targets):
            return all(
                isinstance(one, ast.Subscript | ast.Attribute) or _is_read_by(one, node.value) for one in targets
            )
    return False


def _is_read_by(target: ast.expr, value: ast.expr) -> bool:
    names = {one.id for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names <= {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}
