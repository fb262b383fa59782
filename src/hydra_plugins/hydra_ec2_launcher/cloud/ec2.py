"""Renting at EC2: every request of `Cloud`, answered with boto3."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hydra_plugins.hydra_ec2_launcher.cloud import access
from hydra_plugins.hydra_ec2_launcher.cloud.calls import READ_ATTEMPTS, Client, answers, client
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    OWNER_TAG,
    SWEEP_TAG,
    AnswerLostError,
    Image,
    Instance,
    Market,
    Price,
    RefusedError,
    Remedy,
    Request,
)
from hydra_plugins.hydra_ec2_launcher.cloud.prices import (
    SpotHistory,
    ceiling_price,
    on_demand_price,
    spot_bound,
    spot_price,
)
from hydra_plugins.hydra_ec2_launcher.cloud.schedule import schedule_termination

PUBLIC_PARAMETERS = "/aws/service/"
NO_INSTANCE = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
log = logging.getLogger(__name__)


class Ec2:
    """`Cloud` at Amazon. What is asked of it fails with RefusedError, AnswerLostError, or ValueError without credentials."""

    def __init__(
        self,
        *,
        owner: str,
        trusted_owners: Sequence[str] = ("amazon",),
        price_ceiling_usd: float | None = None,
        scheduler_role: str | None = None,
    ) -> None:
        """Tag what is made with the owner; trust images of these accounts or aliases; see `Rent` for the rest."""
        self.owner = owner
        self.trusted_owners = tuple(trusted_owners)
        self.price_ceiling_usd = price_ceiling_usd
        self.scheduler_role = scheduler_role
        self._clients: dict[tuple[str, str, int], Client] = {}

    def zones(self, region: str, instance_type: str) -> Sequence[str]:
        with answers():
            pages = self._pages(
                region,
                "describe_instance_type_offerings",
                LocationType="availability-zone",
                Filters=[_filter("instance-type", instance_type)],
            )
            return sorted(offer["Location"] for page in pages for offer in page["InstanceTypeOfferings"])

    def image(self, region: str, ami: str) -> Image:
        image_id = ami if ami.startswith("ami-") else self._parameter(region, ami)
        with answers():
            available = [_filter("state", "available")]
            found = self._ec2(region).describe_images(ImageIds=[image_id], Filters=available)["Images"]
        if not found:
            raise RefusedError("InvalidAMIID.Unavailable", f"{ami} in {region}", Remedy.NEXT_AMI)
        (image,) = found
        owners = [image[name] for name in ("ImageOwnerAlias", "OwnerId") if image.get(name)]
        if not set(owners) & set(self.trusted_owners):
            why = f"{ami} in {region} is of {owners[0]}, not of {', '.join(self.trusted_owners)}"
            raise RefusedError("UntrustedImage", why, Remedy.NEXT_AMI)
        return Image(id=image_id, name=image["Name"], owner=owners[0], root_device=image["RootDeviceName"])

    def price(self, region: str, zone: str, instance_type: str, market: Market) -> Price:
        """The newest spot price or the table's; else the ceiling; ValueError with none of them."""
        if market is Market.ON_DEMAND:
            known = on_demand_price(region, instance_type)
        else:
            now = datetime.now(UTC)
            try:
                known = spot_price(self.spot_history(region, zone, instance_type, start=now, end=now))
            except (RefusedError, AnswerLostError) as error:
                log.warning("no spot price for %s in %s: %s", instance_type, zone, error)
                known = None
            known = known or spot_bound(region, instance_type)
        return known or ceiling_price(self.price_ceiling_usd, f"{instance_type} {market.value} in {zone}")

    def spot_history(
        self, region: str, zone: str, instance_type: str, *, start: datetime, end: datetime
    ) -> SpotHistory:
        """The spot prices that held between two times, the one that held at the start included."""
        with answers():
            pages = self._pages(
                region,
                "describe_spot_price_history",
                InstanceTypes=[instance_type],
                ProductDescriptions=["Linux/UNIX"],
                AvailabilityZone=zone,
                StartTime=start,
                EndTime=end,
            )
            return sorted(
                (entry["Timestamp"].astimezone(UTC), float(entry["SpotPrice"]))
                for page in pages
                for entry in page["SpotPriceHistory"]
            )

    def prepare(self, region: str, *, sweep: str, public_key: str, caller: str) -> tuple[str, str]:
        tags = {OWNER_TAG: self.owner, SWEEP_TAG: sweep}
        group = access.open_to(self._ec2(region), sweep, caller, tags)
        return group, access.import_key(self._ec2(region), sweep, public_key, tags)

    def request(self, request: Request) -> Instance:
        # One attempt alone: the answer to a shortage is the next zone, and to a lost answer the same token.
        with answers():
            reply = self._client("ec2", request.rung.region, attempts=1).run_instances(**run_arguments(request))
        return _instance(request.rung.region, reply["Instances"][0])

    def find(self, region: str, tags: Mapping[str, str]) -> Sequence[Instance]:
        with answers():
            pages = self._pages(region, "describe_instances", Filters=_tag_filters(tags))
            described = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
        return [_instance(region, one) for one in described]

    def describe(self, region: str, instance_id: str) -> Instance | None:
        try:
            with answers():
                reservations = self._ec2(region).describe_instances(InstanceIds=[instance_id])["Reservations"]
        except RefusedError as error:
            if error.code in NO_INSTANCE:
                return None
            raise
        return _instance(region, reservations[0]["Instances"][0]) if reservations else None

    def terminate(self, region: str, instance_id: str) -> None:
        try:
            with answers():
                self._ec2(region).terminate_instances(InstanceIds=[instance_id])
        except RefusedError as error:
            if error.code not in NO_INSTANCE:
                raise

    def volumes(self, region: str, tags: Mapping[str, str]) -> Sequence[str]:
        with answers():
            pages = self._pages(region, "describe_volumes", Filters=_tag_filters(tags))
            return [volume["VolumeId"] for page in pages for volume in page["Volumes"]]

    def cleanup(self, region: str, *, sweep: str) -> None:
        access.withdraw(self._ec2(region), sweep)

    def schedule_termination(self, region: str, instance_id: str, at: datetime) -> bool:
        if self.scheduler_role is None:
            return False
        try:
            schedule_termination(self._client("scheduler", region), self.scheduler_role, instance_id, at)
        except (RefusedError, AnswerLostError) as error:
            log.warning("EventBridge Scheduler will not end %s: %s", instance_id, error)
            return False
        return True

    def console(self, region: str, instance_id: str) -> str:
        try:
            with answers():
                reply = self._ec2(region).get_console_output(InstanceId=instance_id, Latest=True)
        except RefusedError as error:
            if error.code in NO_INSTANCE:
                return ""
            raise
        return str(reply.get("Output", ""))

    def _parameter(self, region: str, name: str) -> str:
        if not name.startswith(PUBLIC_PARAMETERS):
            remedy = f"name an image id, ami-..., or a public parameter, {PUBLIC_PARAMETERS}..."
            raise ValueError(f"hydra.launcher.rent.amis={name}: neither an image nor a parameter\n  remedy: {remedy}")
        with answers():
            return str(self._client("ssm", region).get_parameter(Name=name)["Parameter"]["Value"])

    def _ec2(self, region: str) -> Client:
        return self._client("ec2", region)

    def _client(self, service: str, region: str, attempts: int = READ_ATTEMPTS) -> Client:
        key = service, region, attempts
        if key not in self._clients:
            self._clients[key] = client(service, region, attempts=attempts)
        return self._clients[key]

    def _pages(self, region: str, operation: str, **arguments: Any) -> Any:
        return self._ec2(region).get_paginator(operation).paginate(**arguments)


