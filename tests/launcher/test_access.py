"""Who may log in: the security group and the key of a sweep, over real HTTP."""

from typing import Any

import pytest
from aws_faults import FakeAws
from ec2_requests import CALLER, KEY, LATER_CALLER, OTHER_KEY, REGION, SWEEP, request_for
from hypothesis import given
from hypothesis import strategies as st

from hydra_plugins.hydra_ec2_launcher.cloud.access import single_address
from hydra_plugins.hydra_ec2_launcher.cloud.calls import client
from hydra_plugins.hydra_ec2_launcher.cloud.cloud import RefusedError
from hydra_plugins.hydra_ec2_launcher.cloud.ec2 import Ec2


def prepare(ec2: Ec2, caller: str = CALLER, key: str = KEY) -> str:
    return ec2.prepare(REGION, sweep=SWEEP, public_key=key, caller=caller)[0]


def rules(group: str) -> list[tuple[Any, ...]]:
    """Protocol, ports and addresses of what the group lets in, as the cloud tells it."""
    (described,) = client("ec2", REGION).describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return [
        (
            rule["IpProtocol"],
            rule["FromPort"],
            rule["ToPort"],
            *[entry["CidrIp"] for entry in rule["IpRanges"]],
            *[entry["CidrIpv6"] for entry in rule["Ipv6Ranges"]],
        )
        for rule in described["IpPermissions"]
    ]


def test_group_lets_ssh_in_from_the_caller_alone(ec2: Ec2) -> None:
    assert rules(prepare(ec2)) == [("tcp", 22, 22, CALLER)]


def test_caller_with_ipv6(ec2: Ec2) -> None:
    assert rules(prepare(ec2, "2001:db8::7/128")) == [("tcp", 22, 22, "2001:db8::7/128")]


def test_preparing_again_changes_nothing(aws: FakeAws, ec2: Ec2) -> None:
    group = prepare(ec2)
    assert prepare(ec2) == group
    assert len(aws.sent("AuthorizeSecurityGroupIngress")) == 1
    assert aws.sent("RevokeSecurityGroupIngress") == []


def test_another_caller_replaces_the_first_and_whatever_else_was_opened(ec2: Ec2) -> None:
    group = prepare(ec2)
    world = {"IpProtocol": "tcp", "FromPort": 5000, "ToPort": 5000, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    client("ec2", REGION).authorize_security_group_ingress(GroupId=group, IpPermissions=[world])
    assert prepare(ec2, LATER_CALLER) == group
    assert rules(group) == [("tcp", 22, 22, LATER_CALLER)]


@pytest.mark.parametrize("caller", ["0.0.0.0/0", "::/0", "198.51.100.0/24", "198.51.100.7/31", "2001:db8::/64", "home"])
def test_more_than_one_address_is_refused_before_anything_is_made(aws: FakeAws, ec2: Ec2, caller: str) -> None:
    with pytest.raises(ValueError, match="caller"):
        prepare(ec2, caller)
    assert aws.calls == []


@given(st.ip_addresses())
def test_any_single_address_passes(address: Any) -> None:
    assert str(single_address(str(address))).split("/")[0] == str(address)


def test_region_without_a_default_network_is_said(ec2: Ec2) -> None:
    direct = client("ec2", "eu-west-1")
    (network,) = direct.describe_vpcs()["Vpcs"]
    for subnet in direct.describe_subnets()["Subnets"]:
        direct.delete_subnet(SubnetId=subnet["SubnetId"])
    direct.delete_vpc(VpcId=network["VpcId"])
    with pytest.raises(ValueError, match="create-default-vpc --region eu-west-1"):
        ec2.prepare("eu-west-1", sweep=SWEEP, public_key=KEY, caller=CALLER)


def test_another_key_replaces_the_first(ec2: Ec2) -> None:
    def fingerprints() -> list[str]:
        return [pair["KeyFingerprint"] for pair in client("ec2", REGION).describe_key_pairs()["KeyPairs"]]

    prepare(ec2)
    first = fingerprints()
    prepare(ec2, key=OTHER_KEY)
    assert len(first) == len(fingerprints()) == 1
    assert fingerprints() != first


def test_cleanup_deletes_the_group_then_the_key_and_can_be_repeated(aws: FakeAws, ec2: Ec2) -> None:
    prepare(ec2)
    for _ in range(2):
        ec2.cleanup(REGION, sweep=SWEEP)
    deleted = [call.action for call in aws.calls if call.action.startswith("Delete")]
    assert deleted == ["DeleteSecurityGroup", "DeleteKeyPair"]
    assert client("ec2", REGION).describe_key_pairs()["KeyPairs"] == []


def test_cleanup_waits_for_the_machines_end(aws: FakeAws, ec2: Ec2) -> None:
    rented = ec2.request(request_for(ec2))
    with pytest.raises(RefusedError, match="DependencyViolation"):
        ec2.cleanup(REGION, sweep=SWEEP)
    assert aws.sent("DeleteKeyPair") == []
    ec2.terminate(REGION, rented.id)
    ec2.cleanup(REGION, sweep=SWEEP)
    assert len(aws.sent("DeleteKeyPair")) == 1


def test_sweeps_do_not_share_a_group(ec2: Ec2) -> None:
    other, _ = ec2.prepare(REGION, sweep="another", public_key=KEY, caller=LATER_CALLER)
    assert prepare(ec2) != other
    ec2.cleanup(REGION, sweep=SWEEP)
    assert rules(other) == [("tcp", 22, 22, LATER_CALLER)]
