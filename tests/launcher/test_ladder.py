"""The ladder: what is asked next, for any world of zones and any refusals; and what EC2's codes leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.cloud.cloud import Market, Remedy, Rung
from hydra_plugins.hydra_ec2_launcher.cloud.ladder import Ladder, NoMachineError
from hydra_plugins.hydra_ec2_launcher.cloud.refusals import REFUSALS, advice, remedy

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
NAMES = ("/aws/service/one", "/aws/service/two")
IDS = ("ami-1", "ami-2")
ONWARD = [one for one in Remedy if one is not Remedy.STOP]


def rung(market: Market, zone: str, ami: str) -> Rung:
    return Rung(market=market, region=zone[:-1], zone=zone, ami=ami)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    zones = {
        region: [region + letter for letter in draw(st.sampled_from(["", "a", "ab", "abc"]))] for region in REGIONS
    }
    regions = draw(st.lists(st.sampled_from(REGIONS), min_size=1, unique=True))
    amis = draw(st.lists(st.sampled_from(NAMES + IDS), min_size=1, unique=True))
    return Ladder([Market.SPOT, Market.ON_DEMAND], regions, zones.__getitem__, amis)


def all_rungs(ladder: Ladder) -> list[Rung]:
    return [
        rung(market, zone, ami)
        for market in ladder.markets
        for region in ladder.regions
        for zone in ladder.zones(region)
        for ami in ladder.amis
    ]


def forbidden(refused: Rung, remedy: Remedy) -> tuple[str, object]:
    """The fact about a rung that this refusal forbids, written apart from the ladder's own rule."""
    market, region, zone, ami = refused.market, refused.region, refused.zone, refused.ami
    facts: dict[Remedy, tuple[str, object]] = {
        Remedy.NEXT_ZONE: ("zone", (market, zone)),
        Remedy.NEXT_REGION: ("region", (market, region)),
        Remedy.NEXT_MARKET: ("market", market),
        Remedy.NEXT_AMI: ("id", (region, ami)) if ami in IDS else ("name", ami),
        Remedy.STOP: ("any", None),
    }
    return facts[remedy]


def facts(one: Rung) -> set[tuple[str, object]]:
    market, region, zone, ami = one.market, one.region, one.zone, one.ami
    places: set[tuple[str, object]] = {("zone", (market, zone)), ("region", (market, region)), ("market", market)}
    return {*places, ("id", (region, ami)), ("name", ami), ("any", None)}


@given(ladders(), st.data())
def test_ladder_is_climbed_in_order_once_and_to_its_end(ladder: Ladder, data: st.DataObject) -> None:
    whole = all_rungs(ladder)
    tried: list[Rung] = []
    ruled_out: set[tuple[str, object]] = set()
    while (asked := ladder.next()) is not None:
        assert asked not in tried
        # The first of the whole order that nothing forbids: nothing reachable is left out, nothing is out of turn.
        assert asked == next(one for one in whole if not facts(one) & ruled_out)
        answer = data.draw(st.sampled_from([*Remedy, *ONWARD]))
        ruled_out.add(forbidden(asked, answer))
        tried.append(asked)
        ladder = ladder.after(asked, answer, answer.name)
    assert all(facts(one) & ruled_out for one in whole)
    assert [one for one, _ in ladder.tried] == tried
    markets = [one.market for one in tried]
    assert markets == sorted(markets, key=[Market.SPOT, Market.ON_DEMAND].index)


def test_shortages_then_a_quota_then_an_unfit_image() -> None:
    zones = {"us-east-1": ["us-east-1a", "us-east-1b"], "us-west-2": ["us-west-2a"]}
    spot, on_demand = Market.SPOT, Market.ON_DEMAND
    story = [
        (rung(spot, "us-east-1a", NAMES[0]), Remedy.NEXT_ZONE),
        (rung(spot, "us-east-1b", NAMES[0]), Remedy.NEXT_ZONE),
        (rung(spot, "us-west-2a", NAMES[0]), Remedy.NEXT_REGION),
        (rung(on_demand, "us-east-1a", NAMES[0]), Remedy.NEXT_AMI),
        (rung(on_demand, "us-east-1a", NAMES[1]), Remedy.NEXT_REGION),
        (rung(on_demand, "us-west-2a", NAMES[1]), Remedy.NEXT_ZONE),
    ]
    ladder = Ladder([spot, on_demand], list(zones), zones.__getitem__, NAMES)
    for asked, answer in story:
        assert ladder.next() == asked
        ladder = ladder.after(asked, answer, "code")
    assert ladder.next() is None


def test_zones_of_a_region_are_asked_for_only_when_it_is_reached() -> None:
    asked: list[str] = []

    def zones(region: str) -> list[str]:
        asked.append(region)
        return [region + "a"]

    Ladder([Market.SPOT], REGIONS, zones, NAMES).next()
    assert asked == [REGIONS[0]]


def test_error_names_each_rung_its_code_and_what_to_do() -> None:
    tried = [
        (rung(Market.SPOT, "us-east-1a", NAMES[0]), "MaxSpotInstanceCountExceeded"),
        (rung(Market.ON_DEMAND, "us-east-1a", NAMES[0]), "VcpuLimitExceeded"),
        (rung(Market.ON_DEMAND, "us-east-1b", NAMES[0]), "rejected: no driver"),
    ]
    text = str(NoMachineError(tried))
    for words in ("us-east-1a", "us-east-1b", "on-demand", "L-3819A6DF", "L-DB2E81BA", "rejected: no driver"):
        assert words in text


@pytest.mark.parametrize(
    ("code", "message", "left"),
    [
        ("InsufficientInstanceCapacity", "", Remedy.NEXT_ZONE),
        ("UnfulfillableCapacity", "", Remedy.NEXT_ZONE),
        ("Unsupported", "not supported in your requested Availability Zone", Remedy.NEXT_ZONE),
        ("Unsupported", "The requested configuration: legacy boot mode is not supported", Remedy.NEXT_AMI),
        ("MaxSpotInstanceCountExceeded", "", Remedy.NEXT_REGION),
        ("VcpuLimitExceeded", "", Remedy.NEXT_REGION),
        ("SpotMaxPriceTooLow", "", Remedy.NEXT_MARKET),
        ("InvalidAMIID.NotFound", "", Remedy.NEXT_AMI),
        ("InvalidAMIID.Unavailable", "", Remedy.NEXT_AMI),
        ("InvalidAMIID.Malformed", "", Remedy.NEXT_AMI),
        (
            "InvalidParameterValue",
            "The architecture 'x86_64' of the specified instance type does not match the architecture 'arm64'",
            Remedy.NEXT_AMI,
        ),
        ("InvalidParameterValue", "Invalid value for KeyName", Remedy.STOP),
        ("UnauthorizedOperation", "", Remedy.STOP),
        ("AuthFailure", "", Remedy.STOP),
        ("SomethingNew", "", Remedy.STOP),
    ],
)
def test_code_leaves(code: str, message: str, left: Remedy) -> None:
    assert remedy(code, message) is left


def test_every_known_code_has_advice() -> None:
    assert all(advice(code) for code in REFUSALS)
    assert advice("SomethingNew") is None
