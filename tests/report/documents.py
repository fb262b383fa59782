"""A page as its tests see it: elements, the text that a reader sees, and whether it is whole."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "base", "source"}
"""elements of HTML that have no end"""
UNSEEN = {"script", "style", "title", "desc"}


@dataclass(frozen=True)
class Element:
    """A start tag, and the tags that it lies in."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]


@dataclass
class Document(HTMLParser):
    """Parsed by `document`. An end tag that fits no start tag is an error."""

    elements: list[Element] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    style: str = ""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> ends {self.open} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.style += data
        if not UNSEEN & set(self.open):
            self.seen.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, spaces as one."""
        return " ".join(" ".join(self.seen).split())

    @property
    def ids(self) -> list[str]:
        return [element.attributes["id"] for element in self.elements if "id" in element.attributes]

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> is given twice at {self.getpos()}"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self.open)))


def document(html: str) -> Document:
    """The page, each of whose elements has its end."""
    parsed = Document()
    parsed.feed(html)
    parsed.close()
    assert not parsed.open, f"{parsed.open} have no end"
    return parsed
