"""An AWS on loopback HTTP: moto's server app, with what moto leaves out put in front of it, and faults by rule.

    with FakeAws() as aws:
        ami = aws.publish("us-east-1", "/aws/service/…/ami-id")
        aws.refuse("RunInstances", "InsufficientInstanceCapacity", market="spot")
        aws.lose("RunInstances", times=1)
        ...                            # with aws.environment in the process's environment
        aws.sent("RunInstances")       # every request as it came

In front of moto: client tokens, groups in use, public SSM parameters, spot price history, console output, and
addresses of the caller's choice (`on_run`), so that a machine can be a real sshd here.
"""

import base64
import json
import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from os import environ as os_environ
from threading import RLock, Thread
from typing import Any

import pytest
from aws_wire import Call, Fault, ec2_answer, ec2_error, first_text, instant, parsed
from moto import settings
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

ACCOUNT = "123456789012"
DLAMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
SHORTAGES = ("InsufficientInstanceCapacity", "UnfulfillableCapacity")  # server errors at AWS


@dataclass(frozen=True)
class Machine:
    """A machine that has just been rented, as `on_run` sees it."""

    id: str
    region: str
    zone: str
    market: str
    ami: str
    user_data: str
    tags: dict[str, str]


@dataclass
class FakeAws:
    """The server; a context manager. One a process at a time, since moto keeps its state in globals."""

    on_run: Callable[[Machine], str | None] = lambda machine: None
    """what a new machine's public address is; None leaves moto's"""
    on_end: Callable[[str], None] = lambda instance_id: None
    """called with the id of a machine that ends"""
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    parameters: dict[tuple[str, str], str] = field(default_factory=dict)
    """public SSM parameters by region and name"""
    spot_prices: list[tuple[str, datetime, float]] = field(default_factory=list)
    """zone, from when, dollars per hour"""
    consoles: dict[str, str] = field(default_factory=dict)
    """console output by instance id"""
    _tokens: dict[tuple[str, str], tuple[dict[str, Any], str, Response]] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)
    _server: BaseWSGIServer | None = None
    _thread: Thread | None = None

    def __enter__(self) -> "FakeAws":
        # Read at moto's import, which may have happened: so not by its environment variables.
        settings.ENABLE_AMI_VALIDATION = True
        settings.ENABLE_KEYPAIR_VALIDATION = True
        settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True
        os_environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.reset()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._server is not None and self._thread is not None
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.reset()

    def reset(self) -> None:
        """Forget all: machines, requests and rules."""
        BackendDict.reset()
        for store in (self.calls, self.faults, self.parameters, self.spot_prices, self.consoles, self._tokens):
            store.clear()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 needs in its environment, in this process or another."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "no_proxy": "127.0.0.1",
        }

    # What the cloud holds.

    def publish(self, region: str, parameter: str | None = DLAMI, *, owner: str | None = "amazon") -> str:
        """Register an image of that owner (None: the account's own), behind a public parameter; its id."""
        with self._lock:
            image = ec2_backends[ACCOUNT][region].register_image(name=f"image of {parameter}", description="")
            image.owner_alias = owner
            if parameter is not None:
                self.parameters[region, parameter] = image.id
            return str(image.id)

    def end(self, region: str, instance_id: str) -> None:
        """End a machine from outside, as an interruption does, or its own power-off."""
        with self._lock:
            ec2_backends[ACCOUNT][region].terminate_instances([instance_id])
        self.on_end(instance_id)

    def live(self, region: str = "us-east-1") -> list[str]:
        """The ids of the machines that cost money."""
        instances = ec2_backends[ACCOUNT][region].all_instances()
        return [instance.id for instance in instances if instance.state != "terminated"]

    # Faults.

    def refuse(
        self,
        action: str,
        code: str,
        *,
        market: str | None = None,
        zone: str | None = None,
        ami: str | None = None,
        region: str | None = None,
        message: str = "planted",
        times: int | None = None,
        status: int | None = None,
    ) -> None:
        """Answer matching requests with an error, the next `times` of them or all; a 500 for shortages, as AWS does."""
        where = {"market": market, "zone": zone, "ami": ami, "region": region}
        status = status or (500 if code in SHORTAGES else 400)
        self.faults.append(Fault(action, where, code=code, message=message, times=times, status=status))

    def lose(self, action: str, *, done: bool = True, times: int | None = 1) -> None:
        """Drop the connection instead of answering; after the work was done, or before."""
        self.faults.append(Fault(action, {}, done=done, times=times))

    def sent(self, action: str) -> list[Call]:
        """The requests of that action, in order."""
        return [call for call in self.calls if call.action == action]

    # Answering.

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        call = parsed(environ, body)
        with self._lock:
            self.calls.append(call)
            fault = self._fault(call)
            if fault is not None and fault.code is not None:
                return ec2_error(fault.code, fault.message, fault.status)(environ, start_response)
            if fault is None or fault.done:
                response = self._response(call, environ)
            if fault is not None:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionError("planted: the answer is lost")
        return response(environ, start_response)

    def _fault(self, call: Call) -> Fault | None:
        fault = next((fault for fault in self.faults if fault.times != 0 and fault.matches(call)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
        return fault

    def _response(self, call: Call, environ: dict[str, Any]) -> Response:
        match call.action:
            case "RunInstances":
                return self._run(call, environ)
            case "TerminateInstances":
                response = self._from_moto(environ)
                if response.status_code == 200:
                    ids = [value for name, value in call.parameters.items() if name.startswith("InstanceId.")]
                    for instance_id in ids:
                        self.on_end(instance_id)
                return response
            case "GetParameter":
                return self._parameter(call)
            case "DescribeSpotPriceHistory":
                return self._spot_price_history(call)
            case "DeleteSecurityGroup" if self._in_use(call.region, call.parameters["GroupId"]):
                return ec2_error("DependencyViolation", "a machine uses the group")
            case "GetConsoleOutput" if call.parameters["InstanceId"] in self.consoles:
                return self._console(call)
            case _:
                return self._from_moto(environ)

    def _from_moto(self, environ: dict[str, Any]) -> Response:
        return Response.from_app(self._moto, environ, buffered=True)

    def _run(self, call: Call, environ: dict[str, Any]) -> Response:
        key = call.region, call.parameters["ClientToken"]
        if key in self._tokens:
            parameters, instance_id, response = self._tokens[key]
            if parameters != call.parameters:
                return ec2_error("IdempotentParameterMismatch", "the token was used with other parameters")
            if ec2_backends[ACCOUNT][call.region].get_instance(instance_id).state == "terminated":
                return ec2_error("IdempotentInstanceTerminated", "the token's instance is gone")
            return response
        response = self._from_moto(environ)
        if response.status_code == 200:
            instance_id = first_text(response.get_data(), "instanceId")
            self._tokens[key] = call.parameters, instance_id, response
            self._place(call, instance_id)
            # As at AWS, a machine has no address yet when it is rented.
            response.set_data(re.sub(rb"<ipAddress>[^<]*</ipAddress>", b"", response.get_data()))
        return response

    def _place(self, call: Call, instance_id: str) -> None:
        instance = ec2_backends[ACCOUNT][call.region].get_instance(instance_id)
        machine = Machine(
            id=instance_id,
            region=call.region,
            zone=call.zone or "",
            market=call.market,
            ami=call.ami or "",
            user_data=base64.b64decode(call.parameters.get("UserData", "")).decode(),
            tags=call.tags("instance"),
        )
        address = self.on_run(machine)
        if address is not None:
            instance.nics[0].public_ip = address

    def _in_use(self, region: str, group_id: str) -> bool:
        instances = ec2_backends[ACCOUNT][region].all_instances()
        groups = [
            group.id for instance in instances if instance.state != "terminated" for group in instance.security_groups
        ]
        return group_id in groups

    def _parameter(self, call: Call) -> Response:
        value = self.parameters.get((call.region, call.parameters["Name"]))
        if value is None:
            return Response(json.dumps({"__type": "ParameterNotFound", "message": ""}), status=400)
        parameter = {"Name": call.parameters["Name"], "Type": "String", "Value": value, "Version": 1}
        return Response(json.dumps({"Parameter": parameter}), content_type="application/x-amz-json-1.1")

    def _spot_price_history(self, call: Call) -> Response:
        start, end = (instant(call.parameters[name]) for name in ("StartTime", "EndTime"))
        ours = sorted(entry for entry in self.spot_prices if entry[0] == call.parameters["AvailabilityZone"])
        before = [entry for entry in ours if entry[1] <= start]
        between = [entry for entry in ours if start < entry[1] <= end]
        items = "".join(
            f"<item><instanceType>{call.parameters['InstanceType.1']}</instanceType>"
            f"<productDescription>Linux/UNIX</productDescription><spotPrice>{usd:f}</spotPrice>"
            f"<timestamp>{since:%Y-%m-%dT%H:%M:%S.000Z}</timestamp><availabilityZone>{zone}</availabilityZone></item>"
            for zone, since, usd in reversed([*before[-1:], *between])
        )
        return ec2_answer(call.action, f"<spotPriceHistorySet>{items}</spotPriceHistorySet>")

    def _console(self, call: Call) -> Response:
        instance_id = call.parameters["InstanceId"]
        output = base64.b64encode(self.consoles[instance_id].encode()).decode()
        return ec2_answer(call.action, f"<instanceId>{instance_id}</instanceId><output>{output}</output>")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """An AWS of the test's own, which this process's boto3 talks to."""
    with FakeAws() as fake:
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake
