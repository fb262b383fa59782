"""Pages from templates: HTML files that need nothing beside them, and in which text from outside is escaped."""

from functools import cache
from typing import TYPE_CHECKING, Any

from botscalp.report.drawing import DARK, PALETTE, Picture, css_variables, svg
from botscalp.report.tables import Table

if TYPE_CHECKING:
    from jinja2 import Environment


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
