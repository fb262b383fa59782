"""Renting at EC2 over real HTTP: what is sent, what each answer leads to, and that nothing is rented twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from aws_faults import ACCOUNT, DLAMI, FakeAws, Machine
from boto3.session import Session
from ec2_requests import LATER_CALLER, OTHER_KEY, REGION, SWEEP, TAGS, TYPE, ZONE, request_for

from hydra_plugins.hydra_ec2_launcher.cloud import calls
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import (
    OWNER_TAG,
    SWEEP_TAG,
    AnswerLostError,
    Market,
    RefusedError,
    Remedy,
)
from hydra_plugins.hydra_ec2_launcher.cloud.ec2 import Ec2
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import Ladder
from hydra_plugins.hydra_ec2_launcher.cloud.policy import policy
from hydra_plugins.hydra_ec2_launcher.cloud.prices import spot_price
from hydra_plugins.hydra_ec2_launcher.cloud.refusals import REFUSALS

ROLE = "arn:aws:iam::123456789012:role/botscalp-scheduler"
NOW = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


class TestRequest:
    @pytest.mark.parametrize("market", Market)
    def test_body_asks_for_a_closed_machine_that_ends_with_its_disk(
        self, aws: FakeAws, ec2: Ec2, market: Market
    ) -> None:
        asked = request_for(ec2, market)
        ec2.request(asked)
        (call,) = aws.sent("RunInstances")
        expected = {
            "ClientToken": asked.token,
            "MinCount": "1",
            "MaxCount": "1",
            "ImageId": asked.image.id,
            "InstanceType": TYPE,
            "Placement.AvailabilityZone": ZONE,
            "KeyName": asked.key_name,
            "SecurityGroupId.1": asked.security_group,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions.HttpTokens": "required",
            "MetadataOptions.HttpPutResponseHopLimit": "1",
            "MetadataOptions.InstanceMetadataTags": "disabled",
            "BlockDeviceMapping.1.DeviceName": asked.image.root_device,
            "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
            "BlockDeviceMapping.1.Ebs.VolumeSize": "100",
            "BlockDeviceMapping.1.Ebs.Encrypted": "true",
            "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
        }
        assert expected.items() <= call.parameters.items()
        assert not [name for name in call.parameters if name.startswith(("IamInstanceProfile", "BlockDeviceMapping.2"))]

    def test_spot_is_asked_for_once_without_a_price_and_on_demand_not_at_all(self, aws: FakeAws, ec2: Ec2) -> None:
        ec2.request(request_for(ec2, Market.SPOT))
        ec2.request(request_for(ec2, Market.ON_DEMAND, token="token-2"))
        spot, on_demand = (
            {name: value for name, value in call.parameters.items() if name.startswith("InstanceMarketOptions")}
            for call in aws.sent("RunInstances")
        )
        assert spot == {
            "InstanceMarketOptions.MarketType": "spot",
            "InstanceMarketOptions.SpotOptions.SpotInstanceType": "one-time",
            "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior": "terminate",
        }
        assert on_demand == {}

    def test_all_that_is_made_is_tagged(self, aws: FakeAws, ec2: Ec2) -> None:
        ec2.request(request_for(ec2, Market.SPOT))
        ec2.request(request_for(ec2, Market.ON_DEMAND, token="token-2"))
        spot, on_demand = aws.sent("RunInstances")
        for kind in ("instance", "volume", "network-interface"):
            assert spot.tags(kind) == on_demand.tags(kind) == TAGS
        assert spot.tags("spot-instances-request") == TAGS
        assert on_demand.tags("spot-instances-request") == {}
        assert aws.sent("CreateSecurityGroup")[0].tags("security-group") == {OWNER_TAG: "me", SWEEP_TAG: SWEEP}
        assert aws.sent("ImportKeyPair")[0].tags("key-pair") == {OWNER_TAG: "me", SWEEP_TAG: SWEEP}

    def test_machine_is_described_as_rented(self, aws: FakeAws, ec2: Ec2) -> None:
        machines: list[Machine] = []

        def on_loopback(machine: Machine) -> str:
            machines.append(machine)
            return "127.0.0.1"

        aws.on_run = on_loopback
        rented = ec2.request(request_for(ec2))
        assert rented.address is None
        described = ec2.describe(REGION, rented.id)
        assert described is not None and described.live
        assert (described.zone, described.market, described.tags) == (ZONE, Market.SPOT, TAGS)
        assert described.address == "127.0.0.1"
        assert described.launched_at.tzinfo is UTC
        assert ec2.find(REGION, {SWEEP_TAG: SWEEP}) == [described]
        assert ec2.find(REGION, {SWEEP_TAG: SWEEP, OWNER_TAG: "another"}) == []
        assert [machine.user_data for machine in machines] == ["#cloud-config\n{}\n"]


class TestRefusals:
    @pytest.mark.parametrize("code", REFUSALS)
    def test_every_code_is_refused_with_its_remedy_after_one_request(self, aws: FakeAws, ec2: Ec2, code: str) -> None:
        asked = request_for(ec2)
        aws.refuse("RunInstances", code)
        with pytest.raises(RefusedError) as refused:
            ec2.request(asked)
        assert refused.value.code == code
        assert refused.value.remedy is REFUSALS[code][0]
        assert len(aws.sent("RunInstances")) == 1
        assert aws.live() == []

    def test_ladder_asks_each_zone_once_and_ends_on_demand(self, aws: FakeAws, ec2: Ec2) -> None:
        aws.refuse("RunInstances", "InsufficientInstanceCapacity", market="spot", times=2)
        aws.refuse("RunInstances", "MaxSpotInstanceCountExceeded", market="spot")
        aws.refuse("RunInstances", "InsufficientInstanceCapacity", zone="us-east-1a", market="on-demand")
        asked = request_for(ec2)
        ladder = Ladder([Market.SPOT, Market.ON_DEMAND], [REGION], lambda region: ec2.zones(region, TYPE), [DLAMI])
        rented = None
        while rented is None and (rung := ladder.next()) is not None:
            try:
                rented = ec2.request(replace(asked, rung=rung, token=f"{rung.market.value}-{rung.zone}"))
            except RefusedError as error:
                ladder = ladder.after(rung, error.remedy, error.code)
        assert [(call.market, call.zone) for call in aws.sent("RunInstances")] == [
            ("spot", "us-east-1a"),
            ("spot", "us-east-1b"),
            ("spot", "us-east-1c"),
            ("on-demand", "us-east-1a"),
            ("on-demand", "us-east-1b"),
        ]
        assert rented is not None and rented.market is Market.ON_DEMAND
        assert aws.live() == [rented.id]

    def test_unknown_client_error_stops(self, aws: FakeAws, ec2: Ec2) -> None:
        asked = request_for(ec2)
        aws.refuse("RunInstances", "SomethingNew")
        with pytest.raises(RefusedError, match="SomethingNew") as refused:
            ec2.request(asked)
        assert refused.value.remedy is Remedy.STOP

    def test_missing_credentials_are_said(self, ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setattr(calls, "session", cache(Session))
        with pytest.raises(ValueError, match="aws configure"):
            ec2.zones(REGION, TYPE)


class TestLostAnswers:
    def test_same_token_gives_the_machine_that_was_rented(self, aws: FakeAws, ec2: Ec2) -> None:
        asked = request_for(ec2)
        aws.lose("RunInstances")
        with pytest.raises(AnswerLostError):
            ec2.request(asked)
        assert len(aws.sent("RunInstances")) == 1
        assert [ec2.request(asked).id for _ in range(2)] == aws.live() * 2
        assert len(aws.live()) == 1

    def test_request_that_never_arrived_can_be_sent_again(self, aws: FakeAws, ec2: Ec2) -> None:
        asked = request_for(ec2)
        aws.lose("RunInstances", done=False)
        with pytest.raises(AnswerLostError):
            ec2.request(asked)
        assert aws.live() == []
        assert [ec2.request(asked).id] == aws.live()

    @pytest.mark.parametrize("code", ["InternalError", "RequestLimitExceeded", "Unavailable"])
    def test_server_error_is_a_lost_answer(self, aws: FakeAws, ec2: Ec2, code: str) -> None:
        asked = request_for(ec2)
        aws.refuse("RunInstances", code, status=503)
        with pytest.raises(AnswerLostError, match=code):
            ec2.request(asked)
        assert len(aws.sent("RunInstances")) == 1

    def test_unreachable_cloud_is_a_lost_answer(self, ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = request_for(ec2)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        with pytest.raises(AnswerLostError):
            Ec2(owner="me").request(asked)

    def test_same_token_for_another_request_stops(self, aws: FakeAws, ec2: Ec2) -> None:
        asked = request_for(ec2)
        ec2.request(asked)
        with pytest.raises(RefusedError, match="IdempotentParameterMismatch") as refused:
            ec2.request(replace(asked, disk_gb=200))
        assert refused.value.remedy is Remedy.STOP
        assert len(aws.live()) == 1

    def test_lost_read_is_asked_again(self, aws: FakeAws, ec2: Ec2) -> None:
        aws.lose("DescribeInstanceTypeOfferings", done=False, times=1)
        assert ec2.zones(REGION, TYPE)[0] == ZONE
        assert len(aws.sent("DescribeInstanceTypeOfferings")) == 2


class TestEnd:
    def test_ended_machine_leaves_no_disk_and_can_be_ended_again(self, aws: FakeAws, ec2: Ec2) -> None:
        ended: list[str] = []
        aws.on_end = ended.append
        rented = ec2.request(request_for(ec2))
        assert len(ec2.volumes(REGION, {SWEEP_TAG: SWEEP})) == 1
        ec2.terminate(REGION, rented.id)
        ec2.terminate(REGION, rented.id)
        assert ended[0] == rented.id
        assert aws.live() == []
        assert ec2.volumes(REGION, {SWEEP_TAG: SWEEP}) == []
        described = ec2.describe(REGION, rented.id)
        assert described is not None and not described.live

    def test_unknown_machine_is_no_error(self, ec2: Ec2) -> None:
        unknown = "i-0123456789abcdef0"
        ec2.terminate(REGION, unknown)
        assert ec2.describe(REGION, unknown) is None
        assert ec2.console(REGION, unknown) == ""

    def test_refused_end_is_an_error(self, aws: FakeAws, ec2: Ec2) -> None:
        rented = ec2.request(request_for(ec2))
        aws.refuse("TerminateInstances", "UnauthorizedOperation")
        with pytest.raises(RefusedError, match="UnauthorizedOperation"):
            ec2.terminate(REGION, rented.id)

    def test_machine_that_was_taken_away_is_seen(self, aws: FakeAws, ec2: Ec2) -> None:
        rented = ec2.request(request_for(ec2))
        aws.end(REGION, rented.id)
        described = ec2.describe(REGION, rented.id)
        assert described is not None and described.state == "terminated"

    def test_switch_is_set_and_moved(self, aws: FakeAws, ec2: Ec2) -> None:
        assert ec2.schedule_termination(REGION, "i-1", NOW)
        assert ec2.schedule_termination(REGION, "i-1", NOW + timedelta(hours=1))
        (first,), (moved,) = aws.sent("POST /schedules/botscalp-i-1")[:1], aws.sent("PUT /schedules/botscalp-i-1")
        assert first.parameters["ScheduleExpression"] == "at(2031-02-03T04:05:06)"
        assert moved.parameters["ScheduleExpression"] == "at(2031-02-03T05:05:06)"
        for call in (first, moved):
            assert call.parameters["ActionAfterCompletion"] == "DELETE"
            assert call.parameters["Target"]["RoleArn"] == ROLE
            assert call.parameters["Target"]["Arn"].endswith("ec2:terminateInstances")
            assert call.parameters["Target"]["Input"] == '{"InstanceIds": ["i-1"]}'

    def test_switch_needs_a_role_and_the_clouds_consent(self, aws: FakeAws, ec2: Ec2) -> None:
        assert not Ec2(owner="me").schedule_termination(REGION, "i-1", NOW)
        assert aws.calls == []
        aws.refuse("POST /schedules/botscalp-i-1", "AccessDeniedException")
        assert not ec2.schedule_termination(REGION, "i-1", NOW)


class TestImages:
    def test_parameter_and_id_lead_to_the_same_image(self, ec2: Ec2) -> None:
        image = ec2.image(REGION, DLAMI)
        assert image.owner == "amazon"
        assert ec2.image(REGION, image.id) == image

    def test_image_of_a_stranger_is_refused(self, aws: FakeAws, ec2: Ec2) -> None:
        stranger = aws.publish(REGION, None, owner=None)
        with pytest.raises(RefusedError, match="UntrustedImage") as refused:
            ec2.image(REGION, stranger)
        assert refused.value.remedy is Remedy.NEXT_AMI
        assert Ec2(owner="me", trusted_owners=["amazon", ACCOUNT]).image(REGION, stranger).id == stranger

    @pytest.mark.parametrize("missing", ["ami-0123456789abcdef0", "/aws/service/no-such-image"])
    def test_missing_image_leaves_the_next(self, ec2: Ec2, missing: str) -> None:
        with pytest.raises(RefusedError) as refused:
            ec2.image(REGION, missing)
        assert refused.value.remedy is Remedy.NEXT_AMI

    def test_anyones_parameter_is_no_image(self, ec2: Ec2) -> None:
        with pytest.raises(ValueError, match="/mine/image"):
            ec2.image(REGION, "/mine/image")


class TestPrices:
    def test_spot_price_is_the_zones_newest(self, aws: FakeAws, ec2: Ec2) -> None:
        now = datetime.now(UTC)
        aws.spot_prices += [(ZONE, now - timedelta(days=2), 0.4), (ZONE, now - timedelta(days=1), 0.5)]
        aws.spot_prices += [("us-east-1b", now - timedelta(days=1), 0.3)]
        price = ec2.price(REGION, ZONE, TYPE, Market.SPOT)
        assert (price.usd_per_hour, price.source, price.estimated) == (0.5, "spot price history", False)
        assert price.date == (now - timedelta(days=1)).date().isoformat()

    def test_history_starts_with_the_price_that_held(self, aws: FakeAws, ec2: Ec2) -> None:
        times = [NOW + timedelta(hours=hours) for hours in range(5)]
        aws.spot_prices += [(ZONE, at, 0.1 * number) for number, at in enumerate(times, 1)]
        start, end = times[1] + timedelta(minutes=30), times[3]
        history = ec2.spot_history(REGION, ZONE, TYPE, start=start, end=end)
        assert history == [(times[1], 0.2), (times[2], pytest.approx(0.3)), (times[3], 0.4)]
        newest = spot_price(history)
        assert newest is not None and newest.usd_per_hour == 0.4

    def test_on_demand_price_names_its_source(self, ec2: Ec2) -> None:
        price = ec2.price(REGION, ZONE, TYPE, Market.ON_DEMAND)
        assert (price.usd_per_hour, price.date, price.estimated) == (1.212, "unknown", False)

    @pytest.mark.parametrize("market", Market)
    def test_ceiling_stands_in_for_an_unknown_price(self, ec2: Ec2, market: Market) -> None:
        with pytest.raises(ValueError, match="price_ceiling_usd"):
            ec2.price("eu-west-1", "eu-west-1a", TYPE, market)
        price = Ec2(owner="me", price_ceiling_usd=1.5).price("eu-west-1", "eu-west-1a", TYPE, market)
        assert (price.usd_per_hour, price.estimated) == (1.5, True)

    def test_refused_history_is_an_unknown_price(self, aws: FakeAws) -> None:
        aws.refuse("DescribeSpotPriceHistory", "UnauthorizedOperation")
        assert Ec2(owner="me", price_ceiling_usd=1.5).price(REGION, ZONE, TYPE, Market.SPOT).estimated


def test_console_is_what_the_machine_wrote(aws: FakeAws, ec2: Ec2) -> None:
    aws.consoles["i-1"] = "cloud-init: line ü\n"
    assert ec2.console(REGION, "i-1") == "cloud-init: line ü\n"
    assert aws.sent("GetConsoleOutput")[0].parameters["Latest"] == "true"


def test_type_that_no_zone_offers_has_no_zones(ec2: Ec2) -> None:
    assert ec2.zones(REGION, "g99.large") == []


def test_policy_allows_what_a_whole_life_calls(aws: FakeAws, ec2: Ec2) -> None:
    """From preparing to cleaning up, a changed caller and a second key included; and hardly more."""
    rented = ec2.request(request_for(ec2))
    ec2.prepare(REGION, sweep=SWEEP, public_key=OTHER_KEY, caller=LATER_CALLER)
    ec2.zones(REGION, TYPE)
    ec2.find(REGION, TAGS)
    ec2.volumes(REGION, TAGS)
    ec2.console(REGION, rented.id)
    ec2.spot_history(REGION, ZONE, TYPE, start=NOW, end=NOW)
    ec2.terminate(REGION, rented.id)
    ec2.cleanup(REGION, sweep=SWEEP)
    called = {call.action for call in aws.calls}
    document = policy(regions=[REGION], instance_types=[TYPE], owner="me")
    allowed = {action.split(":")[1] for statement in document["Statement"] for action in statement["Action"]}
    assert called <= allowed
    assert allowed - called == {"CreateTags"}
