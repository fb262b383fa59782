"""Requests to AWS as they come over the wire, rules for what goes wrong with them, and answers as AWS writes them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


@dataclass(frozen=True)
class Call:
    """A request as it came over the wire."""

    action: str
    """e.g. RunInstances, GetParameter, or "POST /schedules/x" where the service has no actions"""
    region: str
    parameters: dict[str, Any]
    """of EC2 by their names in the query, e.g. Placement.AvailabilityZone; else the JSON body"""

    @property
    def market(self) -> str:
        return str(self.parameters.get("InstanceMarketOptions.MarketType", "on-demand"))

    @property
    def zone(self) -> str | None:
        return self.parameters.get("Placement.AvailabilityZone")

    @property
    def ami(self) -> str | None:
        return self.parameters.get("ImageId")

    def tags(self, resource: str) -> dict[str, str]:
        """The tags that the request puts on one kind of resource."""
        for number in range(1, 9):
            prefix = f"TagSpecification.{number}."
            if self.parameters.get(f"{prefix}ResourceType") == resource:
                pairs = (f"{prefix}Tag.{pair}." for pair in range(1, 50))
                present = [pair for pair in pairs if f"{pair}Key" in self.parameters]
                return {self.parameters[f"{pair}Key"]: self.parameters[f"{pair}Value"] for pair in present}
        return {}


@dataclass
class Fault:
    """A rule: what happens to the next `times` requests that match; for ever with None."""

    action: str
    where: dict[str, str | None]
    code: str | None = None
    message: str = "planted"
    status: int = 400
    done: bool = True
    """of a lost answer: whether the work was done"""
    times: int | None = None

    def matches(self, call: Call) -> bool:
        wanted = {name: value for name, value in self.where.items() if value is not None}
        return call.action == self.action and all(getattr(call, name) == value for name, value in wanted.items())


def parsed(environ: dict[str, Any], body: bytes) -> Call:
    """The request of a WSGI environment."""
    region = environ["HTTP_AUTHORIZATION"].split("Credential=")[1].split("/")[2]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return Call(parameters.pop("Action"), region, parameters)
    target = environ.get("HTTP_X_AMZ_TARGET")
    action = target.split(".")[1] if target else f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return Call(action, region, json.loads(body) if body else {})


def ec2_error(code: str, message: str, status: int = 400) -> Response:
    """An error as EC2 writes it."""
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    text = f"<Response><Errors>{error}</Errors><RequestID>planted</RequestID></Response>"
    return Response(text, status=status, content_type="text/xml")


def ec2_answer(action: str, inner: str) -> Response:
    """An answer as EC2 writes it."""
    text = f'<{action}Response xmlns="{NAMESPACE}"><requestId>fixture</requestId>{inner}</{action}Response>'
    return Response(text, content_type="text/xml")


def first_text(xml: bytes, name: str) -> str:
    """The text of the first element of that name."""
    found = ElementTree.fromstring(xml).find(f".//{{*}}{name}")
    assert found is not None and found.text is not None
    return found.text


def instant(text: str) -> datetime:
    """An ISO time of a request, aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
