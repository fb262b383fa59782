"""Pages from templates: HTML files that need nothing beside them, and in which text from outside is escaped."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botscalp.report.drawing import DARK, PALETTE, Picture, css_variables, svg, write_png
from botscalp.report.tables import Table
from botscalp.whole_files import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

FIGURES = "figures"
"""the folder of a page's pictures"""


def write_page(path: Path, html: str, pictures: Iterable[Picture]) -> None:
    """Write the page and, beside it, figures/<name>.png of each of its pictures."""
    figures = path.parent / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    write_whole(path, html)
    for picture in pictures:
        write_png(figures / f"{picture.name}.png", picture.figure)


def rendered(template: str, **context: Any) -> str:
    """The page that this template makes of the context. A name that the context lacks is an error, not a gap."""
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> "Environment":
    """Where templates lie and what all of them know."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("botscalp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": svg, "table_of": Table.of, "css": css_variables}
    environment.tests["picture"] = lambda part: isinstance(part, Picture)
    environment.globals |= {"light": PALETTE, "dark": DARK}
    return environment