def run_arguments(request: Request) -> dict[str, Any]:
    """What RunInstances is told: no role on the machine, an encrypted disk that goes with it, an end when it shuts down."""
    rung = request.rung
    tagged = ["instance", "volume", "network-interface"]
    arguments: dict[str, Any] = {
        "ClientToken": request.token,
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": request.image.id,
        "InstanceType": request.instance_type,
        "Placement": {"AvailabilityZone": rung.zone},
        "KeyName": request.key_name,
        "SecurityGroupIds": [request.security_group],
        "UserData": request.user_data,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "disabled",
        },
        "BlockDeviceMappings": [
            {
                "DeviceName": request.image.root_device,
                "Ebs": {
                    "VolumeType": "gp3",
                    "VolumeSize": request.disk_gb,
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
    }
    if rung.market is Market.SPOT:
        tagged.append("spot-instances-request")
        # No MaxPrice: it brings more interruptions, and the budget guards what is spent.
        spot = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        arguments["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": spot}
    return {**arguments, "TagSpecifications": access.tag_specifications(request.tags, *tagged)}


def _instance(region: str, described: Mapping[str, Any]) -> Instance:
    return Instance(
        id=described["InstanceId"],
        region=region,
        zone=described["Placement"]["AvailabilityZone"],
        market=Market.SPOT if described.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND,
        state=described["State"]["Name"],
        address=described.get("PublicIpAddress") or None,
        launched_at=described["LaunchTime"].astimezone(UTC),
        tags={tag["Key"]: tag["Value"] for tag in described.get("Tags", ())},
    )


def _filter(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": [*values]}


def _tag_filters(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_filter(f"tag:{key}", value) for key, value in tags.items()]
